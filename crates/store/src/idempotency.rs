//! Idempotency keys: a repeated request gets the first one's answer.

use claviger_domain::time::Timestamp;

use crate::db::on;
use crate::{Db, StoreError};

/// How long an answer is remembered: a day.
pub const REMEMBERED_SECONDS: i64 = 86_400;

/// What is known of a request when it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the first: the caller goes on, and [`finish`]es or [`forget`]s it.
    First,
    /// The first one is not finished.
    InFlight,
    /// The first one had another body.
    OtherBody,
    /// The first one's status and body, secrets masked.
    Replay {
        /// The HTTP status.
        status: i64,
        /// The body, JSON.
        body: String,
    },
}

#[derive(sqlx::FromRow)]
struct Row {
    body_digest: Vec<u8>,
    status: Option<i64>,
    body: Option<String>,
}

/// Claims a request by its digest (credential, method, path and key) and that of its body.
pub async fn claim(
    db: &Db,
    id: [u8; 32],
    body_digest: [u8; 32],
    now: Timestamp,
) -> Result<Claim, StoreError> {
    const EXPIRE: &str = "DELETE FROM idempotency WHERE created_at < $1";
    const TAKE: &str = "INSERT INTO idempotency (id, body_digest, created_at) VALUES ($1, $2, $3) \
                        ON CONFLICT (id) DO NOTHING";
    const FIND: &str = "SELECT body_digest, status, body FROM idempotency WHERE id = $1";
    db.write(move |tx| {
        Box::pin(async move {
            let oldest = now.plus_seconds(-REMEMBERED_SECONDS).as_micros();
            on!(&mut *tx, |c| sqlx::query(EXPIRE)
                .bind(oldest)
                .execute(c)
                .await
                .map(drop))?;
            let taken = on!(&mut *tx, |c| sqlx::query(TAKE)
                .bind(&id[..])
                .bind(&body_digest[..])
                .bind(now.as_micros())
                .execute(c)
                .await
                .map(|done| done.rows_affected()))?;
            if taken == 1 {
                return Ok(Claim::First);
            }
            let row: Option<Row> = on!(tx, |c| sqlx::query_as(FIND)
                .bind(&id[..])
                .fetch_optional(c)
                .await)?;
            Ok(match row {
                Some(row) if row.body_digest != body_digest => Claim::OtherBody,
                Some(Row {
                    status: Some(status),
                    body: Some(body),
                    ..
                }) => Claim::Replay { status, body },
                // None: the first one was let go of between the two statements.
                Some(_) | None => Claim::InFlight,
            })
        })
    })
    .await
}

/// Remembers the answer of a claimed request; the body must have its secrets masked.
pub async fn finish(db: &Db, id: [u8; 32], status: i64, body: String) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE idempotency SET status = $2, body = $3 WHERE id = $1";
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(&id[..])
                .bind(status)
                .bind(body)
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}

/// Lets go of a claimed request that changed nothing, so that it can be tried again.
pub async fn forget(db: &Db, id: [u8; 32]) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM idempotency WHERE id = $1";
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(&id[..])
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}
