//! The journal: what was counted of many keys, written in one piece each second, and folded into
//! rows one shard of the keys at a time.
//!
//! A row costs several microseconds to add to, and with very many keys nearly every check is another
//! one's. A piece of the journal costs a twentieth of that. When a shard's turn comes, what was
//! counted of a key in several minutes is one row. Folding takes pieces and adds rows in one
//! transaction, so that each piece is added once, by whichever node and however often one stops.

use std::borrow::Cow;
use std::collections::BTreeMap;

use claviger_domain::base62;
use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, QuotaUse, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use serde::{Deserialize, Serialize};

use super::by_project::{self, Sums};
use super::rows;
use super::{Flush, IN_ONE_GO, UsageHour};
use crate::db::{Engine, on};
use crate::{Db, StoreError};

type ApiKeyId = Id<id::ApiKey>;

/// Into how many parts keys are divided: what is folded in one transaction is one of them.
pub const SHARDS: u16 = 256;

/// The shard of a key: of the 256, in the order of ids, the one that its first characters are in, which
/// were drawn at random. So the rows of a shard are neighbours in their tables. Spread over the whole of
/// them, each would be a page of its own to write.
pub fn shard_of(key: &ApiKeyId) -> u16 {
    const FIRST: usize = <id::ApiKey as id::Kind>::PREFIX.len() + 1;
    const PLACES: u32 = 62 * 62;
    let characters = key.as_str().as_bytes();
    let digit = |place: usize| characters.get(place).copied().map_or(0, base62::digit);
    let place = 62 * u32::from(digit(FIRST)) + u32::from(digit(FIRST + 1));
    u16::try_from(place * u32::from(SHARDS) / PLACES).expect("less than the number of shards")
}

/// What a body begins with: another form of it would have another number.
const FORM: u8 = 2;
/// The same, of which the sums of projects do not know yet: as it was written before there were any.
const FORM_WITHOUT_PROJECTS: u8 = 1;

/// What was counted of one shard, as `body` has it behind [`FORM`] (postcard, in this order of
/// members).
#[derive(Serialize, Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow)]
    pub(super) projects: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) hours: Vec<Entry<'a>>,
    #[serde(borrow)]
    allowances: Vec<Running<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    /// Its place among the projects.
    pub(super) project: usize,
    pub(super) hour: i64,
    successful: u64,
    failed: u64,
    rate_limited: u64,
    last_used_at: Option<i64>,
}

impl Entry<'_> {
    pub(super) fn counts(&self) -> UsageCounts {
        UsageCounts {
            successful: self.successful,
            failed: self.failed,
            rate_limited: self.rate_limited,
        }
    }
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
    let mut shards: Vec<Flush<'_>> = vec![Flush::at(flush.now); PIECES];
    for hours in flush.hours.chunks(IN_ONE_GO) {
        for hour in hours {
            shards[usize::from(shard_of(hour.key))].hours.push(*hour);
        }
        tokio::task::yield_now().await;
    }
    for allowances in flush.allowances.chunks(IN_ONE_GO) {
        for running in allowances {
            let shard = &mut shards[usize::from(shard_of(running.0))];
            shard.allowances.push(*running);
        }
        tokio::task::yield_now().await;
    }
    let mut pieces = Vec::new();
    for (shard, counted) in (0i64..).zip(&shards) {
        if !counted.is_empty() {
            pieces.push((shard, encode(counted)));
        }
        // Encoding all of them in one go would hold up the checks of this thread.
        tokio::task::yield_now().await;
    }
    let sums = by_project::added_up(&flush.hours).await;
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        let mut query = sqlx::QueryBuilder::new("INSERT INTO usage_journal (shard, body) ");
        query.push_values(pieces, |mut row, (shard, body)| {
            row.push_bind(shard).push_bind(body);
        });
        query.build().execute(&mut *tx).await?;
        rows::write_projects!(tx, sums);
        tx.commit().await?;
    });
    Ok(())
}

/// Takes the pieces of a shard and adds them to the rows, all of it or nothing. Gives how many rows
/// that were.
///
/// When nobody waits for it any more, nothing has happened.
pub async fn fold(db: &Db, shard: u16, now: Timestamp) -> Result<usize, StoreError> {
    // What another node is folding, which may have been frozen at it, is left to that. SQLite has one
    // writer, and no word for it.
    let take = match &db.0.engine {
        Engine::Sqlite { .. } => "DELETE FROM usage_journal WHERE shard = $1 RETURNING body",
        Engine::Postgres(_) => {
            "DELETE FROM usage_journal WHERE seq IN (SELECT seq FROM usage_journal \
             WHERE shard = $1 FOR UPDATE SKIP LOCKED) RETURNING body"
        }
    };
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(take)
            .bind(i64::from(shard))
            .fetch_all(&mut *tx)
            .await?;
        if bodies.is_empty() {
            return Ok(0);
        }
        let merging = tokio::task::spawn_blocking(move || merge(&bodies, now));
        let merged = merging.await.unwrap_or_else(|error| {
            std::panic::resume_unwind(error.into_panic());
        })?;
        let flush = merged.as_flush(now);
        rows::write!(tx, &flush);
        rows::write_projects!(tx, merged.sums());
        tx.commit().await?;
        Ok(flush.len())
    })
}

/// The shards that have something in the journal.
pub async fn waiting(db: &Db) -> Result<Vec<u16>, StoreError> {
    const SQL: &str = "SELECT DISTINCT shard FROM usage_journal ORDER BY shard";
    let shards: Vec<i64> = on!(usage db, |c| sqlx::query_scalar(SQL).fetch_all(c).await)?;
    let shards = shards.into_iter();
    shards
        .map(|shard| u16::try_from(shard).map_err(|_| BROKEN))
        .collect()
}

/// How many bytes the journal has, of pieces that are not in their rows yet.
pub async fn journal_bytes(db: &Db) -> Result<u64, StoreError> {
    const SQL: &str = "SELECT CAST(COALESCE(SUM(LENGTH(body)), 0) AS BIGINT) FROM usage_journal";
    let bytes: i64 = on!(usage db, |c| sqlx::query_scalar(SQL).fetch_one(c).await)?;
    Ok(bytes.unsigned_abs())
}

/// Folds what is in the journal, before anything is read that has to be true: limits that were
/// counted by a process that was killed.
pub async fn fold_all(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for shard in waiting(db).await? {
        // One that cannot be read does not keep the others.
        let folded = fold(db, shard, now).await;
        outcome = outcome.and(folded.map(drop));
    }
    outcome
}

/// Folds all that is in the journal by now; `false` where another program has some of it in hand, and it is
/// in no row yet.
pub async fn fold_until_now(db: &Db, now: Timestamp) -> Result<bool, StoreError> {
    const LAST: &str = "SELECT COALESCE(MAX(seq), 0) FROM usage_journal";
    const IS_LEFT: &str = "SELECT COUNT(*) FROM usage_journal WHERE seq <= $1";
    let last: i64 = on!(usage db, |c| sqlx::query_scalar(LAST).fetch_one(c).await)?;
    fold_all(db, now).await?;
    let left: i64 = on!(usage db, |c| sqlx::query_scalar(IS_LEFT).bind(last).fetch_one(c).await)?;
    Ok(left == 0)
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
    postcard::to_extend(&piece, vec![FORM]).expect("numbers and text are written")
}

/// Pieces added up.
#[derive(Default)]
struct Merged {
    projects: Vec<Id<id::Project>>,
    hours: BTreeMap<(ApiKeyId, i64), MergedHour>,
    allowances: BTreeMap<ApiKeyId, (Timestamp, Allowance)>,
    /// What the sums of projects do not know yet, by the project's place and hour.
    sums: BTreeMap<(usize, i64), UsageCounts>,
}

#[derive(Default)]
struct MergedHour {
    project: usize,
    counts: UsageCounts,
    last_used_at: Option<Timestamp>,
}

impl Merged {
    fn as_flush(&self, now: Timestamp) -> Flush<'_> {
        let hours = self.hours.iter().map(|((key, hour), one)| UsageHour {
            key,
            project: &self.projects[one.project],
            hour: *hour,
            counts: one.counts,
            last_used_at: one.last_used_at,
        });
        let allowances = self.allowances.iter();
        Flush {
            now,
            hours: hours.collect(),
            allowances: allowances
                .map(|(lineage, (at, allowance))| (lineage, *allowance, *at))
                .collect(),
        }
    }

    fn sums(&self) -> Sums<'_> {
        let sums = self.sums.iter();
        sums.map(|((project, hour), counts)| ((&self.projects[*project], *hour), *counts))
            .collect()
    }

    fn add(&mut self, form: u8, piece: &Piece<'_>, now: Timestamp) -> Result<(), StoreError> {
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
            one.counts.add(entry.counts());
            let last_used_at = entry.last_used_at.map(Timestamp::from_micros);
            one.last_used_at = one.last_used_at.max(last_used_at);
            if form == FORM_WITHOUT_PROJECTS {
                let sum = self.sums.entry((project, entry.hour)).or_default();
                sum.add(entry.counts());
            }
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
            // A clock that was ahead then must not make it newer than what comes.
            let at = Timestamp::from_micros(running.at).min(now);
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

fn merge(bodies: &[Vec<u8>], now: Timestamp) -> Result<Merged, StoreError> {
    let mut merged = Merged::default();
    for body in bodies {
        let (form, piece) = read_piece(body)?;
        merged.add(form, &piece, now)?;
    }
    Ok(merged)
}

/// Reads a body, and which form it has.
pub(super) fn read_piece(body: &[u8]) -> Result<(u8, Piece<'_>), StoreError> {
    let Some((form @ (&FORM | &FORM_WITHOUT_PROJECTS), body)) = body.split_first() else {
        return Err(BROKEN);
    };
    let (piece, rest) = postcard::take_from_bytes(body).map_err(|_| BROKEN)?;
    if rest.is_empty() {
        Ok((*form, piece))
    } else {
        Err(BROKEN)
    }
}
