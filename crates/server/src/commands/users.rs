//! `claviger users`.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::call::{Call, Shown};
use super::client::Asked;
use super::server::ServerFlags;
use super::table::Column;
use super::{Ending, SERVER_HELP};

const LIST: &[Column] = &[
    ("USER", "/userId"),
    ("NAME", "/name"),
    ("EMAIL", "/email"),
    ("ROLE", "/role"),
    ("PROJECT", "/projectId"),
];
const INVITATIONS: &[Column] = &[
    ("ID", "/id"),
    ("EMAIL", "/email"),
    ("ROLE", "/role"),
    ("STATUS", "/status"),
    ("EXPIRES", "/expiresAt"),
];
const INVITED: &[Column] = &[
    ("Id", "/id"),
    ("Email", "/email"),
    ("Role", "/role"),
    ("Account", "/accountId"),
    ("Expires", "/expiresAt"),
    ("Link", "/link"),
];

const EXAMPLES: &str = "\
Examples:
  claviger users invite ada@example.com --role owner     the first user of the first account
  claviger users invite ada@example.com --project prj_4f8Q2mXc7ZrT1bVw9KpL --role viewer
  claviger users list
  claviger users remove usr_4f8Q2mXc7ZrT1bVw9KpL

`invite` takes the operator key, where no other is given, and shows the link then. Its token signs up:
  curl -d '{\"email\": \"…\", \"password\": \"…\", \"name\": \"…\", \"invitationId\": \"invite_…\"}' URL/auth/signup";

/// People: who holds which role, and who is invited
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Users {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Subcommand, Debug)]
enum UsersCommand {
    /// List who holds which role
    List {
        /// In this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Invite somebody, by default with the operator key, which shows the link
    Invite {
        /// Their address
        email: String,
        /// `owner`, `admin`, `developer`, `viewer`, `analyst` or `verifier`
        #[arg(long, default_value = "developer")]
        role: String,
        /// Into this account [default: the one that the first start made]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Into this project only; can be repeated [default: the whole account]
        #[arg(long = "project", value_name = "ID")]
        projects: Vec<String>,
        /// Print the link alone
        #[arg(long, short)]
        quiet: bool,
    },
    /// List who is invited
    Invitations {
        /// Into this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// `pending`, `accepted`, `cancelled` or `expired`
        #[arg(long)]
        status: Option<String>,
    },
    /// Take the role away that somebody holds: it counts at once
    Remove {
        /// Their id
        id: String,
        /// In this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// The role on this project [default: the one on the account]
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Users {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let flags = &self.server;
        let call = match self.command {
            UsersCommand::List { account } => {
                let asked = Asked::new(Method::GET, ["teammates"]).with("accountId", account);
                Call::new(asked, Shown::List(LIST))
            }
            UsersCommand::Invite {
                email,
                role,
                account,
                projects,
                quiet,
            } => {
                let account = match account {
                    Some(account) => Some(account),
                    // A project says of which account it is.
                    None if !projects.is_empty() => None,
                    None => Some(
                        flags
                            .first_account()?
                            .context("name the account: --account")?,
                    ),
                };
                let body = json!({
                    "email": email, "role": role, "accountId": account,
                    "projectIds": (!projects.is_empty()).then_some(projects),
                });
                let asked = Asked::new(Method::POST, ["invitations"]).body(body);
                let shown = if quiet {
                    Shown::Alone("link")
                } else {
                    Shown::One(INVITED)
                };
                return Call::new(asked, shown).carry_out_as_operator(flags).await;
            }
            UsersCommand::Invitations { account, status } => {
                let asked = Asked::new(Method::GET, ["invitations"])
                    .with("accountId", account)
                    .with("status", status);
                Call::new(asked, Shown::List(INVITATIONS))
            }
            UsersCommand::Remove {
                id,
                account,
                project,
                yes,
            } => {
                let question = format!("{id} may do nothing there from then on. Go on?");
                let path = ["users".to_owned(), id, "roles".to_owned()];
                let asked = Asked::new(Method::DELETE, path)
                    .with("accountId", account)
                    .with("projectId", project);
                Call::new(asked, Shown::Done("Removed.".to_owned())).after(question, yes)
            }
        };
        call.carry_out(flags).await
    }
}
