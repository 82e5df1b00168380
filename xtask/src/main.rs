//! The developer's commands: `cargo xtask --help`. Each is a module; what they share is how they
//! run another program, in `process`.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool reports on standard output"
)]

mod bench;
mod deny;
mod lint;
mod needs;
mod openapi;
mod process;
mod test;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a developer of Claviger runs. CI runs the same commands, through `.ci/run`.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs all tests, on a fresh machine too
    ///
    /// Installs what is missing or says the command that would, starts what the tests need in scratch
    /// directories, and ends with the totals of the Rust tests and of the published clients.
    Test {
        /// Runs only this half
        #[arg(long, value_enum)]
        only: Option<test::Half>,
    },
    /// Checks formatting, lints, documentation, file lengths and import circles
    Lint,
    /// Writes docs/openapi.json as the program would serve it
    Openapi {
        /// Fails if the file differs, and leaves it as it is
        #[arg(long)]
        check: bool,
    },
    /// Checks the dependencies against deny.toml: licenses, sources, duplicates
    ///
    /// Installs cargo-deny when it is missing, which takes some minutes. Known vulnerabilities are
    /// not part of it: `cargo deny check advisories` looks them up on the network.
    Deny,
    /// Measures what the program costs, beside what else could do the same
    ///
    /// Builds the release first. The published figures are in docs/performance.md.
    #[command(subcommand)]
    Bench(bench::Benchmark),
}

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a directory of the workspace");
    let outcome = match Arguments::parse().command {
        Command::Test { only } => return test::run(workspace, only),
        Command::Lint => lint::run(workspace),
        Command::Openapi { check } => openapi::run(workspace, check),
        Command::Deny => deny::run(workspace),
        Command::Bench(benchmark) => bench::run(workspace, &benchmark),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::complain(&error);
            ExitCode::FAILURE
        }
    }
}
