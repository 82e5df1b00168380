//! Rows on their way to a server: in batches, several in flight, with what came of each.

use std::io;

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{Asked, Client};
use super::rows::{Row, Rows};
use super::waiting::Waiting;
use crate::output::tell;

/// Rows of a batch: as many as the API takes.
const BATCH_ROWS: usize = 1_000;
/// Bytes of its rows, but for the last of at most 64 KiB: with what is around them 1 MiB, so that a server
/// has room for all that are in flight, which it gives each family of accounts, and none of them waits.
const BATCH_BYTES: usize = 950 * 1_024;
/// Batches in flight: the server writes 48 in one transaction, and reads others meanwhile.
const IN_FLIGHT: usize = 64;
/// Rows between two lines of progress, where there is no terminal.
const LINE_EVERY: u64 = 50_000;

/// Rows that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lines: Vec<u64>,
    keys: Vec<Box<RawValue>>,
    bytes: usize,
    refused: Vec<(u64, Value)>,
    position: u64,
}

impl Batch {
    /// Adds a row.
    pub(super) fn push(&mut self, row: Row) {
        self.position = row.position;
        match row.read {
            Ok(key) => {
                self.bytes += key.get().len();
                self.lines.push(row.line);
                self.keys.push(key);
            }
            Err(message) => {
                let error = json!({"code": "invalid_row", "message": message});
                self.refused.push((row.line, error));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.keys.len() >= BATCH_ROWS
            || self.refused.len() >= BATCH_ROWS
            || self.bytes >= BATCH_BYTES
    }
}

/// Where the rows go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) project: Option<String>,
    pub(super) dry_run: bool,
}

/// What came of all rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) exists: u64,
    pub(super) refused: u64,
}

impl Counts {
    pub(super) fn rows(self) -> u64 {
        self.created + self.exists + self.refused
    }
}

/// Sends all rows, and tells of each that is refused. What was sent stays sent, whatever happens
/// later.
pub(super) async fn send_all(
    target: &Target,
    rows: Rows,
    length: Option<u64>,
    mut refused: impl FnMut(u64, &Value) -> Result<()>,
) -> Result<Counts> {
    let (sender, mut receiver) = mpsc::channel(IN_FLIGHT);
    let reading = tokio::task::spawn_blocking(move || read_batches(rows, &sender));
    let batches = stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut progress = Progress::new(length);
    let waiting = Waiting::beside(progress.bar.clone());
    let mut answered = batches
        .map(|batch| send(target, &waiting, batch))
        .buffer_unordered(IN_FLIGHT);
    let mut counts = Counts::default();
    while let Some(batch) = answered.try_next().await? {
        for (line, error) in &batch.refused {
            refused(*line, error)?;
        }
        counts.created += batch.created;
        counts.exists += batch.exists;
        counts.refused += batch.refused.len() as u64;
        progress.show(counts, batch.position);
    }
    progress.end();
    reading
        .await
        .map_err(|_| anyhow!("reading the rows failed"))??;
    Ok(counts)
}

/// Reads batches until nobody wants more.
fn read_batches(mut rows: Rows, sender: &mpsc::Sender<Batch>) -> Result<()> {
    let mut batch = Batch::default();
    while let Some(row) = rows.next()? {
        batch.push(row);
        if batch.is_full() && sender.blocking_send(std::mem::take(&mut batch)).is_err() {
            return Ok(());
        }
    }
    // An error says that sending failed, which is told where it did.
    drop(sender.blocking_send(batch));
    Ok(())
}

struct Answered {
    created: u64,
    exists: u64,
    refused: Vec<(u64, Value)>,
    position: u64,
}

/// Sends a batch, again where there was no room for it: rows that are there already are known.
async fn send(target: &Target, waiting: &Waiting, batch: Batch) -> Result<Answered> {
    let mut answered = Answered {
        created: 0,
        exists: 0,
        refused: batch.refused,
        position: batch.position,
    };
    if batch.keys.is_empty() {
        return Ok(answered);
    }
    let asked = || {
        let mut body = json!({"dryRun": target.dry_run, "keys": batch.keys});
        if let Some(project) = &target.project {
            body["projectId"] = json!(project);
        }
        Asked::new(Method::POST, ["api-keys", "import"]).body(body)
    };
    let answer = waiting.send(&target.client, asked).await?.body;
    let results = answer
        .as_array()
        .filter(|results| results.len() == batch.lines.len());
    let results =
        results.context("the server answered something else than a result for each row")?;
    for (line, result) in batch.lines.into_iter().zip(results) {
        match result["status"].as_str() {
            Some("created") => answered.created += 1,
            Some("exists") => answered.exists += 1,
            _ => answered.refused.push((line, result["error"].clone())),
        }
    }
    Ok(answered)
}

/// A bar on a terminal, else a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    told: u64,
}

impl Progress {
    fn new(length: Option<u64>) -> Self {
        let bar = io::IsTerminal::is_terminal(&io::stderr()).then(|| {
            let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = if length.is_some() {
                "{bar:30} {percent}%  {msg}  {eta} left"
            } else {
                "{spinner} {msg}  {elapsed}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, told: 0 }
    }

    fn show(&mut self, counts: Counts, position: u64) {
        let rows = counts.rows();
        if let Some(bar) = &self.bar {
            bar.set_position(bar.position().max(position));
            bar.set_message(format!("{rows} rows, {} refused", counts.refused));
        } else if rows / LINE_EVERY > self.told {
            self.told = rows / LINE_EVERY;
            tell(&format!("{rows} rows, {} refused", counts.refused));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
