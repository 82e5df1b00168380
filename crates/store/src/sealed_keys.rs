//! Full keys of projects whose keys can be read back: sealed, in rows of their own beside those of the
//! keys. What is erased here is gone, whatever becomes of the key.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::hexadecimal::hexadecimal;
use crate::reach::list;
use crate::{Change, Db, StoreError, Tx};

type ApiKeyId = Id<id::ApiKey>;

/// Keeps what is sealed of keys that were just stored, in those projects whose keys can be read back
/// now: it may have been another way when it was sealed. Their projects are held.
pub(crate) async fn keep<'a>(
    tx: &mut Tx,
    keys: impl Iterator<Item = (&'a ApiKeyId, &'a Id<id::Project>, &'a [u8])>,
) -> Result<(), StoreError> {
    // CROSS JOIN has SQLite look the project of each one up.
    const SQL: &str = "INSERT INTO sealed_keys (key_id, project_id, sealed) \
                       SELECT value ->> 0, projects.id, unhex(value ->> 2) \
                       FROM json_each($1) CROSS JOIN projects WHERE projects.id = value ->> 1 \
                       AND projects.key_storage = 'recoverable'";
    let rows: Vec<_> = keys
        .map(|(id, project, sealed)| json!([id, project, hexadecimal(sealed)]))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    on!(tx, |c| sqlx::query(SQL)
        .bind(json!(rows).to_string())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Puts what is sealed of a locked key's new key string in the place of the old one's; its project is
/// held. With nothing to put there the old one is erased.
pub async fn exchange(
    tx: &mut Tx,
    (key, project): (&ApiKeyId, &Id<id::Project>),
    sealed: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO sealed_keys (key_id, project_id, sealed) VALUES ($1, $2, $3)";
    erase(tx, key).await?;
    if let Some(sealed) = sealed {
        on!(tx, |c| sqlx::query(SQL)
            .bind(key.as_str())
            .bind(project.as_str())
            .bind(sealed)
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// Erases what is sealed of a key.
pub(crate) async fn erase(tx: &mut Tx, key: &ApiKeyId) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM sealed_keys WHERE key_id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(key.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Has what is sealed of a key erased at an instant.
pub(crate) async fn erase_at(tx: &mut Tx, key: &ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE sealed_keys SET erase_at = $2 WHERE key_id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(key.as_str())
        .bind(at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Erases all that is sealed of the keys of a project, which is held, and tells of how many.
pub(crate) async fn erase_of_project(
    tx: &mut Tx,
    project: &Id<id::Project>,
) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM sealed_keys WHERE project_id = $1";
    Ok(on!(tx, |c| sqlx::query(SQL)
        .bind(project.as_str())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}

/// Erases all that is sealed of the keys of an account, whose projects are held.
pub(crate) async fn erase_of_account(
    tx: &mut Tx,
    account: &Id<id::Account>,
) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM sealed_keys \
                       WHERE project_id IN (SELECT id FROM projects WHERE account_id = $1)";
    on!(tx, |c| sqlx::query(SQL)
        .bind(account.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Erases what is sealed of keys whose grace is over.
pub async fn erase_due(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    const DUE: &str = "SELECT COUNT(*) FROM sealed_keys WHERE erase_at <= $1";
    const SQL: &str = "DELETE FROM sealed_keys WHERE erase_at <= $1";
    // Mostly there are none, and whoever writes is not asked to wait for that.
    let due: i64 = on!(read db, |c| sqlx::query_scalar(DUE)
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    if due == 0 {
        return Ok(());
    }
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(now.as_micros())
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}

/// One key that is read back.
#[derive(sqlx::FromRow)]
struct Read {
    id: String,
    sealed: Vec<u8>,
    grant_id: String,
    project_id: String,
    account_id: String,
}

/// Reads what is sealed of those keys that an access key may read back now, and notes in the trail
/// which they are: what is not noted is not read. A key that does not pass any more is not read.
pub async fn reveal(
    tx: &mut Tx,
    change: &Change,
    to: &Id<id::AccessKey>,
    keys: impl Iterator<Item = &ApiKeyId>,
) -> Result<Vec<(ApiKeyId, Vec<u8>)>, StoreError> {
    const SQL: &str = "SELECT k.id, s.sealed, g.id AS grant_id, k.project_id, k.account_id \
        FROM json_each($1) AS asked CROSS JOIN sealed_keys AS s \
        JOIN api_keys AS k ON k.id = s.key_id \
        JOIN projects AS p ON p.id = s.project_id \
        JOIN reveal_grants AS g ON g.access_key_id = $2 AND g.project_id = s.project_id \
        WHERE s.key_id = asked.value ->> 0 AND g.expires_at > $3 \
        AND p.key_storage = 'recoverable' AND p.deleted_at IS NULL AND k.deleted_at IS NULL \
        AND k.status = 'active' AND (k.stops_at IS NULL OR k.stops_at > $3) \
        AND (k.expires_at IS NULL OR k.expires_at > $3) ORDER BY k.project_id, k.created_at, k.id";
    let rows: Vec<Read> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(list(keys.map(Id::as_str)))
        .bind(to.as_str())
        .bind(change.now.as_micros())
        .fetch_all(c)
        .await)?;
    let of_projects = rows.chunk_by(|one, next| one.project_id == next.project_id);
    let events = of_projects.map(|read| (change, event(read)));
    crate::events::append_all(tx, events).await?;
    let read = rows.into_iter();
    Ok(read
        .map(|row| (Id::from_trusted(row.id), row.sealed))
        .collect())
}

/// Tells of keys of one project that were read together.
fn event(read: &[Read]) -> NewEvent {
    let ids: Vec<_> = read.iter().map(|row| &row.id).collect();
    let first = &read[0];
    NewEvent {
        kind: EventKind::ApiKeysRevealed,
        account: Id::from_trusted(first.account_id.as_str()),
        project: Some(Id::from_trusted(first.project_id.as_str())),
        target: match read {
            [only] => only.id.clone(),
            _ => first.project_id.clone(),
        },
        data: json!({"keys": ids, "grantId": first.grant_id}),
    }
}

/// What is sealed of the keys after an id, so many at most.
pub(crate) async fn part(
    db: &Db,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    const SQL: &str =
        "SELECT key_id, sealed FROM sealed_keys WHERE key_id > $1 ORDER BY key_id LIMIT $2";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(after)
        .bind(limit)
        .fetch_all(c)
        .await)?)
}
