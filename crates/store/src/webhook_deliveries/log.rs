//! The log of deliveries, and sending some of them again. Who asks has found the webhook already.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{DeliveryStatus, Topic};
use serde_json::{Value, json};

use super::Delivery;
use super::fan_out::wake;
use crate::db::on;
use crate::webhooks::{self, Webhook};
use crate::{Change, Db, StoreError, Tx};

type WebhookId = Id<id::Webhook>;

macro_rules! columns {
    () => {
        "id, event_id, topic, status, attempts, next_at, created_at"
    };
}

/// Which deliveries to list.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Of which that became.
    pub status: Option<DeliveryStatus>,
    /// Of that topic.
    pub topic: Option<Topic>,
    /// Of events that happened before then.
    pub before: Timestamp,
}

/// Deliveries that are looked at for a list, at most: the latest of those before [`Filter::before`] that
/// became what is asked for.
pub const LOOKED_AT: i64 = 10_000;

/// Lists the deliveries of a webhook, the newest first, and tells how many there are among those that
/// were looked at.
pub async fn list(
    db: &Db,
    webhook: &WebhookId,
    filter: Filter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Delivery>, i64), StoreError> {
    // A condition each, so that each has its index.
    macro_rules! rows {
        ($which:literal) => {
            concat!(
                "SELECT * FROM (SELECT ",
                columns!(),
                " FROM webhook_deliveries WHERE webhook_id = $1 AND created_at < $2 ",
                $which,
                " ORDER BY created_at DESC, id DESC LIMIT $6) AS latest \
                 WHERE $3 IS NULL OR topic = $3 \
                 ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5"
            )
        };
    }
    macro_rules! total {
        ($which:literal) => {
            concat!(
                "SELECT COUNT(*) FROM (SELECT topic FROM webhook_deliveries \
                 WHERE webhook_id = $1 AND created_at < $2 ",
                $which,
                " ORDER BY created_at DESC, id DESC LIMIT $4) AS latest \
                 WHERE $3 IS NULL OR topic = $3"
            )
        };
    }
    let (rows, total) = match filter.status {
        None => (rows!(""), total!("")),
        Some(DeliveryStatus::Waiting) => (
            rows!("AND next_at IS NOT NULL"),
            total!("AND next_at IS NOT NULL"),
        ),
        Some(DeliveryStatus::Failed) => (
            rows!("AND status = 'failed'"),
            total!("AND status = 'failed'"),
        ),
        Some(DeliveryStatus::Delivered) => (
            rows!("AND status = 'delivered'"),
            total!("AND status = 'delivered'"),
        ),
    };
    let topic = filter.topic.map(Topic::as_str);
    let rows = on!(read db, |c| sqlx::query_as(rows)
        .bind(webhook.as_str())
        .bind(filter.before.as_micros())
        .bind(topic)
        .bind(limit)
        .bind(offset)
        .bind(LOOKED_AT)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(total)
        .bind(webhook.as_str())
        .bind(filter.before.as_micros())
        .bind(topic)
        .bind(LOOKED_AT)
        .fetch_one(c)
        .await)?;
    Ok((rows, total))
}

/// Sends a delivery of a webhook again, whatever became of it, as if for the first time.
pub async fn replay(
    tx: &mut Tx,
    change: &Change,
    webhook: &Webhook,
    id: &Id<id::Delivery>,
) -> Result<Option<Delivery>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE webhook_deliveries SET status = 'waiting', failures = 0, next_at = $3, \
         replays = replays + 1 \
         WHERE id = $1 AND webhook_id = $2 RETURNING ",
        columns!()
    );
    let replayed: Option<Delivery> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(webhook.id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    if replayed.is_some() {
        wake_again(tx, change, webhook, 1, json!({"delivery": id})).await?;
    }
    Ok(replayed)
}

/// Has a webhook sent what was replayed, even if its receiver asked for a rest: somebody says that it
/// takes something now.
async fn wake_again(
    tx: &mut Tx,
    change: &Change,
    webhook: &Webhook,
    deliveries: i64,
    data: Value,
) -> Result<(), StoreError> {
    resume(tx, &webhook.id).await?;
    let woken = std::iter::once((webhook.id.as_str(), deliveries, 0));
    wake(tx, woken, change.now.as_micros()).await?;
    webhooks::append(tx, change, EventKind::WebhookReplayed, webhook, data).await
}

/// Deliveries of events that happened in a time.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From then on.
    pub from: Timestamp,
    /// Before then.
    pub to: Timestamp,
    /// Also those that the receiver took.
    pub with_delivered: bool,
}

/// Finds deliveries of a span that have failed, or all that came to an end: up to `most` of those
/// behind `after`, each with when its event happened, the oldest first.
pub async fn replayable(
    db: &Db,
    webhook: &WebhookId,
    span: Span,
    after: &(i64, String),
    most: i64,
) -> Result<Vec<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT created_at, id FROM webhook_deliveries WHERE webhook_id = $1 \
                       AND created_at >= $2 AND created_at < $3 \
                       AND (created_at, id) > ($5, $6) \
                       AND (status = 'failed' OR (status = 'delivered' AND $4)) \
                       ORDER BY created_at, id LIMIT $7";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(webhook.as_str())
        .bind(span.from.as_micros())
        .bind(span.to.as_micros())
        .bind(span.with_delivered)
        .bind(after.0)
        .bind(&after.1)
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// Sends these deliveries of a webhook again, but for those that wait, and tells how many.
pub async fn replay_all<'a>(
    tx: &mut Tx,
    change: &Change,
    webhook: &Webhook,
    ids: impl Iterator<Item = &'a str>,
) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE webhook_deliveries SET status = 'waiting', failures = 0, \
                       next_at = $2, replays = replays + 1 WHERE id IN (SELECT value ->> 0 FROM json_each($3)) \
                       AND webhook_id = $1 AND status <> 'waiting'";
    let ids = crate::reach::list(ids);
    let replayed = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(webhook.id.as_str())
        .bind(change.now.as_micros())
        .bind(ids)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if replayed > 0 {
        let count = i64::try_from(replayed).unwrap_or(i64::MAX);
        wake_again(tx, change, webhook, count, json!({"deliveries": count})).await?;
    }
    Ok(replayed)
}

/// Lets a webhook be sent what is due at once: what its receiver asked for is over. One that failed is
/// still asked with one request before it gets more, and beside the others that failed: who asks for
/// replays all the time keeps no worker from those whose receivers take something.
pub async fn resume(tx: &mut Tx, webhook: &WebhookId) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE webhooks SET rests_until = NULL, \
                       failed_holds = CASE WHEN failed_holds > 1 THEN 1 ELSE failed_holds END \
                       WHERE id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(webhook.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes a webhook away from who holds it: how its former receiver did is not written any more.
pub async fn take_away(tx: &mut Tx, webhook: &WebhookId) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE webhooks SET lease = NULL, leased_until = NULL WHERE id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(webhook.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
