//! The journal: what was counted of many keys, written in one piece each second, and folded into
//! rows one shard of the keys at a time.
//!
//! A row costs several microseconds to add to, and with very many keys nearly every check is another
//! one's. A piece of the journal costs a twentieth of that. When a shard's turn comes, what was
//! counted of a key in several minutes is one row. Folding takes pieces and adds rows in one
//! transaction, so that each piece is added once, by whichever node and however often one stops.

use std::borrow::Cow;
use std::collections::BTreeMap;

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, QuotaUse, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use serde::{Deserialize, Serialize};

use super::rows;
use super::{Flush, UsageHour};
use crate::db::on;
use crate::{Db, StoreError};

type ApiKeyId = Id<id::ApiKey>;

/// Into how many parts keys are divided.
pub const SHARDS: u8 = 64;

/// The shard of a key. Ids end in characters that were drawn at random.
pub fn shard_of(key: &ApiKeyId) -> u8 {
    let mixed = key
        .as_str()
        .bytes()
        .rev()
        .take(3)
        .fold(0u8, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte));
    mixed % SHARDS
}

/// What was counted of one shard, as `body` has it (postcard, in this order of members).
#[derive(Serialize, Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    projects: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    hours: Vec<Entry<'a>>,
    #[serde(borrow)]
    allowances: Vec<Running<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    key: &'a str,
    /// Its place among the projects.
    project: usize,
    hour: i64,
    successful: u64,
    failed: u64,
    rate_limited: u64,
    last_used_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Running<'a> {
    lineage: &'a str,
    at: i64,
    /// When it started, when it ends, what was taken.
    window: Option<(i64, i64, u64)>,
    /// When it ends, what was taken.
    quota: Option<(i64, u64)>,
}

/// Pieces in one statement.
const PIECES: usize = SHARDS as usize;

/// Writes what was counted as one piece a shard, all of them or none.
pub(super) async fn append(db: &Db, flush: &Flush<'_>) -> Result<(), StoreError> {
    let mut shards: Vec<Flush<'_>> = vec![Flush::default(); PIECES];
    for hour in &flush.hours {
        shards[usize::from(shard_of(hour.key))].hours.push(*hour);
    }
    for running in &flush.allowances {
        let shard = &mut shards[usize::from(shard_of(running.0))];
        shard.allowances.push(*running);
    }
    let mut pieces = Vec::new();
    for (shard, counted) in (0i64..).zip(&shards) {
        if !counted.is_empty() {
            pieces.push((shard, encode(counted)));
        }
        // Encoding all of them in one go would hold up the checks of this thread.
        tokio::task::yield_now().await;
    }
    on!(usage db, |pool| {
        let mut query = sqlx::QueryBuilder::new("INSERT INTO usage_journal (shard, body) ");
        query.push_values(pieces, |mut row, (shard, body)| {
            row.push_bind(shard).push_bind(body);
        });
        query.build().execute(pool).await?;
    });
    Ok(())
}

/// Takes the pieces of a shard and adds them to the rows, all of it or nothing. Gives how many rows
/// that were.
pub async fn fold(db: &Db, shard: u8) -> Result<usize, StoreError> {
    const TAKE: &str = "DELETE FROM usage_journal WHERE shard = $1 RETURNING body";
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(TAKE)
            .bind(i64::from(shard))
            .fetch_all(&mut *tx)
            .await?;
        if bodies.is_empty() {
            return Ok(0);
        }
        let merging = tokio::task::spawn_blocking(move || merge(&bodies));
        let merged = merging.await.unwrap_or_else(|error| {
            std::panic::resume_unwind(error.into_panic());
        })?;
        let flush = merged.as_flush();
        rows::write!(tx, &flush);
        tx.commit().await?;
        Ok(flush.len())
    })
}

/// Folds what is in the journal, before anything is read that has to be true: limits that were
/// counted by a process that was killed.
pub async fn fold_all(db: &Db) -> Result<(), StoreError> {
    const SHARDS_OF: &str = "SELECT DISTINCT shard FROM usage_journal ORDER BY shard";
    let shards: Vec<i64> = on!(usage db, |c| sqlx::query_scalar(SHARDS_OF).fetch_all(c).await)?;
    for shard in shards {
        fold(db, u8::try_from(shard).map_err(|_| BROKEN)?).await?;
    }
    Ok(())
}

fn encode(counted: &Flush<'_>) -> Vec<u8> {
    let mut projects: Vec<&Id<id::Project>> = Vec::new();
    let hours = counted.hours.iter().map(|one| {
        // From the end: keys of one project come together.
        let known = projects.iter().rposition(|project| *project == one.project);
        let project = known.unwrap_or_else(|| {
            projects.push(one.project);
            projects.len() - 1
        });
        Entry {
            key: one.key.as_str(),
            project,
            hour: one.hour,
            successful: one.counts.successful,
            failed: one.counts.failed,
            rate_limited: one.counts.rate_limited,
            last_used_at: one.last_used_at.map(Timestamp::as_micros),
        }
    });
    let hours = hours.collect();
    let allowances = counted.allowances.iter().map(|(lineage, allowance, at)| {
        let (window, quota) = allowance.state();
        Running {
            lineage: lineage.as_str(),
            at: at.as_micros(),
            window: window.map(|one| {
                (
                    one.started_at.as_micros(),
                    one.ends_at.as_micros(),
                    one.used,
                )
            }),
            quota: quota.map(|one| (one.ends_at.as_micros(), one.used)),
        }
    });
    let piece = Piece {
        hours,
        allowances: allowances.collect(),
        projects: projects
            .iter()
            .map(|project| Cow::Borrowed(project.as_str()))
            .collect(),
    };
    postcard::to_stdvec(&piece).expect("numbers and text are written")
}

/// Pieces added up.
#[derive(Default)]
struct Merged {
    projects: Vec<Id<id::Project>>,
    hours: BTreeMap<(ApiKeyId, i64), MergedHour>,
    allowances: BTreeMap<ApiKeyId, (Timestamp, Allowance)>,
}

#[derive(Default)]
struct MergedHour {
    project: usize,
    counts: UsageCounts,
    last_used_at: Option<Timestamp>,
}

impl Merged {
    fn as_flush(&self) -> Flush<'_> {
        let hours = self.hours.iter().map(|((key, hour), one)| UsageHour {
            key,
            project: &self.projects[one.project],
            hour: *hour,
            counts: one.counts,
            last_used_at: one.last_used_at,
        });
        let allowances = self.allowances.iter();
        Flush {
            hours: hours.collect(),
            allowances: allowances
                .map(|(lineage, (at, allowance))| (lineage, *allowance, *at))
                .collect(),
        }
    }

    fn add(&mut self, piece: &Piece<'_>) -> Result<(), StoreError> {
        let places: Vec<usize> = piece
            .projects
            .iter()
            .map(|project| {
                let known = self.projects.iter().position(|one| one.as_str() == project);
                known.unwrap_or_else(|| {
                    self.projects.push(Id::from_trusted(&**project));
                    self.projects.len() - 1
                })
            })
            .collect();
        for entry in &piece.hours {
            let project = *places.get(entry.project).ok_or(BROKEN)?;
            let key = (Id::from_trusted(entry.key), entry.hour);
            let one = self.hours.entry(key).or_default();
            one.project = project;
            one.counts.add(UsageCounts {
                successful: entry.successful,
                failed: entry.failed,
                rate_limited: entry.rate_limited,
            });
            let last_used_at = entry.last_used_at.map(Timestamp::from_micros);
            one.last_used_at = one.last_used_at.max(last_used_at);
        }
        for running in &piece.allowances {
            let window = running.window.map(|(start, end, used)| Window {
                started_at: Timestamp::from_micros(start),
                ends_at: Timestamp::from_micros(end),
                used,
            });
            let quota = running.quota.map(|(end, used)| QuotaUse {
                ends_at: Timestamp::from_micros(end),
                used,
            });
            let at = Timestamp::from_micros(running.at);
            let newest = (at, Allowance::resume(window, quota));
            let lineage = Id::from_trusted(running.lineage);
            let one = self.allowances.entry(lineage).or_insert(newest);
            if one.0 <= at {
                *one = newest;
            }
        }
        Ok(())
    }
}

const BROKEN: StoreError = StoreError::Row {
    table: "usage_journal",
    what: "body",
};

fn merge(bodies: &[Vec<u8>]) -> Result<Merged, StoreError> {
    let mut merged = Merged::default();
    for body in bodies {
        let piece: Piece<'_> = postcard::from_bytes(body).map_err(|_| BROKEN)?;
        merged.add(&piece)?;
    }
    Ok(merged)
}
