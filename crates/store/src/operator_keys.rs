//! Operator keys: the credential of whoever runs the instance.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;

use crate::db::on;
use crate::{Change, Db, StoreError, Tx};

/// Finds the operator key with that digest.
pub async fn find_by_digest(
    db: &Db,
    digest: &KeyDigest,
) -> Result<Option<Id<id::OperatorKey>>, StoreError> {
    const SQL: &str = "SELECT id FROM operator_keys WHERE digest = $1";
    let id: Option<String> = on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    Ok(id.map(Id::from_trusted))
}

/// Whether there is an operator key of that id.
pub async fn is_known(db: &Db, id: &Id<id::OperatorKey>) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM operator_keys WHERE id = $1";
    let count: i64 = on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(id.as_str())
        .fetch_one(c)
        .await)?;
    Ok(count > 0)
}

/// Stores an operator key.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::OperatorKey>,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO operator_keys (id, digest, created_at) VALUES ($1, $2, $3)";
    on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(&digest.as_bytes()[..])
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
