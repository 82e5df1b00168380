//! Counters: usage by hour, last uses, running limits. They may lose their last second.

pub mod by_key;
pub mod by_project;
pub mod export;
mod journal;
pub(crate) mod rows;
mod unfolded;

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, QuotaUse, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;

pub use self::journal::{SHARDS, fold, fold_all, fold_until_now, journal_bytes, shard_of, waiting};
pub use self::unfolded::{Unfolded, unfolded};
use crate::db::on;
use crate::{Db, StoreError};

/// Checks of one key in one hour.
#[derive(Clone, Copy, Debug)]
pub struct UsageHour<'a> {
    /// The key.
    pub key: &'a Id<id::ApiKey>,
    /// Its project.
    pub project: &'a Id<id::Project>,
    /// Hours since 1970.
    pub hour: i64,
    /// The checks.
    pub counts: UsageCounts,
    /// The last of them that passed.
    pub last_used_at: Option<Timestamp>,
}

/// What was counted since the last flush.
#[derive(Clone, Debug)]
pub struct Flush<'a> {
    /// When it is written.
    pub now: Timestamp,
    /// Checks by key and hour.
    pub hours: Vec<UsageHour<'a>>,
    /// Running limits and quotas by lineage, and when they were so.
    pub allowances: Vec<(&'a Id<id::ApiKey>, Allowance, Timestamp)>,
}

impl Flush<'_> {
    /// Nothing, written at that instant.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            hours: Vec::new(),
            allowances: Vec::new(),
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows it is.
    pub fn len(&self) -> usize {
        self.hours.len() + self.allowances.len()
    }
}

/// How many rows are written where they belong at once. More go to the journal, which costs a
/// twentieth of that, and from there a part at a time.
const AT_ONCE: usize = 1_000;

/// Rows that are looked at before others have their turn: whoever is answered by the same thread waits for it.
const IN_ONE_GO: usize = 250;

/// Adds what was counted, all of it or nothing.
pub async fn add(db: &Db, flush: &Flush<'_>) -> Result<(), StoreError> {
    if flush.is_empty() {
        return Ok(());
    }
    if flush.len() > AT_ONCE {
        return journal::append(db, flush).await;
    }
    let sums = by_project::added_up(&flush.hours).await;
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        rows::write!(tx, flush);
        rows::write_projects!(tx, sums);
        tx.commit().await?;
    });
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AllowanceRow {
    window_started_at: Option<i64>,
    window_ends_at: Option<i64>,
    window_used: i64,
    quota_ends_at: Option<i64>,
    quota_used: i64,
}

/// The limit and quota of a lineage as they were flushed last.
pub async fn allowance(db: &Db, lineage: &Id<id::ApiKey>) -> Result<Option<Allowance>, StoreError> {
    const SQL: &str = "SELECT window_started_at, window_ends_at, window_used, quota_ends_at, \
                       quota_used FROM allowances WHERE lineage = $1";
    let row: Option<AllowanceRow> =
        on!(read db, |c| sqlx::query_as(SQL).bind(lineage.as_str()).fetch_optional(c).await)?;
    Ok(row.map(|row| {
        let bounds = row.window_started_at.zip(row.window_ends_at);
        let window = bounds.map(|(start, end)| Window {
            started_at: Timestamp::from_micros(start),
            ends_at: Timestamp::from_micros(end),
            used: row.window_used.unsigned_abs(),
        });
        let quota = row.quota_ends_at.map(|at| QuotaUse {
            ends_at: Timestamp::from_micros(at),
            used: row.quota_used.unsigned_abs(),
        });
        Allowance::resume(window, quota)
    }))
}

/// When a key of `api_keys` was used last, as far as it is in the rows: a column for queries.
macro_rules! last_used_at {
    () => {
        "(SELECT last_used_at FROM usage_hours WHERE key_id = api_keys.id \
         AND last_used_at IS NOT NULL ORDER BY hour DESC LIMIT 1) AS last_used_at"
    };
}
pub(crate) use last_used_at;

/// The next ids of a table from behind `$1` on, in their order, `$2` at most: one look-up an id, where
/// `DISTINCT` would read every row of it.
macro_rules! next_ids {
    ($table:literal, $column:literal) => {
        concat!(
            "WITH RECURSIVE found (id, place) AS (SELECT (SELECT MIN(",
            $column,
            ") FROM ",
            $table,
            " WHERE ",
            $column,
            " > $1), CAST(1 AS BIGINT) UNION ALL SELECT (SELECT MIN(counted.",
            $column,
            ") FROM ",
            $table,
            " AS counted WHERE counted.",
            $column,
            " > found.id), place + 1 FROM found WHERE found.id IS NOT NULL AND place < $2) \
             SELECT id FROM found WHERE id IS NOT NULL ORDER BY place"
        )
    };
}
pub(crate) use next_ids;

/// When a key was used last, as far as it is in the rows.
pub async fn last_use(db: &Db, key: &Id<id::ApiKey>) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = "SELECT last_used_at FROM usage_hours WHERE key_id = $1 \
                       AND last_used_at IS NOT NULL ORDER BY hour DESC LIMIT 1";
    let at: Option<i64> =
        on!(read db, |c| sqlx::query_scalar(SQL).bind(key.as_str()).fetch_optional(c).await)?;
    Ok(at.map(Timestamp::from_micros))
}

/// Checks of a key on all days, as far as they are in the rows.
pub async fn totals(db: &Db, key: &Id<id::ApiKey>) -> Result<UsageCounts, StoreError> {
    const SQL: &str = "SELECT CAST(COALESCE(SUM(successful), 0) AS BIGINT), \
                       CAST(COALESCE(SUM(failed), 0) AS BIGINT), \
                       CAST(COALESCE(SUM(rate_limited), 0) AS BIGINT) \
                       FROM usage_days WHERE key_id = $1";
    let (successful, failed, rate_limited): (i64, i64, i64) =
        on!(read db, |c| sqlx::query_as(SQL).bind(key.as_str()).fetch_one(c).await)?;
    Ok(UsageCounts {
        successful: successful.unsigned_abs(),
        failed: failed.unsigned_abs(),
        rate_limited: rate_limited.unsigned_abs(),
    })
}
