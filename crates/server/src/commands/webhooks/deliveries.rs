//! The log of deliveries, and sending some of them again.

use anyhow::{Context, Result};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use crate::commands::Ending;
use crate::commands::call::{Call, Shown};
use crate::commands::client::Asked;
use crate::commands::server::ServerFlags;
use crate::commands::table::{Column, table};
use crate::output::{json_text, print};

const LOG: &[Column] = &[
    ("ID", "/id"),
    ("TOPIC", "/topic"),
    ("STATUS", "/status"),
    ("ATTEMPTS", "/tried"),
    ("LAST", "/last"),
    ("NEXT", "/nextAttemptAt"),
    ("EVENT", "/eventId"),
    ("HAPPENED", "/createdAt"),
];
const DELIVERY: &[Column] = &[
    ("Id", "/id"),
    ("Topic", "/topic"),
    ("Status", "/status"),
    ("Next attempt", "/nextAttemptAt"),
];

/// Commands about deliveries.
#[derive(Subcommand, Debug)]
pub(super) enum DeliveriesCommand {
    /// Show what was sent and what waits, the latest first
    Deliveries {
        /// The webhook's id
        id: String,
        /// `waiting`, `delivered` or `failed`
        #[arg(long)]
        status: Option<String>,
        /// Of this topic
        #[arg(long)]
        topic: Option<String>,
        /// Of events before then, such as 2030-01-31T12:00:00Z
        #[arg(long, value_name = "DATE")]
        before: Option<String>,
        /// So many, at most 100
        #[arg(long, default_value_t = 20, value_name = "NUMBER")]
        limit: u32,
    },
    /// Send a delivery again, or the failed ones of a time
    Replay {
        /// The webhook's id
        id: String,
        /// The delivery's id
        #[arg(required_unless_present = "from", conflicts_with_all = ["from", "to", "delivered"])]
        delivery: Option<String>,
        /// Of events from then on, such as 2030-01-31T12:00:00Z
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Of events before then [default: now]
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        /// Also what was delivered: for a receiver that has lost it
        #[arg(long)]
        delivered: bool,
    },
}

impl DeliveriesCommand {
    /// Carries the command out.
    pub(super) async fn run(self, flags: &ServerFlags) -> Result<Ending> {
        let path = |id: String| ["webhooks".to_owned(), id, "deliveries".to_owned()];
        match self {
            Self::Deliveries {
                id,
                status,
                topic,
                before,
                limit,
            } => {
                let asked = Asked::new(Method::GET, path(id))
                    .with("status", status)
                    .with("topic", topic)
                    .with("before", before)
                    .with("limit", Some(limit));
                let answer = flags.client()?.send(asked).await?;
                print(&if flags.json {
                    json_text(&answer.body)
                } else {
                    let rows = answer.body.as_array().map_or(&[][..], Vec::as_slice);
                    let rows: Vec<_> = rows.iter().map(with_last).collect();
                    table(LOG, &rows, answer.total)
                });
                Ok(Ending::Done)
            }
            Self::Replay {
                id,
                delivery: Some(delivery),
                ..
            } => {
                let path = path(id).into_iter().chain([delivery, "replay".to_owned()]);
                let call = Call::new(Asked::new(Method::POST, path), Shown::One(DELIVERY));
                call.carry_out(flags).await
            }
            Self::Replay {
                id,
                delivery: None,
                from,
                to,
                delivered,
            } => {
                let path: Vec<_> = path(id).into_iter().chain(["replay".to_owned()]).collect();
                let span = json!({"from": from, "to": to, "delivered": delivered});
                replay_all(flags, &path, span).await
            }
        }
    }
}

/// The same with how often it was tried, and what came of it last.
fn with_last(delivery: &Value) -> Value {
    let mut row = delivery.clone();
    let attempts = delivery["attempts"].as_array();
    let last = attempts.and_then(|attempts| attempts.last());
    let last = last.map_or(Value::Null, |last| match &last["error"] {
        Value::Null => last["statusCode"].clone(),
        error => error.clone(),
    });
    row["tried"] = attempts.map_or(0, Vec::len).into();
    row["last"] = last;
    row
}

/// The server sends a part of them again with each request.
async fn replay_all(flags: &ServerFlags, path: &[String], mut span: Value) -> Result<Ending> {
    let client = flags.client()?;
    let mut replayed = 0;
    loop {
        let asked = Asked::new(Method::POST, path.iter().cloned()).body(span.clone());
        let answer = client.send(asked).await?.body;
        let some = answer["replayed"].as_u64();
        replayed += some.context("the answer does not say how many")?;
        if answer["nextCursor"].is_null() {
            break;
        }
        span["cursor"] = answer["nextCursor"].clone();
    }
    print(&if flags.json {
        json_text(&json!({"replayed": replayed}))
    } else {
        format!("{replayed} are sent again.\n")
    });
    Ok(Ending::Done)
}
