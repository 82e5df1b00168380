//! Operator keys: the credential of whoever runs the instance. Their rows stay when they have ended.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::{Change, Db, StoreError, Tx, instance};

/// An operator key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorKey {
    /// Its id.
    pub id: Id<id::OperatorKey>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops, or stopped.
    pub stops_at: Option<Timestamp>,
}

impl OperatorKey {
    /// Whether it is taken.
    pub fn is_live_at(&self, now: Timestamp) -> bool {
        self.stops_at.is_none_or(|stop| now < stop)
    }
}

/// Finds the operator key with that digest, as long as it is taken.
pub async fn find_by_digest(
    db: &Db,
    digest: &KeyDigest,
    now: Timestamp,
) -> Result<Option<Id<id::OperatorKey>>, StoreError> {
    const SQL: &str = "SELECT id FROM operator_keys WHERE digest = $1 \
                       AND (stops_at IS NULL OR stops_at > $2)";
    let id: Option<String> = on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(&digest.as_bytes()[..])
        .bind(now.as_micros())
        .fetch_optional(c)
        .await)?;
    Ok(id.map(Id::from_trusted))
}

const IS_LIVE: &str = "SELECT COUNT(*) > 0 FROM operator_keys WHERE id = $1 \
                       AND (stops_at IS NULL OR stops_at > $2)";

/// Whether there is an operator key of that id which is taken.
pub async fn is_live(
    db: &Db,
    id: &Id<id::OperatorKey>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(on!(read db, |c| sqlx::query_scalar(IS_LIVE)
        .bind(id.as_str())
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?)
}

/// The same in a transaction.
pub(crate) async fn is_live_in(
    tx: &mut Tx,
    id: &Id<id::OperatorKey>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(on!(tx, |c| sqlx::query_scalar(IS_LIVE)
        .bind(id.as_str())
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?)
}

/// All of them, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<OperatorKey>, StoreError> {
    const SQL: &str = "SELECT id, created_at, stops_at FROM operator_keys ORDER BY created_at, id";
    let rows: Vec<(String, i64, Option<i64>)> =
        on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
    let keys = rows
        .into_iter()
        .map(|(id, created_at, stops_at)| OperatorKey {
            id: Id::from_trusted(id),
            created_at: Timestamp::from_micros(created_at),
            stops_at: stops_at.map(Timestamp::from_micros),
        });
    Ok(keys.collect())
}

/// Stores an operator key. Operators are of no account; the trail that tells of it is the first one's.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::OperatorKey>,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO operator_keys (id, digest, created_at) VALUES ($1, $2, $3)";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(&digest.as_bytes()[..])
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let kind = EventKind::OperatorKeyCreated;
    instance::note(tx, change, kind, id.as_str(), json!({})).await
}

/// Ends an operator key, now or at a later instant; `false` when it has ended before that.
pub async fn end(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::OperatorKey>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let ended = stop(tx, id, at).await?;
    if ended {
        let kind = EventKind::OperatorKeyRevoked;
        instance::note(tx, change, kind, id.as_str(), json!({"stopsAt": at})).await?;
    }
    Ok(ended)
}

/// Ends an operator key in favour of a successor, to which what it made for agents goes, and whom it
/// invited; `false` when it has ended before.
pub async fn hand_over(
    tx: &mut Tx,
    change: &Change,
    old: &Id<id::OperatorKey>,
    new: &Id<id::OperatorKey>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    const MADE: [&str; 3] = [
        "UPDATE mcp_servers SET maker_id = $2 WHERE maker_kind = 'operator' AND maker_id = $1",
        "UPDATE link_tokens SET maker_id = $2 WHERE maker_kind = 'operator' AND maker_id = $1",
        "UPDATE invitations SET last_changed_by = $2 \
         WHERE last_changed_by = $1 AND status = 'pending'",
    ];
    if !stop(tx, old, at).await? {
        return Ok(false);
    }
    for sql in MADE {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(old.as_str())
            .bind(new.as_str())
            .execute(c)
            .await
            .map(drop))?;
    }
    let kind = EventKind::OperatorKeyRotated;
    let data = json!({"oldId": old, "newId": new, "stopsAt": at});
    instance::note(tx, change, kind, old.as_str(), data).await?;
    Ok(true)
}

async fn stop(tx: &mut Tx, id: &Id<id::OperatorKey>, at: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE operator_keys SET stops_at = $2 \
                       WHERE id = $1 AND (stops_at IS NULL OR stops_at > $2)";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(at.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}
