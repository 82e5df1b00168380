//! Which keys can be read back, and by whom: for the operator, but for what takes that away.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use claviger_domain::time::Clock;
use http::Method;
use serde_json::json;

use super::ONE;
use crate::commands::Ending;
use crate::commands::call::{Call, Shown};
use crate::commands::client::Asked;
use crate::commands::server::ServerFlags;
use crate::commands::table::Column;
use crate::system::SystemClock;

const GRANTS: &[Column] = &[
    ("ID", "/id"),
    ("ACCESS KEY", "/accessKeyId"),
    ("UNTIL", "/expiresAt"),
    ("GRANTED", "/createdAt"),
    ("BY", "/createdBy"),
];
const GRANT: &[Column] = &[
    ("Id", "/id"),
    ("Project", "/projectId"),
    ("Access key", "/accessKeyId"),
    ("Until", "/expiresAt"),
    ("Granted", "/createdAt"),
    ("By", "/createdBy"),
];

const OPERATOR_HELP: &str = "\
No access key may do this, whatever its role: without CLAVIGER_ACCESS_KEY, which may be an operator key, the
operator key in the `bootstrap.json` of the data directory is taken.";

/// Commands about keys that are read back.
#[derive(Subcommand, Debug)]
pub(super) enum Reading {
    /// Say whether keys that are made from now on can be read back
    #[command(after_long_help = OPERATOR_HELP)]
    Storage {
        /// Id of the project
        id: String,
        /// What is kept of them
        storage: Storage,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Let an access key read keys back, for 30 days at most
    #[command(after_long_help = OPERATOR_HELP)]
    GrantReveal {
        /// Id of the project
        id: String,
        /// Id of the access key
        reader: String,
        /// When that ends, such as 2030-01-31
        #[arg(long, value_name = "DATE", required_unless_present = "days")]
        until: Option<String>,
        /// In how many days that ends
        #[arg(long, value_name = "DAYS", conflicts_with = "until")]
        days: Option<u8>,
    },
    /// List who may read keys back
    RevealGrants {
        /// Id of the project
        id: String,
    },
    /// End a grant to read keys back, at once
    EndReveal {
        /// Id of the project
        id: String,
        /// Id of the grant
        grant: String,
    },
}

/// What is kept of keys.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// They are kept sealed, too, and can be read back
    Recoverable,
    /// Digests alone; what could be read back is erased
    Hashed,
}

impl Reading {
    /// Carries the command out.
    pub(super) async fn run(self, flags: &ServerFlags) -> Result<Ending> {
        let project = |id: String| ["projects".to_owned(), id];
        let grants = |id: String| ["projects".to_owned(), id, "reveal-grants".to_owned()];
        match self {
            Self::Storage { id, storage, yes } => {
                let (name, question) = match storage {
                    Storage::Recoverable => (
                        "recoverable",
                        format!("Keys of {id} that are made from then on are kept, sealed. Go on?"),
                    ),
                    Storage::Hashed => (
                        "hashed",
                        format!(
                            "What is kept of the keys of {id} is erased for good; they go on working. \
                             Go on?"
                        ),
                    ),
                };
                let body = json!({"keyStorage": name});
                let asked = Asked::new(Method::PATCH, project(id)).body(body);
                let call = Call::new(asked, Shown::One(ONE)).after(question, yes);
                call.carry_out_as_operator(flags).await
            }
            Self::GrantReveal {
                id,
                reader,
                until,
                days,
            } => {
                let until = match (until, days) {
                    (Some(until), _) => until,
                    (None, Some(days)) => in_days(days),
                    (None, None) => bail!("say until when: --until or --days"),
                };
                let body = json!({"accessKeyId": reader, "expiresAt": until});
                let asked = Asked::new(Method::POST, grants(id)).body(body);
                let call = Call::new(asked, Shown::One(GRANT));
                call.carry_out_as_operator(flags).await
            }
            Self::RevealGrants { id } => {
                let asked = Asked::new(Method::GET, grants(id));
                Call::new(asked, Shown::List(GRANTS)).carry_out(flags).await
            }
            Self::EndReveal { id, grant } => {
                let path = ["projects".to_owned(), id, "reveal-grants".to_owned(), grant];
                let asked = Asked::new(Method::DELETE, path);
                let call = Call::new(asked, Shown::Done("Ended.".to_owned()));
                call.carry_out(flags).await
            }
        }
    }
}

/// The instant that many days from now, less a minute: this clock may be ahead of the server's, which
/// takes no more than 30 days of its own.
fn in_days(days: u8) -> String {
    let seconds = i64::from(days) * 86_400 - 60;
    SystemClock.now().plus_seconds(seconds).to_string()
}
