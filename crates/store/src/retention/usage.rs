//! Usage that is old: hours go, and later the days that have what was counted in them.

use crate::db::on;
use crate::usage::next_ids;
use crate::{Db, StoreError};

pub(super) const HOURS_IN_A_DAY: i64 = 24;

/// The next keys that have hours, in the order of their ids, from behind `after` on.
pub async fn keys_with_hours(db: &Db, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = next_ids!("usage_hours", "key_id");
    Ok(on!(usage db, |c| sqlx::query_scalar(SQL)
        .bind(after)
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// The next keys that have days, in the order of their ids, from behind `after` on.
pub async fn keys_with_days(db: &Db, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = next_ids!("usage_days", "key_id");
    Ok(on!(usage db, |c| sqlx::query_scalar(SQL)
        .bind(after)
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// Removes what was counted of those keys before that day, `most` rows at once, and gives how many those
/// were.
pub async fn remove_days(
    db: &Db,
    keys: &[String],
    before_day: i64,
    most: i64,
) -> Result<u64, StoreError> {
    const REMOVE: &str = "DELETE FROM usage_days WHERE (key_id, day) IN \
                          (SELECT key_id, day FROM usage_days \
                          WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) \
                          AND day < $2 LIMIT $3)";
    Ok(on!(usage db, |c| sqlx::query(REMOVE)
        .bind(list_of(keys))
        .bind(before_day)
        .bind(most)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}

/// Removes the hours of those keys before that one, `most` rows at once, and gives how many those were.
/// What was counted in them stays in their days. Of the last use of a key the instant stays, without a
/// count.
pub async fn remove_hours(
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
