//! `claviger accounts`.

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::call::{Call, Shown};
use super::client::Asked;
use super::server::ServerFlags;
use super::table::Column;
use super::{Ending, SERVER_HELP};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("PARENT", "/parentAccountId"),
    ("CREATED", "/createdAt"),
];

const EXAMPLES: &str = "\
Examples:
  claviger accounts list
  claviger accounts create 'A customer with projects of their own'";

/// Accounts: yours and those below it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Accounts {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: AccountsCommand,
}

#[derive(Subcommand, Debug)]
enum AccountsCommand {
    /// List accounts
    List {
        /// With this name, in any case
        #[arg(long)]
        name: Option<String>,
    },
    /// Make an account below the caller's; with the operator key, one of its own
    Create {
        /// What to call it
        name: String,
    },
    /// Show an account
    Show {
        /// Its id
        id: String,
    },
}

impl Accounts {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let call = match self.command {
            AccountsCommand::List { name } => {
                let asked = Asked::new(Method::GET, ["accounts"]).with("name", name);
                Call::new(asked, Shown::List(COLUMNS))
            }
            AccountsCommand::Create { name } => {
                let asked = Asked::new(Method::POST, ["accounts"]).body(json!({"name": name}));
                Call::new(asked, Shown::One(COLUMNS))
            }
            AccountsCommand::Show { id } => {
                let asked = Asked::new(Method::GET, ["accounts".to_owned(), id]);
                Call::new(asked, Shown::One(COLUMNS))
            }
        };
        call.carry_out(&self.server).await
    }
}
