//! What stands in the way of a new API key, and keys that were brought as a hash alone.

use std::collections::HashMap;

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use serde_json::json;

use super::row::{Row, columns};
use super::{ApiKey, ApiKeyId, Incoming, Stored, append};
use crate::db::on;
use crate::hexadecimal::hexadecimal;
use crate::reach::list;
use crate::{Change, Db, StoreError, Tx};

/// Tells which keys of a project that is there could not be stored now, by the id that they would
/// have.
pub async fn find_earlier(
    db: &Db,
    keys: &[Incoming],
) -> Result<HashMap<String, Stored>, StoreError> {
    let keys: Vec<_> = keys.iter().collect();
    let list = wanted(&keys);
    let rows = on!(read db, |c| sqlx::query_as(FIND).bind(list).fetch_all(c).await)?;
    Ok(sort_out(&keys, rows))
}

/// Tells why keys were not stored, by the id that they would have.
pub(super) async fn what_is_in_the_way(
    tx: &mut Tx,
    keys: &[&Incoming],
) -> Result<HashMap<String, Stored>, StoreError> {
    const PROJECTS: &str = "SELECT id FROM projects WHERE deleted_at IS NULL \
                            AND id IN (SELECT value ->> 0 FROM json_each($1))";
    let projects = list(keys.iter().map(|incoming| incoming.key.project_id.as_str()));
    let there: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(PROJECTS)
        .bind(projects)
        .fetch_all(c)
        .await)?;
    let rows = on!(tx, |c| sqlx::query_as(FIND)
        .bind(wanted(keys))
        .fetch_all(c)
        .await)?;
    let mut earlier = sort_out(keys, rows);
    for Incoming { key, .. } in keys {
        if !there.iter().any(|id| id == key.project_id.as_str()) {
            earlier.insert(key.id.to_string(), Stored::NoProject);
        }
    }
    Ok(earlier)
}

/// Which keys stand in the way, each beside the one that wants in. CROSS JOIN has SQLite look each one
/// of the list up; in the other order it would read the whole table against the list.
pub(super) const FIND: &str = "SELECT value ->> 0, api_keys.id, api_keys.project_id FROM json_each($1) \
    CROSS JOIN api_keys WHERE api_keys.id = value ->> 0 \
    UNION ALL SELECT value ->> 0, api_keys.id, api_keys.project_id FROM json_each($1) \
    CROSS JOIN api_keys WHERE digest = unhex(value ->> 2) AND root_account_id = value ->> 1 \
    AND deleted_at IS NULL \
    UNION ALL SELECT value ->> 0, api_keys.id, api_keys.project_id FROM json_each($1) \
    CROSS JOIN api_keys WHERE digest = unhex(value ->> 3) AND root_account_id = value ->> 1 \
    AND deleted_at IS NULL";

fn wanted(keys: &[&Incoming]) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|one| {
            let of_hash = one.digest_of_hash.as_ref();
            let of_hash = of_hash.map(|digest| hexadecimal(digest.as_bytes()));
            let key = &one.key;
            let digest = hexadecimal(one.digest.as_bytes());
            json!([key.id, key.account.root, digest, of_hash])
        })
        .collect();
    json!(rows).to_string()
}

fn sort_out(keys: &[&Incoming], rows: Vec<(String, String, String)>) -> HashMap<String, Stored> {
    let projects: HashMap<_, _> = keys
        .iter()
        .map(|Incoming { key, .. }| (key.id.as_str(), key.project_id.as_str()))
        .collect();
    let mut earlier = HashMap::with_capacity(rows.len());
    for (wanted, id, place) in rows {
        if projects.get(wanted.as_str()) == Some(&place.as_str()) {
            earlier.insert(wanted, Stored::Exists(ApiKeyId::from_trusted(id)));
        } else {
            earlier.entry(wanted).or_insert(Stored::Taken);
        }
    }
    earlier
}

/// Gives the key that was brought as a hash the digest of its key string, which was presented now
/// for the first time; `None` when there is none. Being checked does not change `updated_at`.
pub async fn adopt(
    tx: &mut Tx,
    change: &Change,
    root: &Id<id::Account>,
    digest_of_hash: &KeyDigest,
    digest: &KeyDigest,
) -> Result<Option<ApiKey>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE api_keys SET digest = $3 WHERE root_account_id = $1 AND digest = $2 \
         AND deleted_at IS NULL RETURNING CAST(NULL AS BIGINT) AS last_used_at, ",
        columns!()
    );
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(root.as_str())
        .bind(&digest_of_hash.as_bytes()[..])
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let key = ApiKey::try_from(row)?;
    let data = json!({"name": key.name, "keyHash": "replaced"});
    append(tx, change, EventKind::ApiKeyUpdated, &key, data).await?;
    Ok(Some(key))
}
