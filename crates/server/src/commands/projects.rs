//! `claviger projects`.

mod reading;

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use self::reading::Reading;
use super::call::{Call, Shown};
use super::client::Asked;
use super::server::ServerFlags;
use super::table::Column;
use super::{Ending, SERVER_HELP};

const LIST: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ENV", "/env"),
    ("ACCOUNT", "/accountId"),
    ("CREATED", "/createdAt"),
];
const ONE: &[Column] = &[
    ("Id", "/id"),
    ("Name", "/name"),
    ("Environment", "/env"),
    ("Account", "/accountId"),
    ("Key storage", "/keyStorage"),
    ("Created", "/createdAt"),
];

const EXAMPLES: &str = "\
Examples:
  claviger projects list
  claviger projects create Staging --env test
  claviger projects update prj_4f8Q2mXc7ZrT1bVw9KpL --name Production
  claviger projects storage prj_4f8Q2mXc7ZrT1bVw9KpL recoverable
  claviger projects grant-reveal prj_4f8Q2mXc7ZrT1bVw9KpL ack_8dK2vQ0mZpR4xTbW --days 7";

/// Projects, which keys are made in
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Projects {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: ProjectsCommand,
}

#[derive(Subcommand, Debug)]
enum ProjectsCommand {
    /// List projects
    List {
        /// Of this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Make a project
    Create {
        /// What to call it
        name: String,
        /// `live` or `test`: what its keys begin with
        #[arg(long, default_value = "live")]
        env: String,
        /// In this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Show a project
    Show {
        /// Its id
        id: String,
    },
    /// Rename a project
    Update {
        /// Its id
        id: String,
        /// What to call it
        #[arg(long)]
        name: String,
    },
    /// Delete a project: all its keys are refused from then on
    Delete {
        /// Its id
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    #[command(flatten)]
    Reading(Reading),
}

impl Projects {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let project = |id: String| ["projects".to_owned(), id];
        let call = match self.command {
            ProjectsCommand::List { account } => {
                let asked = Asked::new(Method::GET, ["projects"]).with("accountId", account);
                Call::new(asked, Shown::List(LIST))
            }
            ProjectsCommand::Create { name, env, account } => {
                let body = json!({"name": name, "env": env, "accountId": account});
                Call::new(
                    Asked::new(Method::POST, ["projects"]).body(body),
                    Shown::One(ONE),
                )
            }
            ProjectsCommand::Show { id } => {
                Call::new(Asked::new(Method::GET, project(id)), Shown::One(ONE))
            }
            ProjectsCommand::Update { id, name } => {
                let asked = Asked::new(Method::PATCH, project(id)).body(json!({"name": name}));
                Call::new(asked, Shown::One(ONE))
            }
            ProjectsCommand::Delete { id, yes } => {
                let question =
                    format!("{id} is gone from then on, and all its keys are refused. Go on?");
                let done = Shown::Done("Deleted.".to_owned());
                Call::new(Asked::new(Method::DELETE, project(id)), done).after(question, yes)
            }
            ProjectsCommand::Reading(reading) => return reading.run(&self.server).await,
        };
        call.carry_out(&self.server).await
    }
}
