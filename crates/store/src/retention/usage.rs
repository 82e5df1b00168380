//! Usage that is old: hours are added up to days, and days go.
//!
//! A day is the row of its first hour, so that whoever adds up days, months or years reads the same
//! before and after, and nobody needs to know of two tables. Nothing is told of the hours any more.

use std::collections::BTreeMap;
use std::ops::Range;

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;

use crate::db::on;
use crate::usage::{Flush, UsageHour, rows};
use crate::{Db, StoreError};

pub(super) const HOURS_IN_A_DAY: i64 = 24;

/// The next keys that something was counted of, in the order of their ids, from behind `after` on.
pub async fn keys_with_usage(db: &Db, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
    // One look-up a key, where `DISTINCT` would read every hour of it.
    const SQL: &str = "WITH RECURSIVE keys (key_id, place) AS ( \
                       SELECT (SELECT MIN(key_id) FROM usage_hours WHERE key_id > $1), \
                       CAST(1 AS BIGINT) UNION ALL \
                       SELECT (SELECT MIN(usage_hours.key_id) FROM usage_hours \
                       WHERE usage_hours.key_id > keys.key_id), place + 1 FROM keys \
                       WHERE keys.key_id IS NOT NULL AND place < $2) \
                       SELECT key_id FROM keys WHERE key_id IS NOT NULL ORDER BY place";
    Ok(on!(usage db, |c| sqlx::query_scalar(SQL)
        .bind(after)
        .bind(most)
        .fetch_all(c)
        .await)?)
}

#[derive(sqlx::FromRow)]
struct Row {
    key_id: String,
    hour: i64,
    project_id: String,
    successful: i64,
    failed: i64,
    rate_limited: i64,
    last_used_at: Option<i64>,
}

/// What was counted of a key in a day.
#[derive(Default)]
struct Day {
    project: String,
    counts: UsageCounts,
    last_used_at: Option<Timestamp>,
}

/// Adds up hours of those keys to days, `most` of them at once, and gives how many hours that were.
pub async fn fold_days(
    db: &Db,
    keys: &[String],
    hours: Range<i64>,
    most: i64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    // What is taken out is what was there last, also when somebody adds to it meanwhile.
    const TAKE: &str = "DELETE FROM usage_hours WHERE (key_id, hour) IN \
                        (SELECT key_id, hour FROM usage_hours \
                        WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) \
                        AND hour >= $2 AND hour < $3 AND hour % 24 <> 0 LIMIT $4) \
                        RETURNING key_id, hour, project_id, successful, failed, rate_limited, \
                        last_used_at";
    let list = list_of(keys);
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        let taken: Vec<Row> = sqlx::query_as(TAKE)
            .bind(list)
            .bind(hours.start)
            .bind(hours.end)
            .bind(most)
            .fetch_all(&mut *tx)
            .await?;
        let count = taken.len();
        let days = added_up(taken);
        let projects: Vec<Id<id::Project>> = days
            .values()
            .map(|day| Id::from_trusted(&*day.project))
            .collect();
        let rows = days.iter().zip(&projects);
        let flush = Flush {
            hours: rows
                .map(|(((key, hour), day), project)| UsageHour {
                    key,
                    project,
                    hour: *hour,
                    counts: day.counts,
                    last_used_at: day.last_used_at,
                })
                .collect(),
            ..Flush::at(now)
        };
        rows::write!(tx, &flush);
        tx.commit().await?;
        Ok(count as u64)
    })
}

fn added_up(hours: Vec<Row>) -> BTreeMap<(Id<id::ApiKey>, i64), Day> {
    let mut days: BTreeMap<_, Day> = BTreeMap::new();
    for hour in hours {
        let first = hour.hour.div_euclid(HOURS_IN_A_DAY) * HOURS_IN_A_DAY;
        let day = days
            .entry((Id::from_trusted(hour.key_id), first))
            .or_default();
        // An hour of which the project was never known has none.
        if day.project.is_empty() {
            day.project = hour.project_id;
        }
        day.counts.add(UsageCounts {
            successful: hour.successful.unsigned_abs(),
            failed: hour.failed.unsigned_abs(),
            rate_limited: hour.rate_limited.unsigned_abs(),
        });
        let last_used_at = hour.last_used_at.map(Timestamp::from_micros);
        day.last_used_at = day.last_used_at.max(last_used_at);
    }
    days
}

/// Removes what was counted of those keys before that hour, `most` rows at once, and gives how many
/// those were. Of the last use of a key the instant stays, without a count.
pub async fn remove_days(
    db: &Db,
    keys: &[String],
    before_hour: i64,
    most: i64,
) -> Result<u64, StoreError> {
    const REMOVE: &str = "DELETE FROM usage_hours WHERE (key_id, hour) IN \
                          (SELECT key_id, hour FROM usage_hours AS old \
                          WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) AND hour < $2 \
                          AND (last_used_at IS NULL OR EXISTS (SELECT 1 FROM usage_hours AS later \
                          WHERE later.key_id = old.key_id AND later.hour > old.hour \
                          AND later.last_used_at IS NOT NULL)) LIMIT $3)";
    const EMPTY: &str = "UPDATE usage_hours SET successful = 0, failed = 0, rate_limited = 0 \
                         WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) AND hour < $2 \
                         AND last_used_at IS NOT NULL \
                         AND successful + failed + rate_limited > 0 \
                         AND NOT EXISTS (SELECT 1 FROM usage_hours AS later \
                         WHERE later.key_id = usage_hours.key_id \
                         AND later.hour > usage_hours.hour AND later.last_used_at IS NOT NULL)";
    let list = list_of(keys);
    let removed = on!(usage db, |c| sqlx::query(REMOVE)
        .bind(&list)
        .bind(before_hour)
        .bind(most)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    let emptied = on!(usage db, |c| sqlx::query(EMPTY)
        .bind(&list)
        .bind(before_hour)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(removed + emptied)
}

/// Ids as the statements take a list.
pub(super) fn list_of(keys: &[String]) -> String {
    let keys: Vec<[&str; 1]> = keys.iter().map(|key| [key.as_str()]).collect();
    serde_json::to_string(&keys).expect("texts are JSON")
}
