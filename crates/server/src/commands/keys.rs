//! `claviger keys`: API keys, one at a time, and imports of many.

mod create;

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use self::create::CreateFlags;
use super::call::{Call, Shown};
use super::client::Asked;
use super::import::ImportFlags;
use super::server::ServerFlags;
use super::table::{Column, details};
use super::{Ending, SERVER_HELP, read_line};
use crate::output::{json_text, print};

const LIST: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("STATUS", "/status"),
    ("CUSTOMER", "/customAccountId"),
    ("EXPIRES", "/expiresAt"),
    ("LAST USED", "/lastUsedAt"),
];
const ONE: &[Column] = &[
    ("Id", "/id"),
    ("Name", "/name"),
    ("Key", "/key"),
    ("Status", "/status"),
    ("Reason", "/reason"),
    ("Project", "/projectId"),
    ("Customer", "/customAccountId"),
    ("User", "/customUserId"),
    ("Expires", "/expiresAt"),
    ("Requests", "/rateLimitConfigs/rateLimit"),
    ("In seconds", "/rateLimitConfigs/rateLimitTtl"),
    ("Quota", "/quota/limit"),
    ("Quota used", "/quota/used"),
    ("Quota resets", "/quota/resetsAt"),
    ("Scopes", "/scopes"),
    ("Domains", "/allowedDomains"),
    ("Networks", "/allowedIps"),
    ("Metadata", "/customMetaData"),
    ("Created", "/createdAt"),
    ("First used", "/firstUsedAt"),
    ("Last used", "/lastUsedAt"),
    ("Rotated from", "/rotatedFrom"),
    ("Rotated to", "/rotatedTo"),
];
const VERIFIED: &[Column] = &[
    ("Code", "/code"),
    ("Key", "/key/id"),
    ("Name", "/key/name"),
    ("Customer", "/key/customAccountId"),
    ("Limit left", "/rateLimit/remaining"),
    ("Quota left", "/quota/remaining"),
];

const EXAMPLES: &str = "\
Examples:
  claviger keys create 'Acme production' --customer acme --per-minute 600
  KEY=$(claviger keys create 'Acme staging' --quiet)      the key alone, for a script
  claviger keys list --customer acme
  echo \"$KEY\" | claviger keys verify --scope read         the key is in no command line
  claviger keys rotate key_8dK2vQ0mZpR4xTbW --grace 86400
  claviger keys revoke key_8dK2vQ0mZpR4xTbW --reason compromised --yes
  claviger keys import customers.csv --dry-run";

/// API keys, which your customers present
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Keys {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    /// Make a key, and show it: the only time that it is shown in full
    Create(Box<CreateFlags>),
    /// List keys, the oldest first
    List(ListFlags),
    /// Show a key
    Show {
        /// Its id, or its reference as lists show it
        id: String,
    },
    /// Check a key as your API would; exit code 1 when it does not pass
    Verify(VerifyFlags),
    /// Make a successor of a key, and show it; the old one stops at once, or after a grace
    Rotate {
        /// Its id, or its reference as lists show it
        id: String,
        /// Seconds for which the old one is still accepted
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        grace: u32,
        /// Print the new key alone
        #[arg(long, short)]
        quiet: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Revoke a key: it is refused from then on
    Revoke {
        /// Its id, or its reference as lists show it
        id: String,
        /// `unused`, `billing`, `compromised` (cannot be reactivated), `superseded` or `other`
        #[arg(long)]
        reason: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Accept a revoked key again
    Reactivate {
        /// Its id, or its reference as lists show it
        id: String,
    },
    /// Move keys here that your customers have already, from a file
    Import(ImportFlags),
}

#[derive(Args, Debug)]
struct ListFlags {
    /// Of this project only
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// With this name, in any case
    #[arg(long)]
    name: Option<String>,
    /// Of this customer; `null` for none
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Of this user; `null` for none
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Switched on, or not
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// How many, at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// How many to skip
    #[arg(long, default_value_t = 0)]
    offset: u32,
    /// All of them
    #[arg(long, conflicts_with_all = ["limit", "offset"])]
    all: bool,
}

#[derive(Args, Debug)]
struct VerifyFlags {
    /// The full key; without it, or as `-`, a line of standard input
    #[arg(default_value = "-", hide_default_value = true)]
    key: String,
    /// Where the request came from, for a key that is locked to domains
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// The address that it came from, for a key that is locked to networks
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// A scope that it needs; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Tell only, and count nothing
    #[arg(long)]
    dry_run: bool,
}

impl Keys {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let flags = &self.server;
        let key = |id: String| ["api-keys".to_owned(), id];
        let call = match self.command {
            KeysCommand::Create(create) => {
                let shown = shown_new(create.quiet);
                Call::new(create.asked()?, shown)
            }
            KeysCommand::List(list) => list.call(),
            KeysCommand::Show { id } => {
                Call::new(Asked::new(Method::GET, key(id)), Shown::One(ONE))
            }
            KeysCommand::Verify(verify) => return verify.run(flags).await,
            KeysCommand::Rotate {
                id,
                grace,
                quiet,
                yes,
            } => {
                let question =
                    format!("{id} is refused at once, and a new key takes its place. Go on?");
                let path = ["api-keys".to_owned(), id, "rotate".to_owned()];
                let asked = Asked::new(Method::POST, path).body(json!({"gracePeriod": grace}));
                Call::new(asked, shown_new(quiet)).after(question, yes || grace > 0)
            }
            KeysCommand::Revoke { id, reason, yes } => {
                let question = format!("{id} is refused from then on. Go on?");
                let done = Shown::Done("Revoked.".to_owned());
                let asked = Asked::new(Method::DELETE, key(id)).with("reason", reason);
                Call::new(asked, done).after(question, yes)
            }
            KeysCommand::Reactivate { id } => {
                let path = ["api-keys".to_owned(), id, "reactivate".to_owned()];
                Call::new(Asked::new(Method::PATCH, path), Shown::One(ONE))
            }
            KeysCommand::Import(import) => return import.run(flags).await,
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

impl ListFlags {
    fn call(self) -> Call {
        let asked = Asked::new(Method::GET, ["api-keys"])
            .with("projectId", self.project)
            .with("name", self.name)
            .with("customAccountId", self.customer)
            .with("customUserId", self.user)
            .with("isActive", self.active)
            .with("limit", (!self.all).then_some(self.limit))
            .with("offset", (!self.all).then_some(self.offset));
        Call::new(asked, Shown::List(LIST))
    }
}

impl VerifyFlags {
    async fn run(self, flags: &ServerFlags) -> Result<Ending> {
        let key = if self.key == "-" {
            read_line()?
        } else {
            self.key
        };
        let body = json!({
            "key": key, "origin": self.origin, "ip": self.ip, "scopes": self.scopes,
            "dryRun": self.dry_run,
        });
        let asked = Asked::new(Method::POST, ["api-keys", "verify"]).body(body);
        let answer = flags.client()?.send(asked).await?.body;
        print(&if flags.json {
            json_text(&answer)
        } else {
            details(VERIFIED, &answer)
        });
        Ok(if answer["valid"] == true {
            Ending::Done
        } else {
            Ending::Refused
        })
    }
}
