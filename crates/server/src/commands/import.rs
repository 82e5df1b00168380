//! `claviger keys import`: many keys from a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::report::Report;
use super::rows::{self, Format, Rows};
use super::sending::{Counts, Target, send_all};
use super::server::ServerFlags;
use super::{Ending, Refusal};
use crate::output::{json_text, print};

const HELP: &str = "\
Examples:
  claviger keys import customers.csv --dry-run
  claviger keys import customers.csv --project prj_4f8Q2mXc7ZrT1bVw9KpL
  psql -c '…' --csv | claviger keys import - --format csv

A CSV file has a header line. Its columns are name, and key or keyHash (SHA-256 of the key string, hexadecimal
or base64); where you have them also customAccountId, customUserId, customMetaData (JSON), rateLimit,
rateLimitTtl, expiry, allowedDomains, allowedIps, scopes (lists are separated by spaces), quotaLimit,
quotaPeriod, isActive, status, reason, clientIP. A line of an NDJSON file is an object as POST /api-keys takes it.

While the server has no room, and says when to come again, a batch is sent again for two minutes. An import
that was cut short is simply run again: the server knows each key string by itself, also when only
its hash was brought, so that rows that are there already are counted as such and left as they are. There is
no state file that could be lost or go stale. A key string that comes twice is stored once: its second row is
refused (duplicate_key) where both are among the same thousand, and else counts as there already.

Refused rows are in FILE.refused.ndjson, each by its line with the reason and without its key; correct them in
the file and run it again. Exit code 1 when there are any.";

/// The flags of an import.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct ImportFlags {
    /// The file; `-` is standard input
    file: PathBuf,
    /// How it is written [default: by the end of its name: .csv, .ndjson or .jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The project that the keys are moved to; not needed where there is one only
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Check every row, and store nothing
    #[arg(long)]
    dry_run: bool,
}

impl ImportFlags {
    /// Imports the file.
    pub(super) async fn run(self, flags: &ServerFlags) -> Result<Ending> {
        let format = rows::format_of(&self.file, self.format)?;
        let (source, length) = rows::open(&self.file)?;
        let rows = Rows::new(source, format)
            .with_context(|| format!("{} cannot be imported", self.file.display()))?;
        let target = Target {
            client: flags.client()?,
            project: self.project,
            dry_run: self.dry_run,
        };
        let mut refused = Report::new(refused_path(&self.file))?;
        let note = |line, error: &_| refused.note(&json!({"line": line, "error": error}));
        let sent = send_all(&target, rows, length, note).await;
        let refused = refused.finish()?;
        let counts = sent.map_err(|error| cut_short(error, self.dry_run))?;
        print(&if flags.json {
            let summary = json!({
                "rows": counts.rows(), "created": counts.created, "exists": counts.exists,
                "refused": counts.refused, "refusedFile": refused, "dryRun": self.dry_run,
            });
            json_text(&summary)
        } else {
            summary(counts, refused.as_deref(), self.dry_run)
        });
        Ok(if counts.refused == 0 {
            Ending::Done
        } else {
            Ending::Refused
        })
    }
}

fn summary(counts: Counts, refused: Option<&Path>, dry_run: bool) -> String {
    let stored = if dry_run {
        "would be imported"
    } else {
        "imported"
    };
    let mut text = format!(
        "{} rows: {} {stored}, {} there already, {} refused\n",
        counts.rows(),
        counts.created,
        counts.exists,
        counts.refused
    );
    if let Some(path) = refused {
        writeln!(text, "Why: {}", path.display()).expect("a text takes whatever is written");
    }
    text
}

/// Says what is true of an import that did not come to its end.
fn cut_short(error: anyhow::Error, dry_run: bool) -> anyhow::Error {
    if dry_run || error.is::<Refusal>() {
        return error;
    }
    error.context("the import was cut short: run it again, what is there already is left as it is")
}

/// Where refused rows are told: beside the file.
fn refused_path(file: &Path) -> PathBuf {
    let name = if file == Path::new("-") {
        Path::new("import").as_os_str()
    } else {
        file.as_os_str()
    };
    let mut path = name.to_owned();
    path.push(".refused.ndjson");
    path.into()
}
