//! `claviger audit`: who changed what, for people and for machines that collect it.

mod destination;
mod ocsf;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use claviger_domain::plain_text;
use http::Method;
use serde_json::Value;

use self::destination::Destination;
use super::call::{Call, Shown};
use super::client::{Asked, Client};
use super::server::ServerFlags;
use super::table::Column;
use super::{Ending, SERVER_HELP};
use crate::output::tell;

const LIST: &[Column] = &[
    ("TIME", "/createdAt"),
    ("ACTION", "/action"),
    ("TARGET", "/target"),
    ("ACTOR", "/actor"),
    ("VIA", "/via"),
    ("PROJECT", "/projectId"),
];

/// Events in one answer.
const PAGE: u32 = 1_000;

const EXAMPLES: &str = "\
Examples:
  claviger audit list --action 'api-key.*' --limit 20
  claviger audit list --target key_8dK2vQ0mZpR4xTbW
  claviger audit export --format ocsf --output /var/log/claviger-audit.ndjson      again: goes on where it ended
  claviger audit export --from 2030-01-01 --to 2030-02-01 > january.ndjson";

/// Who changed what, and when
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SERVER_HELP}"))]
pub(crate) struct Audit {
    #[command(flatten)]
    server: ServerFlags,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand, Debug)]
enum AuditCommand {
    /// Show what was changed, the latest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many, at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Write what was changed, the oldest first, an event a line
    Export(ExportFlags),
}

#[derive(Args, Debug)]
struct ExportFlags {
    #[command(flatten)]
    filter: Filter,
    /// As the API has them, or as events of the Open Cybersecurity Schema Framework
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// The file; one that is there is gone on with behind its last event [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only what comes behind this event: its `cursor`
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

/// Which events.
#[derive(Args, Debug)]
struct Filter {
    /// Of this account [default: the caller's]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// What this access key, user or MCP server did; `system` for the program itself
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Such as `api-key.created`; with a `*` at its end all that begin so
    #[arg(long)]
    action: Option<String>,
    /// What happened to the object with this id
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// From when on, such as 2030-01-01
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Up to when, and without that
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
}

impl Filter {
    fn asked(&self) -> Asked {
        Asked::new(Method::GET, ["audit-events"])
            .with("accountId", self.account.as_ref())
            .with("actor", self.actor.as_ref())
            .with("action", self.action.as_ref())
            .with("target", self.target.as_ref())
            .with("from", self.from.as_ref())
            .with("to", self.to.as_ref())
    }
}

/// How an event is written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// As the API has them
    Ndjson,
    /// Of the schema: Authentication (3002), User Access Management (3005), Account Change (3001) and API
    /// Activity (6003)
    Ocsf,
}

impl Format {
    fn line(self, event: &Value) -> Result<String> {
        let line = match self {
            Self::Ndjson => event.clone(),
            Self::Ocsf => ocsf::event(event).context("an event of the server has no time")?,
        };
        // What others chose is shown where somebody looks at it, and means the same in a file.
        Ok(plain_text::json_line(&line) + "\n")
    }

    /// Where a line says to go on behind it.
    fn cursor(self, line: &Value) -> Option<&str> {
        let place = match self {
            Self::Ndjson => "/cursor",
            Self::Ocsf => "/unmapped/cursor",
        };
        line.pointer(place)?.as_str()
    }
}

impl Audit {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<Ending> {
        let client = self.server.client()?;
        match self.command {
            AuditCommand::List { filter, limit } => {
                let asked = filter.asked();
                let asked = asked.with("order", Some("desc")).with("limit", Some(limit));
                let call = Call::new(asked, Shown::List(LIST));
                call.carry_out_with(&self.server, &client).await
            }
            AuditCommand::Export(export) => export.run(&client).await,
        }
    }
}

impl ExportFlags {
    async fn run(self, client: &Client) -> Result<Ending> {
        let format = self.format;
        let (mut destination, left_at) = match &self.output {
            Some(path) => Destination::file(path, |line| format.cursor(line).map(str::to_owned))?,
            None => (Destination::standard_output(), None),
        };
        let mut cursor = left_at.or(self.after);
        let mut count = 0;
        loop {
            let asked = self.filter.asked().with("limit", Some(PAGE));
            let answer = client.send(asked.with("cursor", cursor.as_ref())).await?;
            let events = answer.body.as_array().map_or(&[][..], Vec::as_slice);
            let lines = events.iter().map(|event| format.line(event));
            destination.write(&lines.collect::<Result<String>>()?)?;
            count += events.len();
            match answer.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        tell(&format!("{count} events"));
        Ok(Ending::Done)
    }
}
