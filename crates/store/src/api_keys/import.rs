//! API keys by the hundred, that are moved here from elsewhere.

use std::collections::{HashMap, HashSet};

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::origin::DomainPattern;
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use super::row::{Row, columns, list_of};
use super::{ApiKey, ApiKeyId, append, quota_columns};
use crate::access_keys::rate_limit_columns;
use crate::db::on;
use crate::projects::Project;
use crate::{Base, Change, Db, StoreError, Tx};

/// A key on its way in. Its id follows from its key string, so that it is the same each time.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The key.
    pub key: ApiKey,
    /// Its digest.
    pub digest: KeyDigest,
    /// What its digest would be had its hash been brought alone.
    pub digest_of_hash: KeyDigest,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    Created,
    /// The project has a key with that key string, or had it when that was imported.
    Exists(ApiKeyId),
    /// Its family of accounts has one elsewhere.
    Taken,
}

/// Stores keys of one project, with an event each; the outcomes are in their order. No two of them
/// have the same id.
pub async fn import(
    tx: &mut Tx,
    change: &Change,
    project: &Project,
    keys: &[Incoming],
) -> Result<Vec<Stored>, StoreError> {
    // Materialized, or SQLite would write each row out anew for each of its cells. What is the same
    // for all is bound once. A key string that another row brought as a hash, and
    // that nobody has presented yet, is stored under another digest: the index does not see it.
    const SQL: &str = "WITH rows AS MATERIALIZED (SELECT value AS cells FROM json_each($1)) \
        INSERT INTO api_keys (id, name, name_folded, digest, metadata, \
        custom_account_id, custom_user_id, rate_limit, rate_limit_ttl, expires_at, client_ip, \
        client_user_agent, allowed_domains, allowed_ips, scopes, quota_limit, quota_period, \
        status, reason, revoked_at, revoked_by, lineage, project_id, account_id, \
        root_account_id, env, is_custom, created_by, created_by_type, created_in, \
        last_changed_by, last_changed_by_type, created_at, updated_at) \
        SELECT cells ->> 0, cells ->> 1, cells ->> 2, unhex(cells ->> 3), cells ->> 4, \
        cells ->> 5, cells ->> 6, CAST(cells ->> 7 AS BIGINT), CAST(cells ->> 8 AS BIGINT), \
        CAST(cells ->> 9 AS BIGINT), cells ->> 10, cells ->> 11, cells ->> 12, cells ->> 13, \
        cells ->> 14, CAST(cells ->> 15 AS BIGINT), cells ->> 16, cells ->> 17, cells ->> 18, \
        CAST(cells ->> 19 AS BIGINT), cells ->> 20, cells ->> 0, $2, $3, $4, $5, $6, $7, $8, $9, \
        $7, $8, $10, $10 FROM rows WHERE NOT EXISTS (SELECT 1 FROM api_keys AS earlier \
        WHERE earlier.root_account_id = $4 AND earlier.digest = unhex(cells ->> 21) \
        AND earlier.deleted_at IS NULL) ON CONFLICT DO NOTHING RETURNING id";
    // In one order everywhere: two that import the same keys must not wait for each other.
    let mut sorted: Vec<_> = keys.iter().collect();
    sorted.sort_by_key(|incoming| &incoming.key.id);
    let rows: Vec<_> = sorted.into_iter().map(write_row).collect();
    let account = project.account();
    let base = Base::made_by(change);
    let created: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(SQL)
        .bind(json!(rows).to_string())
        .bind(project.id.as_str())
        .bind(account.id.as_str())
        .bind(account.root.as_str())
        .bind(project.environment().as_str())
        .bind(true)
        .bind(&base.created_by)
        .bind(&base.created_by_type)
        .bind(&base.created_in)
        .bind(change.now.as_micros())
        .fetch_all(c)
        .await)?;
    let created: HashSet<_> = created.iter().map(String::as_str).collect();
    let (new, refused): (Vec<_>, Vec<_>) = keys
        .iter()
        .partition(|incoming| created.contains(incoming.key.id.as_str()));
    append_all(tx, change, project, &new).await?;
    let earlier = if refused.is_empty() {
        HashMap::new()
    } else {
        let list = wanted(refused.iter().copied());
        let rows = on!(tx, |c| sqlx::query_as(FIND)
            .bind(list)
            .bind(account.root.as_str())
            .fetch_all(c)
            .await)?;
        sort_out(project, rows)
    };
    let outcome = |incoming: &Incoming| {
        let id = &incoming.key.id;
        if created.contains(id.as_str()) {
            return Stored::Created;
        }
        // What stood in the way may be gone again; it was there.
        earlier.get(id.as_str()).cloned().unwrap_or(Stored::Taken)
    };
    Ok(keys.iter().map(outcome).collect())
}

/// Tells which keys could not be stored now, by the id that they would have.
pub async fn find_earlier(
    db: &Db,
    project: &Project,
    keys: &[Incoming],
) -> Result<HashMap<String, Stored>, StoreError> {
    let root = project.account().root;
    let rows = on!(read db, |c| sqlx::query_as(FIND)
        .bind(wanted(keys.iter()))
        .bind(root.as_str())
        .fetch_all(c)
        .await)?;
    Ok(sort_out(project, rows))
}

/// Which keys stand in the way, each beside the one that wants in. CROSS JOIN has SQLite look each one
/// of the list up; in the other order it would read the whole table against the list.
const FIND: &str = "SELECT value ->> 0, api_keys.id, api_keys.project_id FROM json_each($1) \
    CROSS JOIN api_keys WHERE api_keys.id = value ->> 0 \
    UNION ALL SELECT value ->> 0, api_keys.id, api_keys.project_id FROM json_each($1) \
    CROSS JOIN api_keys WHERE root_account_id = $2 AND digest = unhex(value ->> 1) \
    AND deleted_at IS NULL \
    UNION ALL SELECT value ->> 0, api_keys.id, api_keys.project_id FROM json_each($1) \
    CROSS JOIN api_keys WHERE root_account_id = $2 AND digest = unhex(value ->> 2) \
    AND deleted_at IS NULL";

fn wanted<'a>(keys: impl Iterator<Item = &'a Incoming>) -> String {
    let rows: Vec<_> = keys
        .map(|one| {
            let digests = [&one.digest, &one.digest_of_hash].map(hexadecimal);
            json!([one.key.id, digests[0], digests[1]])
        })
        .collect();
    json!(rows).to_string()
}

fn sort_out(project: &Project, rows: Vec<(String, String, String)>) -> HashMap<String, Stored> {
    let mut earlier = HashMap::with_capacity(rows.len());
    for (wanted, id, place) in rows {
        if place == project.id.as_str() {
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

/// One row, in the order of the statement.
fn write_row(incoming: &Incoming) -> Value {
    let key = &incoming.key;
    let (limit, ttl) = rate_limit_columns(key.rate_limit);
    let (quota, period) = quota_columns(key.quota);
    json!([
        key.id,
        key.name,
        key.name.to_lowercase(),
        hexadecimal(&incoming.digest),
        key.metadata,
        key.custom_account_id,
        key.custom_user_id,
        limit,
        ttl,
        key.expires_at.map(Timestamp::as_micros),
        key.client_ip,
        key.client_user_agent,
        list_of(key.allowed_domains.iter().map(DomainPattern::as_str)),
        list_of(key.allowed_ips.iter()),
        list_of(key.scopes.iter()),
        quota,
        period,
        key.status.as_str(),
        key.reason,
        key.revoked_at.map(Timestamp::as_micros),
        key.revoked_by,
        hexadecimal(&incoming.digest_of_hash),
    ])
}

/// Writes the events of keys that were stored.
async fn append_all(
    tx: &mut Tx,
    change: &Change,
    project: &Project,
    keys: &[&Incoming],
) -> Result<(), StoreError> {
    let event = |incoming: &&Incoming| {
        let key = &incoming.key;
        let data = json!({
            "name": key.name, "customAccountId": key.custom_account_id, "imported": true,
        });
        (key.id.to_string(), data)
    };
    let targets: Vec<_> = keys.iter().map(event).collect();
    let place = (&project.account_id, Some(&project.id));
    crate::events::append_all(tx, change, EventKind::ApiKeyCreated, place, &targets).await
}

fn hexadecimal(digest: &KeyDigest) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = digest.as_bytes().iter();
    bytes
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(DIGITS[usize::from(half)]))
        .collect()
}
