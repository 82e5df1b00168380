//! Usage of a time, key by key in the order of their ids, of the whole instance: for whoever bills by it.

use std::ops::Range;

use claviger_domain::usage::UsageCounts;

use super::next_ids;
use crate::db::on;
use crate::reach::list;
use crate::{Db, StoreError};

/// What was counted of a key. What its row says of it is not there where the key was removed for good.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ExportedKey {
    /// The key.
    pub key_id: String,
    /// Its project.
    pub project_id: String,
    /// The account of that.
    pub account_id: Option<String>,
    /// What the key is called.
    pub name: Option<String>,
    /// Whose it is.
    pub custom_account_id: Option<String>,
    /// Who of them uses it.
    pub custom_user_id: Option<String>,
    successful: i64,
    failed: i64,
    rate_limited: i64,
}

impl ExportedKey {
    /// Its checks.
    pub fn counts(&self) -> UsageCounts {
        UsageCounts {
            successful: self.successful.unsigned_abs(),
            failed: self.failed.unsigned_abs(),
            rate_limited: self.rate_limited.unsigned_abs(),
        }
    }
}

/// Of so many keys behind that id those that were checked on some days (counted since 1970), and the last of
/// the keys; none where there are none.
pub async fn part(
    db: &Db,
    days: &Range<i64>,
    after: &str,
    most: i64,
) -> Result<(Vec<ExportedKey>, Option<String>), StoreError> {
    const KEYS: &str = next_ids!("usage_days", "key_id");
    const COUNTS: &str = "SELECT counted.key_id, counted.project_id, projects.account_id, \
        api_keys.name, api_keys.custom_account_id, api_keys.custom_user_id, counted.successful, \
        counted.failed, counted.rate_limited FROM (SELECT key_id, MAX(project_id) AS project_id, \
        CAST(SUM(successful) AS BIGINT) AS successful, CAST(SUM(failed) AS BIGINT) AS failed, \
        CAST(SUM(rate_limited) AS BIGINT) AS rate_limited FROM usage_days \
        WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) AND day >= $2 AND day < $3 \
        GROUP BY key_id) AS counted LEFT JOIN projects ON projects.id = counted.project_id \
        LEFT JOIN api_keys ON api_keys.id = counted.key_id \
        WHERE counted.successful + counted.failed + counted.rate_limited > 0 \
        ORDER BY counted.key_id";
    let keys: Vec<String> = on!(read db, |c| sqlx::query_scalar(KEYS)
        .bind(after)
        .bind(most)
        .fetch_all(c)
        .await)?;
    let Some(last) = keys.last() else {
        return Ok((Vec::new(), None));
    };
    let ids = list(keys.iter().map(String::as_str));
    let counted = on!(read db, |c| sqlx::query_as(COUNTS)
        .bind(&ids)
        .bind(days.start)
        .bind(days.end)
        .fetch_all(c)
        .await)?;
    Ok((counted, Some(last.clone())))
}
