//! Commands that ask a running server, over its own HTTP API.
//!
//! A group of commands is a file: its flags, and for each command the [`Call`] that it comes to. What
//! all share is here: who is asked, how an answer is shown, and with which exit code that ends.

mod access_keys;
mod accounts;
mod audit;
mod bridge;
mod call;
mod client;
mod import;
mod keys;
mod mcp;
mod projects;
mod report;
mod rows;
mod sending;
mod server;
mod table;
mod theauthapi;
mod usage;
mod users;
mod waiting;
mod webhooks;

use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};

pub(crate) use self::access_keys::AccessKeys;
pub(crate) use self::accounts::Accounts;
pub(crate) use self::audit::Audit;
pub(crate) use self::call::confirm;
pub(crate) use self::keys::Keys;
pub(crate) use self::mcp::Mcp;
pub(crate) use self::projects::Projects;
pub(crate) use self::theauthapi::Import;
pub(crate) use self::usage::UsageQuery;
pub(crate) use self::users::Users;
pub(crate) use self::webhooks::Webhooks;

/// How a command ended that could ask what it wanted to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is done.
    Done,
    /// The server said no, or a key does not pass, or a row was refused.
    Refused,
}

/// The server understood, and said no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(crate) String);

/// What every group's help ends with.
pub(crate) const SERVER_HELP: &str = "\
Which server, and as whom: CLAVIGER_URL and CLAVIGER_ACCESS_KEY or CLAVIGER_ACCESS_KEY_FILE. Without them,
the URL and the owner's access key in the `bootstrap.json` of the data directory. Other users of a machine
can read command lines, so prefer the variables or a file to --access-key.

Exit code: 0 done; 1 the server said no, or a key does not pass, or a row was refused; 2 it could not be
asked: a wrong command line, or no server.";

/// Runs one of these commands to its exit code.
pub(crate) fn run<F: Future<Output = Result<Ending>>>(
    begin: impl FnOnce() -> F,
) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let ended = runtime.block_on(begin());
    // A read of standard input that nobody will end is not waited for.
    runtime.shutdown_background();
    ended.map(|ending| match ending {
        Ending::Done => ExitCode::SUCCESS,
        Ending::Refused => ExitCode::from(1),
    })
}

/// One line of standard input, such as a key that is not to stand in a command line.
fn read_line() -> Result<String> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .context("cannot read standard input")?;
    Ok(line.trim().to_owned())
}
