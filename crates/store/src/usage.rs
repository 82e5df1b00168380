//! Counters: usage by minute, last uses, running limits. They may lose their last second.

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, QuotaUse, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use sqlx::QueryBuilder;

use crate::db::on;
use crate::{Db, StoreError};

/// Checks of one key in one minute.
#[derive(Clone, Debug)]
pub struct UsageMinute {
    /// The key.
    pub key: Id<id::ApiKey>,
    /// Its project.
    pub project: Id<id::Project>,
    /// Minutes since 1970.
    pub minute: i64,
    /// The checks.
    pub counts: UsageCounts,
}

/// What was counted since the last flush.
#[derive(Clone, Debug, Default)]
pub struct Flush {
    /// Checks by key and minute.
    pub minutes: Vec<UsageMinute>,
    /// When each key was used last.
    pub last_uses: Vec<(Id<id::ApiKey>, Timestamp)>,
    /// Running limits and quotas by lineage.
    pub allowances: Vec<(Id<id::ApiKey>, Allowance)>,
}

impl Flush {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.last_uses.is_empty() && self.allowances.is_empty()
    }
}

/// Rows in one statement. As values and not as a JSON list, which takes SQLite three times as long:
/// ten thousand counters are to be written within a twentieth of a second.
const ROWS: usize = 500;

/// Adds what was counted, all of it or nothing.
///
/// Rows are written in one order everywhere: two nodes that count the same keys must not wait for
/// each other.
pub async fn add(db: &Db, flush: &Flush) -> Result<(), StoreError> {
    let mut minutes: Vec<_> = flush.minutes.iter().collect();
    minutes.sort_by_key(|one| (&one.key, one.minute));
    let mut last_uses: Vec<_> = flush.last_uses.iter().collect();
    last_uses.sort();
    let mut allowances: Vec<_> = flush.allowances.iter().collect();
    allowances.sort_by_key(|(lineage, _)| lineage);
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        for rows in minutes.chunks(ROWS) {
            let mut query = QueryBuilder::new(
                "INSERT INTO usage_minutes \
                 (key_id, minute, project_id, successful, failed, rate_limited) ",
            );
            query.push_values(rows, |mut row, one| {
                row.push_bind(one.key.as_str())
                    .push_bind(one.minute)
                    .push_bind(one.project.as_str())
                    .push_bind(stored(one.counts.successful))
                    .push_bind(stored(one.counts.failed))
                    .push_bind(stored(one.counts.rate_limited));
            });
            query.push(
                " ON CONFLICT (key_id, minute) DO UPDATE SET \
                 successful = usage_minutes.successful + excluded.successful, \
                 failed = usage_minutes.failed + excluded.failed, \
                 rate_limited = usage_minutes.rate_limited + excluded.rate_limited",
            );
            query.build().execute(&mut *tx).await?;
        }
        for rows in last_uses.chunks(ROWS) {
            let mut query = QueryBuilder::new("INSERT INTO key_activity (key_id, last_used_at) ");
            query.push_values(rows, |mut row, (key, at)| {
                row.push_bind(key.as_str()).push_bind(at.as_micros());
            });
            query.push(
                " ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at \
                 WHERE key_activity.last_used_at < excluded.last_used_at",
            );
            query.build().execute(&mut *tx).await?;
        }
        for rows in allowances.chunks(ROWS) {
            let mut query = QueryBuilder::new(
                "INSERT INTO allowances (lineage, window_started_at, window_ends_at, window_used, \
                 quota_ends_at, quota_used) ",
            );
            query.push_values(rows, |mut row, (lineage, allowance)| {
                let (window, quota) = allowance.state();
                row.push_bind(lineage.as_str())
                    .push_bind(window.map(|window| window.started_at.as_micros()))
                    .push_bind(window.map(|window| window.ends_at.as_micros()))
                    .push_bind(stored(window.map_or(0, |window| window.used)))
                    .push_bind(quota.map(|quota| quota.ends_at.as_micros()))
                    .push_bind(stored(quota.map_or(0, |quota| quota.used)));
            });
            query.push(
                " ON CONFLICT (lineage) DO UPDATE SET \
                 window_started_at = excluded.window_started_at, \
                 window_ends_at = excluded.window_ends_at, window_used = excluded.window_used, \
                 quota_ends_at = excluded.quota_ends_at, quota_used = excluded.quota_used",
            );
            query.build().execute(&mut *tx).await?;
        }
        tx.commit().await?;
    });
    Ok(())
}

/// A count as rows have it; none gets near what does not fit.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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

/// When a key was used last, as flushed.
pub async fn last_use(db: &Db, key: &Id<id::ApiKey>) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = "SELECT last_used_at FROM key_activity WHERE key_id = $1";
    let at: Option<i64> =
        on!(read db, |c| sqlx::query_scalar(SQL).bind(key.as_str()).fetch_optional(c).await)?;
    Ok(at.map(Timestamp::from_micros))
}

/// Checks of a key in all minutes.
pub async fn totals(db: &Db, key: &Id<id::ApiKey>) -> Result<UsageCounts, StoreError> {
    const SQL: &str = "SELECT CAST(COALESCE(SUM(successful), 0) AS BIGINT), \
                       CAST(COALESCE(SUM(failed), 0) AS BIGINT), \
                       CAST(COALESCE(SUM(rate_limited), 0) AS BIGINT) \
                       FROM usage_minutes WHERE key_id = $1";
    let (successful, failed, rate_limited): (i64, i64, i64) =
        on!(read db, |c| sqlx::query_as(SQL).bind(key.as_str()).fetch_one(c).await)?;
    Ok(UsageCounts {
        successful: successful.unsigned_abs(),
        failed: failed.unsigned_abs(),
        rate_limited: rate_limited.unsigned_abs(),
    })
}
