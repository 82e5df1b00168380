//! `claviger access-keys`.

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::call::{Call, Shown};
use super::client::{Asked, Client};
use super::server::ServerFlags;
use super::table::{Column, details};
use super::{Ending, Refusal, SERVER_HELP};
use crate::output::{json_text, print};

const LIST: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ROLE", "/role"),
    ("ACTIVE", "/isActive"),
    ("PROJECTS", "/projectIds"),
    ("EXPIRES", "/expiresAt"),
];
const ONE: &[Column] = &[
    ("Id", "/id"),
    ("Name", "/name"),
    ("Key", "/key"),
    ("Role", "/role"),
    ("Active", "/isActive"),
    ("Account", "/accountId"),
    ("Projects", "/projectIds"),
    ("Requests", "/rateLimit"),
    ("In seconds", "/rateLimitTtl"),
    ("Expires", "/expiresAt"),
    ("Created", "/createdAt"),
];

const EXAMPLES: &str = "\
Examples:
  claviger access-keys create 'Gateway in production' --role verifier --project prj_4f8Q2mXc7ZrT1bVw9KpL
  claviger access-keys create CI --role developer --quiet > ci.key
  claviger access-keys rotate ack_8dK2vQ0mZpR4xTbW --grace 3600";

/// Access keys, which programs of yours call this API with
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct AccessKeys {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: AccessKeysCommand,
}

#[derive(Subcommand, Debug)]
enum AccessKeysCommand {
    /// List access keys
    List {
        /// Of this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// For this project
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// Switched on, or not
        #[arg(long, value_name = "BOOL")]
        active: Option<bool>,
    },
    /// Make an access key, and show it: the only time that it is shown in full
    Create {
        /// What to call it
        name: String,
        /// `owner`, `admin`, `developer`, `viewer`, `analyst` or `verifier` (checks keys, and no more)
        #[arg(long, default_value = "developer")]
        role: String,
        /// A project that it is for; can be repeated [default: the whole account]
        #[arg(long = "project", value_name = "ID")]
        projects: Vec<String>,
        /// In this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// When it ends, such as 2030-01-31
        #[arg(long, value_name = "DATE")]
        expiry: Option<String>,
        /// Print the access key alone
        #[arg(long, short)]
        quiet: bool,
    },
    /// Show an access key
    Show {
        /// Its id, or its reference as lists show it
        id: String,
        /// Of this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Make a successor of an access key, and show it
    Rotate {
        /// Its id, or its reference as lists show it
        id: String,
        /// Seconds for which the old one is still accepted
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        grace: u32,
        /// Print the new access key alone
        #[arg(long, short)]
        quiet: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Revoke an access key: it is refused from then on, and so is what it made for agents
    Revoke {
        /// Its id, or its reference as lists show it
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl AccessKeys {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let flags = &self.server;
        let call = match self.command {
            AccessKeysCommand::List {
                account,
                project,
                active,
            } => {
                let asked = Asked::new(Method::GET, ["access-keys"])
                    .with("accountId", account)
                    .with("projectId", project)
                    .with("isActive", active);
                Call::new(asked, Shown::List(LIST))
            }
            AccessKeysCommand::Create {
                name,
                role,
                projects,
                account,
                expiry,
                quiet,
            } => {
                let body = json!({
                    "name": name, "role": role, "accountId": account, "expiry": expiry,
                    "projectIds": (!projects.is_empty()).then_some(projects),
                });
                let asked = Asked::new(Method::POST, ["access-keys"]).body(body);
                Call::new(asked, shown_new(quiet))
            }
            AccessKeysCommand::Show { id, account } => {
                return show(flags, &flags.client()?, &id, account).await;
            }
            AccessKeysCommand::Rotate {
                id,
                grace,
                quiet,
                yes,
            } => {
                let question =
                    format!("{id} is refused at once, and a new one takes its place. Go on?");
                let path = ["access-keys".to_owned(), id, "rotate".to_owned()];
                let asked = Asked::new(Method::POST, path).body(json!({"gracePeriod": grace}));
                Call::new(asked, shown_new(quiet)).after(question, yes || grace > 0)
            }
            AccessKeysCommand::Revoke { id, yes } => {
                let question = format!("{id} is refused from then on. Go on?");
                let asked = Asked::new(Method::DELETE, ["access-keys".to_owned(), id]);
                Call::new(asked, Shown::Done("Revoked.".to_owned())).after(question, yes)
            }
        };
        call.carry_out(flags).await
    }
}

fn shown_new(quiet: bool) -> Shown {
    if quiet {
        Shown::Alone("key")
    } else {
        Shown::One(ONE)
    }
}

/// Shows one of the list: the API has no path for one alone.
async fn show(
    flags: &ServerFlags,
    client: &Client,
    id: &str,
    account: Option<String>,
) -> Result<Ending> {
    let asked = Asked::new(Method::GET, ["access-keys"]).with("accountId", account);
    let answer = client.send(asked).await?;
    let list = answer.body.as_array().map_or(&[][..], Vec::as_slice);
    let Some(found) = list.iter().find(|key| key["id"] == id || key["key"] == id) else {
        return Err(Refusal(format!("{id} is none of the access keys that are listed")).into());
    };
    print(&if flags.json {
        json_text(found)
    } else {
        details(ONE, found)
    });
    Ok(Ending::Done)
}
