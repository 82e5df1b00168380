//! Idempotency keys: a repeated request gets the first one's answer.

use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::hexadecimal::hexadecimal;
use crate::{Db, StoreError, Tx};

/// How long an answer is remembered: a day.
pub const REMEMBERED_SECONDS: i64 = 86_400;

/// How long it is kept with its secret, sealed: ten minutes.
pub const SEALED_SECONDS: i64 = 600;

/// Sealed answers that are erased by one change, at most.
const PART: i64 = 200;

/// What is known of a request when it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the first: the caller goes on, and [`finish`]es or [`forget`]s it.
    First,
    /// The first one is not finished.
    InFlight,
    /// The first one had another body.
    OtherBody,
    /// The first one's status and body.
    Replay {
        /// The HTTP status.
        status: i64,
        /// The body, JSON, secrets masked.
        body: String,
        /// The body as it was, sealed; none where it is past its time, or its secret opens nothing
        /// any more.
        sealed: Option<Vec<u8>>,
    },
}

/// An answer that is to be remembered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: i64,
    /// The body, JSON, secrets masked.
    pub body: String,
    /// Where it has a secret that may be given again: the body as it was.
    pub sealed: Option<SealedAnswer>,
}

/// An answer with its secret.
#[derive(Clone, Debug)]
pub struct SealedAnswer {
    /// The id of the API key or access key whose secret it is.
    pub key: String,
    /// The body, sealed for [`Claim::Replay`].
    pub body: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Row {
    body_digest: Vec<u8>,
    status: Option<i64>,
    body: Option<String>,
    sealed: Option<Vec<u8>>,
}

/// That the key whose secret an answer has is as it was made.
macro_rules! is_live {
    () => {
        "(EXISTS (SELECT 1 FROM api_keys WHERE api_keys.id = made_key AND deleted_at IS NULL \
         AND api_keys.status = 'active' AND rotated_to IS NULL) \
         OR EXISTS (SELECT 1 FROM access_keys WHERE access_keys.id = made_key \
         AND deleted_at IS NULL AND is_active AND rotated_to IS NULL))"
    };
}

/// Until when an answer that is sealed now is given again. One that is to be given for longer was
/// written by a clock that was ahead.
fn latest(now: Timestamp) -> i64 {
    now.plus_seconds(SEALED_SECONDS).as_micros()
}

/// Claims a request by its digest (credential, method, path and key) and that of its body.
pub async fn claim(
    db: &Db,
    id: [u8; 32],
    body_digest: [u8; 32],
    now: Timestamp,
) -> Result<Claim, StoreError> {
    // All others that are forgotten are removed by the program in its own time.
    const EXPIRE: &str = "DELETE FROM idempotency WHERE id = $1 AND created_at < $2";
    const TAKE: &str = "INSERT INTO idempotency (id, body_digest, created_at) VALUES ($1, $2, $3) \
                        ON CONFLICT (id) DO NOTHING";
    const FIND: &str = concat!(
        "SELECT body_digest, status, body, CASE WHEN sealed_until > $2 AND sealed_until <= $3 AND ",
        is_live!(),
        " THEN sealed END AS sealed FROM idempotency WHERE id = $1"
    );
    db.write(move |tx| {
        Box::pin(async move {
            let oldest = now.plus_seconds(-REMEMBERED_SECONDS).as_micros();
            on!(&mut *tx, |c| sqlx::query(EXPIRE)
                .bind(&id[..])
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
                .bind(now.as_micros())
                .bind(latest(now))
                .fetch_optional(c)
                .await)?;
            Ok(match row {
                Some(row) if row.body_digest != body_digest => Claim::OtherBody,
                Some(Row {
                    status: Some(status),
                    body: Some(body),
                    sealed,
                    ..
                }) => Claim::Replay {
                    status,
                    body,
                    sealed,
                },
                // None: the first one was let go of between the two statements.
                Some(_) | None => Claim::InFlight,
            })
        })
    })
    .await
}

/// Remembers the answer of a claimed request.
pub async fn finish(
    db: &Db,
    id: [u8; 32],
    answer: Answer,
    now: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE idempotency SET status = $2, body = $3, made_key = $4, sealed = $5, \
                       sealed_until = $6 WHERE id = $1";
    // The key was committed before: what ended it, or exchanged its string, since then has found no
    // answer to erase.
    const ERASE: &str = concat!(
        "UPDATE idempotency SET sealed = NULL, sealed_until = NULL, made_key = NULL WHERE id = $1 \
         AND sealed IS NOT NULL AND (NOT ",
        is_live!(),
        " OR EXISTS (SELECT 1 FROM api_keys WHERE api_keys.id = made_key \
         AND api_keys.updated_at <> api_keys.created_at) \
         OR EXISTS (SELECT 1 FROM access_keys WHERE access_keys.id = made_key \
         AND access_keys.updated_at <> access_keys.created_at))"
    );
    let Answer {
        status,
        body,
        sealed,
    } = answer;
    let until = sealed.as_ref().map(|_| latest(now));
    let (key, sealed) = sealed.map(|sealed| (sealed.key, sealed.body)).unzip();
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(&id[..])
                .bind(status)
                .bind(body)
                .bind(key)
                .bind(sealed)
                .bind(until)
                .execute(c)
                .await
                .map(drop))?;
            on!(tx, |c| sqlx::query(ERASE)
                .bind(&id[..])
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

/// Erases the sealed answers that have a key's secret: it was ended or exchanged.
pub(crate) async fn erase_answers_of(tx: &mut Tx, key: &str) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE idempotency SET sealed = NULL, sealed_until = NULL, made_key = NULL \
                       WHERE made_key = $1 AND sealed IS NOT NULL";
    on!(tx, |c| sqlx::query(SQL)
        .bind(key)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Erases sealed answers that are not given again: past their time, or of keys that went with their
/// project or account.
pub async fn erase_due(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    const DUE: &str = concat!(
        "SELECT id FROM idempotency WHERE sealed IS NOT NULL \
         AND (sealed_until <= $1 OR sealed_until > $3) \
         UNION ALL SELECT id FROM idempotency WHERE sealed IS NOT NULL \
         AND sealed_until > $1 AND sealed_until <= $3 AND NOT ",
        is_live!(),
        " LIMIT $2"
    );
    const SQL: &str = "UPDATE idempotency SET sealed = NULL, sealed_until = NULL, made_key = NULL \
                       WHERE id IN (SELECT unhex(value ->> 0) FROM json_each($1))";
    loop {
        let due: Vec<Vec<u8>> = on!(read db, |c| sqlx::query_scalar(DUE)
            .bind(now.as_micros())
            .bind(PART)
            .bind(latest(now))
            .fetch_all(c)
            .await)?;
        let is_last = i64::try_from(due.len()) != Ok(PART);
        if !due.is_empty() {
            let ids: Vec<_> = due.iter().map(|id| [hexadecimal(id)]).collect();
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    on!(tx, |c| sqlx::query(SQL)
                        .bind(json!(ids).to_string())
                        .execute(c)
                        .await
                        .map(drop))?;
                    Ok(())
                })
            })
            .await?;
        }
        if is_last {
            return Ok(());
        }
    }
}
