//! `claviger webhooks`.

mod deliveries;
mod settings;

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use self::deliveries::DeliveriesCommand;
use self::settings::{HEADERS, SettingsFlags};
use super::call::{Call, Shown};
use super::client::Asked;
use super::server::ServerFlags;
use super::table::{Column, details};
use super::{Ending, SERVER_HELP};
use crate::output::{json_text, print};

const LIST: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("URL", "/url"),
    ("STATUS", "/status"),
    ("FAILING SINCE", "/failingSince"),
    ("TOPICS", "/topics"),
];
const ONE: &[Column] = &[
    ("Id", "/id"),
    ("Name", "/name"),
    ("Secret", "/secret"),
    ("Older secret", "/legacySecret"),
    ("URL", "/url"),
    ("Method", "/httpMethod"),
    ("Format", "/format"),
    ("Topics", "/topics"),
    ("Status", "/status"),
    ("Account", "/accountId"),
    ("Project", "/projectId"),
    ("Headers", "/customHeaders"),
    ("Failing since", "/failingSince"),
    ("Rests until", "/restsUntil"),
    ("Missed events", "/droppedEvents"),
    ("Created", "/createdAt"),
];
const PINGED: &[Column] = &[
    ("Taken", "/success"),
    ("Status", "/statusCode"),
    ("Milliseconds", "/durationMs"),
    ("Error", "/error"),
];

const EXAMPLES: &str = "\
Examples:
  claviger webhooks create https://example.com/hooks --topic api-key.created --topic api-key.deleted
  claviger webhooks ping whk_4f8Q2mXc7ZrT1bVw9KpL
  claviger webhooks deliveries whk_4f8Q2mXc7ZrT1bVw9KpL --status failed
  claviger webhooks replay whk_4f8Q2mXc7ZrT1bVw9KpL --from 2030-01-31T12:00:00Z
  claviger webhooks rotate-secret whk_4f8Q2mXc7ZrT1bVw9KpL --quiet > hooks.secret";

/// Webhooks: URLs that are told what happens
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Webhooks {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: WebhooksCommand,
}

#[derive(Subcommand, Debug)]
enum WebhooksCommand {
    /// List webhooks
    List {
        /// Of this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// For this project only
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// That are told of this
        #[arg(long)]
        topic: Option<String>,
    },
    /// Make a webhook, and show its secret: the only time that it is shown
    Create {
        /// Where deliveries go
        #[arg(value_name = "URL")]
        receiver: String,
        /// What it is told of, such as `api-key.created`; can be repeated
        #[arg(long = "topic", value_name = "TOPIC", required = true)]
        topics: Vec<String>,
        /// In this account [default: the caller's]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        #[command(flatten)]
        settings: SettingsFlags,
        /// Send nothing before it is resumed
        #[arg(long)]
        paused: bool,
        /// Print the secret alone
        #[arg(long, short)]
        quiet: bool,
    },
    /// Show a webhook
    Show {
        /// Its id
        id: String,
    },
    /// Change a webhook; what is not given stays
    Update {
        /// Its id
        id: String,
        /// Where deliveries go: another host is another receiver, with a secret of its own, and another
        /// path has its headers given anew
        #[arg(long, value_name = "URL")]
        receiver: Option<String>,
        /// All that it is told of; can be repeated
        #[arg(long = "topic", value_name = "TOPIC")]
        topics: Vec<String>,
        #[command(flatten)]
        settings: SettingsFlags,
        /// Send no headers along: those of a webhook are not kept for another host or path
        #[arg(long, conflicts_with_all = ["headers", "headers_file"])]
        no_headers: bool,
    },
    /// Delete a webhook: what waits for it is sent no more
    Delete {
        /// Its id
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Try a receiver; exit code 1 when it does not take it
    Ping {
        /// A webhook's id, which is asked as its deliveries are, or a URL
        receiver: String,
    },
    /// Let what happens wait
    Pause {
        /// Its id
        id: String,
    },
    /// Send what has waited, and what happens from now on
    Resume {
        /// Its id
        id: String,
    },
    /// Draw a new secret, and show it: for a day deliveries are signed by the old one as well
    RotateSecret {
        /// Its id
        id: String,
        /// Have the old secrets sign nothing from now on
        #[arg(long)]
        revoke_previous: bool,
        /// Print the secret alone
        #[arg(long, short)]
        quiet: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    #[command(flatten)]
    Deliveries(DeliveriesCommand),
}

impl Webhooks {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let flags = &self.server;
        let call = match self.command {
            WebhooksCommand::List {
                account,
                project,
                topic,
            } => {
                let asked = Asked::new(Method::GET, ["webhooks"])
                    .with("accountId", account)
                    .with("projectId", project)
                    .with("topic", topic);
                Call::new(asked, Shown::List(LIST))
            }
            WebhooksCommand::Create {
                receiver,
                topics,
                account,
                settings,
                paused,
                quiet,
            } => {
                let mut body = settings.read()?;
                body.insert("topics".to_owned(), topics.into());
                body.insert("url".to_owned(), receiver.into());
                if let Some(account) = account {
                    body.insert("accountId".to_owned(), account.into());
                }
                if paused {
                    body.insert("status".to_owned(), "paused".into());
                }
                let asked = Asked::new(Method::POST, ["webhooks"]).body(Value::Object(body));
                Call::new(asked, shown_new(quiet))
            }
            WebhooksCommand::Show { id } => {
                Call::new(Asked::new(Method::GET, path(id)), Shown::One(ONE))
            }
            WebhooksCommand::Update {
                id,
                receiver,
                topics,
                settings,
                no_headers,
            } => {
                let mut body = settings.read()?;
                if no_headers {
                    body.insert(HEADERS.to_owned(), json!({}));
                }
                if !topics.is_empty() {
                    body.insert("topics".to_owned(), topics.into());
                }
                if let Some(receiver) = receiver {
                    body.insert("url".to_owned(), receiver.into());
                }
                change(id, Value::Object(body))
            }
            WebhooksCommand::Delete { id, yes } => {
                let question = format!("{id} is told of nothing from then on. Go on?");
                let done = Shown::Done("Deleted.".to_owned());
                Call::new(Asked::new(Method::DELETE, path(id)), done).after(question, yes)
            }
            WebhooksCommand::Ping { receiver } => return ping(flags, &receiver).await,
            WebhooksCommand::Pause { id } => change(id, json!({"status": "paused"})),
            WebhooksCommand::Resume { id } => change(id, json!({"status": "live"})),
            WebhooksCommand::RotateSecret {
                id,
                revoke_previous,
                quiet,
                yes,
            } => {
                let question =
                    format!("A receiver of {id} that knows an old secret alone is cut off. Go on?");
                let asked = Asked::new(
                    Method::POST,
                    ["webhooks".to_owned(), id, "rotate-secret".to_owned()],
                )
                .body(json!({"revokePrevious": revoke_previous}));
                Call::new(asked, shown_new(quiet)).after(question, yes || !revoke_previous)
            }
            WebhooksCommand::Deliveries(command) => return command.run(flags).await,
        };
        call.carry_out(flags).await
    }
}

fn path(id: String) -> [String; 2] {
    ["webhooks".to_owned(), id]
}

fn change(id: String, body: Value) -> Call {
    let asked = Asked::new(Method::PATCH, path(id)).body(body);
    Call::new(asked, Shown::One(ONE))
}

fn shown_new(quiet: bool) -> Shown {
    if quiet {
        Shown::Alone("secret")
    } else {
        Shown::One(ONE)
    }
}

async fn ping(flags: &ServerFlags, receiver: &str) -> Result<Ending> {
    let member = if receiver.contains("://") {
        "url"
    } else {
        "id"
    };
    let asked = Asked::new(Method::POST, ["webhooks", "ping"]).body(json!({member: receiver}));
    let pinged = flags.client()?.send(asked).await?.body;
    print(&if flags.json {
        json_text(&pinged)
    } else {
        details(PINGED, &pinged)
    });
    Ok(if pinged["success"] == true {
        Ending::Done
    } else {
        Ending::Refused
    })
}
