//! Counters: usage by minute, last uses, running limits. They may lose their last second.

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, QuotaUse, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use serde_json::json;

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

/// Adds what was counted, all of it or nothing.
///
/// Rows are written in one order everywhere: two nodes that count the same keys must not wait for
/// each other.
pub async fn add(db: &Db, flush: &Flush) -> Result<(), StoreError> {
    const MINUTES: &str = "INSERT INTO usage_minutes (key_id, minute, project_id, successful, failed, \
                           rate_limited) SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), \
                           value ->> 2, CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT), \
                           CAST(value ->> 5 AS BIGINT) FROM json_each($1) WHERE true \
                           ON CONFLICT (key_id, minute) DO UPDATE SET \
                           successful = usage_minutes.successful + excluded.successful, \
                           failed = usage_minutes.failed + excluded.failed, \
                           rate_limited = usage_minutes.rate_limited + excluded.rate_limited";
    const LAST_USES: &str = "INSERT INTO key_activity (key_id, last_used_at) \
                             SELECT value ->> 0, CAST(value ->> 1 AS BIGINT) FROM json_each($1) \
                             WHERE true ON CONFLICT (key_id) DO UPDATE SET \
                             last_used_at = excluded.last_used_at \
                             WHERE key_activity.last_used_at < excluded.last_used_at";
    const ALLOWANCES: &str = "INSERT INTO allowances (lineage, window_started_at, \
                              window_ends_at, window_used, quota_ends_at, quota_used) \
                              SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), \
                              CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT), \
                              CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT) \
                              FROM json_each($1) WHERE true ON CONFLICT (lineage) DO UPDATE SET \
                              window_started_at = excluded.window_started_at, \
                              window_ends_at = excluded.window_ends_at, \
                              window_used = excluded.window_used, \
                              quota_ends_at = excluded.quota_ends_at, \
                              quota_used = excluded.quota_used";
    let mut minutes: Vec<_> = flush.minutes.iter().collect();
    minutes.sort_by_key(|one| (&one.key, one.minute));
    let minutes: Vec<_> = minutes
        .into_iter()
        .map(|one| {
            let UsageCounts {
                successful,
                failed,
                rate_limited,
            } = one.counts;
            json!([
                one.key,
                one.minute,
                one.project,
                successful,
                failed,
                rate_limited
            ])
        })
        .collect();
    let mut last_uses: Vec<_> = flush.last_uses.iter().collect();
    last_uses.sort();
    let last_uses: Vec<_> = last_uses
        .into_iter()
        .map(|(key, at)| json!([key, at.as_micros()]))
        .collect();
    let mut allowances: Vec<_> = flush.allowances.iter().collect();
    allowances.sort_by_key(|(lineage, _)| lineage);
    let allowances: Vec<_> = allowances
        .into_iter()
        .map(|(lineage, allowance)| {
            let (window, quota) = allowance.state();
            json!([
                lineage,
                window.map(|window| window.started_at.as_micros()),
                window.map(|window| window.ends_at.as_micros()),
                window.map_or(0, |window| window.used),
                quota.map(|quota| quota.ends_at.as_micros()),
                quota.map_or(0, |quota| quota.used),
            ])
        })
        .collect();
    let lists = [
        (MINUTES, minutes),
        (LAST_USES, last_uses),
        (ALLOWANCES, allowances),
    ];
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        for (sql, rows) in lists {
            if !rows.is_empty() {
                let rows = json!(rows).to_string();
                sqlx::query(sql).bind(rows).execute(&mut *tx).await?;
            }
        }
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
