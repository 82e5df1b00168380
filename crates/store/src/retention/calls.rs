//! The log of calls.

use claviger_domain::time::Timestamp;

use crate::db::{Cell, list_of_rows, on};
use crate::{Db, StoreError};

/// Bytes of blocks that are removed in one go, about: some milliseconds.
const LARGEST: i64 = 8 * 1024 * 1024;

/// Removes blocks of the log whose calls all began before that instant, the oldest first, as many at most and
/// fewer where they are large, and tells how many.
pub async fn remove_calls(db: &Db, before: Timestamp, most: i64) -> Result<u64, StoreError> {
    const BLOCKS: &str = "DELETE FROM call_blocks WHERE (last_at, id) IN \
        (SELECT last_at, id FROM (SELECT last_at, id, \
            SUM(length) OVER (ORDER BY last_at, id) - length AS before FROM \
            (SELECT last_at, id, octet_length(lines) AS length FROM call_blocks \
             WHERE last_at < $1 ORDER BY last_at, id LIMIT $2) AS oldest) AS measured \
         WHERE before < $3) \
        RETURNING last_at, id";
    const PLACES: &str = "DELETE FROM call_block_places WHERE (last_at, block_id) IN \
        (SELECT CAST(value ->> 0 AS BIGINT), value ->> 1 FROM json_each($1))";
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        let removed: Vec<(i64, String)> = sqlx::query_as(BLOCKS)
            .bind(before.as_micros())
            .bind(most)
            .bind(LARGEST)
            .fetch_all(&mut *tx)
            .await?;
        let keys = removed.iter().map(|(last_at, id)| [Cell::from(*last_at), id.as_str().into()]);
        let keys: Vec<_> = keys.collect();
        sqlx::query(PLACES)
            .bind(list_of_rows(&keys))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(u64::try_from(removed.len()).unwrap_or(u64::MAX))
    })
}
