//! How webhooks end: deleted by somebody, or with their project or account.

use claviger_domain::event::EventKind;
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use serde_json::json;

use super::{Webhook, WebhookId, append, lock};
use crate::db::on;
use crate::{Change, StoreError, Tx};

/// How long a webhook whose project or account was deleted is told of what happened before, in seconds:
/// longer than a delivery is tried.
const LAST_WORDS: i64 = 2 * 86_400;

/// What is sealed in a row, erased.
macro_rules! erased {
    () => {
        "secret = $3, previous_secret = NULL, previous_until = NULL, earlier_secret = NULL, \
         earlier_until = NULL, legacy_secret = NULL, headers = NULL"
    };
}

/// Removes a webhook within the reach, with its secrets: what waits for it is sent no more.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &WebhookId,
) -> Result<Option<Webhook>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE webhooks SET deleted_at = $2, ",
        erased!(),
        " WHERE id = $1"
    );
    let Some(webhook) = lock(tx, reach, id).await? else {
        return Ok(None);
    };
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .bind(Vec::<u8>::new())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::WebhookDeleted, &webhook, json!({})).await?;
    Ok(Some(webhook))
}

/// Erases up to `most` secrets that sign nothing any more, and as many webhooks that have said their
/// last words.
pub async fn forget(tx: &mut Tx, now: Timestamp, most: i64) -> Result<(), StoreError> {
    const ENDED: &str = concat!(
        "UPDATE webhooks SET deleted_at = $2, ",
        erased!(),
        " WHERE id IN (SELECT id FROM webhooks WHERE ended_at IS NOT NULL \
         AND deleted_at IS NULL AND ended_at < $1 ORDER BY ended_at LIMIT $4)"
    );
    const PREVIOUS: &str = "UPDATE webhooks SET previous_secret = NULL, previous_until = NULL \
                            WHERE id IN (SELECT id FROM webhooks WHERE previous_until IS NOT NULL \
                            AND previous_until <= $1 LIMIT $2)";
    const EARLIER: &str = "UPDATE webhooks SET earlier_secret = NULL, earlier_until = NULL \
                           WHERE id IN (SELECT id FROM webhooks WHERE earlier_until IS NOT NULL \
                           AND earlier_until <= $1 LIMIT $2)";
    on!(&mut *tx, |c| sqlx::query(ENDED)
        .bind(now.plus_seconds(-LAST_WORDS).as_micros())
        .bind(now.as_micros())
        .bind(Vec::<u8>::new())
        .bind(most)
        .execute(c)
        .await
        .map(drop))?;
    for sql in [EARLIER, PREVIOUS] {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(now.as_micros())
            .bind(most)
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}
