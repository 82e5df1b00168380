//! The one way in which new API keys are written: one by one, those that wait together, and those
//! that are moved here by the thousand.

use std::collections::{BTreeSet, HashSet};

use claviger_domain::key_string::KeyDigest;
use claviger_domain::origin::DomainPattern;
use claviger_domain::time::Timestamp;
use serde_json::Value;
use sqlx::SqliteConnection;

use super::import;
use super::row::list_of;
use super::{ApiKey, ApiKeyId, quota_columns};
use crate::access_keys::rate_limit_columns;
use crate::db::{ByRows, Cell, MOST, Open, list_of_rows, on};
use crate::events::{self, ApiKeyMade};
use crate::hexadecimal::hexadecimal;
use crate::reach::list;
use crate::{Change, StoreError, Tx, sealed_keys};

/// A key on its way in, with what its event tells.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The key.
    pub key: ApiKey,
    /// Its digest.
    pub digest: KeyDigest,
    /// What its digest would be had its hash been brought alone; none of a key string that was drawn
    /// here, which nobody can have brought.
    pub digest_of_hash: Option<KeyDigest>,
    /// Its key string, sealed, where its project has keys that can be read back.
    pub sealed: Option<Vec<u8>>,
    /// More about it, for the event.
    pub data: Value,
}

/// Texts in one list, in bytes, at most; a row's metadata alone may have 16 KiB.
const LIST_BYTES: usize = 256 * 1_024;

/// How many keys, from the first on, make a list that is not too long for one statement.
pub fn fitting<'a>(keys: impl Iterator<Item = &'a Incoming>) -> usize {
    let mut bytes = 0;
    let fitting = keys.enumerate().take_while(|(place, incoming)| {
        bytes += incoming.bytes();
        // One fits, however long it is.
        *place == 0 || bytes <= LIST_BYTES
    });
    fitting.count()
}

impl Incoming {
    /// What its texts take, about: those that have no bound worth the name.
    fn bytes(&self) -> usize {
        /// An IPv6 network, written out.
        const NETWORK: usize = 43;
        let key = &self.key;
        let domains = key.allowed_domains.iter();
        let texts = [
            &key.custom_account_id,
            &key.custom_user_id,
            &key.client_ip,
            &key.client_user_agent,
            &key.reason,
        ];
        // The name is also folded, and in the event.
        3 * key.name.len()
            + key.metadata.len()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + domains.map(|one| one.as_str().len()).sum::<usize>()
            + key.allowed_ips.len() * NETWORK
            + key.scopes.iter().map(String::len).sum::<usize>()
    }
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
    /// Its project is gone.
    NoProject,
}

/// Stores a key; `false` when its family of accounts has one with that digest, or its project is
/// gone.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    key: &ApiKey,
    digest: &KeyDigest,
    data: Value,
) -> Result<bool, StoreError> {
    let incoming = Incoming {
        key: key.clone(),
        digest: *digest,
        digest_of_hash: None,
        sealed: None,
        data,
    };
    let stored = store_new(tx, &[(change, &incoming)]).await?;
    Ok(stored == [Stored::Created])
}

/// Stores keys, with an event each, whoever they are of; the outcomes are in their order. No two of
/// them have the same id. One that cannot be stored keeps no other from it.
pub async fn store_new(
    tx: &mut Tx,
    keys: &[(&Change, &Incoming)],
) -> Result<Vec<Stored>, StoreError> {
    let hidden = hidden_hashes(tx, keys).await?;
    let wanted: Vec<_> = keys
        .iter()
        .filter(|(_, incoming)| !hidden.contains(incoming.key.id.as_str()))
        .collect();
    let new = match &mut tx.open {
        Open::Sqlite(open) => insert_in_files(open, &wanted).await?,
        Open::Postgres(_) => insert_on_postgres(tx, &wanted).await?,
    };
    let (new, refused): (Vec<_>, Vec<_>) = keys
        .iter()
        .map(|(_, incoming)| *incoming)
        .partition(|incoming| new.contains(&incoming.key.id));
    let sealed = new.iter().filter_map(|incoming| {
        let sealed = incoming.sealed.as_deref()?;
        Some((&incoming.key.id, &incoming.key.project_id, sealed))
    });
    sealed_keys::keep(tx, sealed).await?;
    if refused.is_empty() {
        return Ok(vec![Stored::Created; keys.len()]);
    }
    let new: HashSet<_> = new.iter().map(|incoming| &incoming.key.id).collect();
    let earlier = import::what_is_in_the_way(tx, &refused).await?;
    let outcome = |incoming: &Incoming| {
        if new.contains(&incoming.key.id) {
            return Stored::Created;
        }
        // What stood in the way may be gone again; it was there.
        let found = earlier.get(incoming.key.id.as_str());
        found.cloned().unwrap_or(Stored::Taken)
    };
    Ok(keys.iter().map(|(_, incoming)| outcome(incoming)).collect())
}

/// Those of the keys that are new, by their ids.
type New<'k> = HashSet<&'k ApiKeyId>;

/// Writes keys with their events. What is written next is made while SQLite writes, on a thread of its
/// own: the events of some keys while it writes those, and the next keys while it writes the events.
async fn insert_in_files<'k>(
    connection: &mut SqliteConnection,
    keys: &[&(&Change, &'k Incoming)],
) -> Result<New<'k>, StoreError> {
    const NEWEST: &str = "SELECT COALESCE(MAX(rowid), 0) FROM api_keys";
    const SINCE: &str = "SELECT id FROM api_keys WHERE rowid > $1";
    let mut newest: i64 = sqlx::query_scalar(NEWEST)
        .fetch_one(&mut *connection)
        .await?;
    let mut new = HashSet::with_capacity(keys.len());
    let mut parts = keys.chunks(MOST);
    let mut fill = || -> Result<_, StoreError> {
        let part = parts.next().unwrap_or_default();
        let statement = INSERT.fill(&mut part.iter().map(|(_, incoming)| cells(incoming)))?;
        Ok(statement.map(|statement| (part, statement)))
    };
    let mut next = fill()?;
    while let Some((part, statement)) = next {
        let meanwhile = async { events::fill(part.iter().map(|one| event(one))) };
        let (written, mut told) = futures::join!(statement.run(&mut *connection), meanwhile);
        let written = written?;
        if written == part.len() {
            new.extend(part.iter().map(|(_, incoming)| &incoming.key.id));
        } else {
            // SQLite hands each row that a statement returns from thread to thread, which costs more
            // than writing it: which are new is asked only where not all are. It numbers them upwards.
            let query = sqlx::query_scalar(SINCE).bind(newest);
            let ids: Vec<String> = query.fetch_all(&mut *connection).await?;
            let ids: HashSet<_> = ids.iter().map(String::as_str).collect();
            let is_new = |one: &&&(&Change, &Incoming)| ids.contains(one.1.key.id.as_str());
            new.extend(
                part.iter()
                    .filter(is_new)
                    .map(|(_, incoming)| &incoming.key.id),
            );
            told = events::fill(part.iter().filter(is_new).map(|one| event(one)));
        }
        newest += i64::try_from(written).unwrap_or_default();
        next = if let Some(told) = told? {
            let meanwhile = async { fill() };
            let (done, made) = futures::join!(told.run(&mut *connection), meanwhile);
            done?;
            made?
        } else {
            fill()?
        };
    }
    Ok(new)
}

/// Writes keys with their events, in one order everywhere, that of what indexes refuse: two that store
/// the same key strings must not wait for each other. Of a key that is brought, also as a hash alone, its
/// hash tells.
async fn insert_on_postgres<'k>(
    tx: &mut Tx,
    keys: &[&(&Change, &'k Incoming)],
) -> Result<New<'k>, StoreError> {
    let mut sorted: Vec<_> = keys.iter().map(|(_, incoming)| *incoming).collect();
    sorted.sort_by_key(|incoming| {
        let of_string = incoming.digest_of_hash.as_ref().unwrap_or(&incoming.digest);
        let key = &incoming.key;
        (&key.account.root, of_string.as_bytes(), &key.id)
    });
    let rows: Vec<_> = sorted.into_iter().map(cells).collect();
    let ids: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(INSERT_ON_POSTGRES)
        .bind(list_of_rows(&rows))
        .fetch_all(c)
        .await)?;
    let ids: HashSet<_> = ids.iter().map(String::as_str).collect();
    let is_new = |one: &&&(&Change, &Incoming)| ids.contains(one.1.key.id.as_str());
    let told = keys.iter().filter(is_new).map(|one| {
        let (change, made) = event(one);
        (change, made.into())
    });
    events::append_all(tx, told).await?;
    let new = keys
        .iter()
        .filter(is_new)
        .map(|(_, incoming)| &incoming.key.id);
    Ok(new.collect())
}

/// What is written, in the order of a row's cells but for the first, its project; and all that a
/// project tells of its keys, which is its row's.
macro_rules! into_columns {
    () => {
        "INTO api_keys (project_id, account_id, root_account_id, env, \
         id, name, name_folded, digest, is_custom, metadata, \
         custom_account_id, custom_user_id, rate_limit, rate_limit_ttl, expires_at, client_ip, \
         client_user_agent, allowed_domains, allowed_ips, scopes, quota_limit, quota_period, \
         status, reason, revoked_at, revoked_by, rotated_from, lineage, created_by, \
         created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, \
         updated_at) \
         SELECT projects.id, projects.account_id, projects.root_account_id, projects.env, "
    };
}

/// On SQLite, which has one writer: its projects stay until that is done. OR ROLLBACK, so that no page
/// is copied to undo the statement: the one way in which such rows fail is that there is another already,
/// and ON CONFLICT passes over those.
pub(super) static INSERT: ByRows<CELLS> = ByRows::new(
    concat!(
        "INSERT OR ROLLBACK ",
        into_columns!(),
        "column2, column3, column4, column5, column6, column7, column8, column9, column10, \
         column11, column12, column13, column14, column15, column16, column17, column18, \
         column19, column20, column21, column22, column23, column24, column25, column26, \
         column27, column28, column29, column30, column31, column32 FROM ("
    ),
    ") CROSS JOIN projects WHERE projects.id = column1 AND projects.deleted_at IS NULL \
     ON CONFLICT DO NOTHING",
);

/// On PostgreSQL, where each project is kept from being deleted until the transaction ends. LATERAL, so
/// that each is looked up, in the order of the list: a list that is unpacked is taken for a hundred rows
/// there, and joined to so many all projects would be read. Materialized, or a row would be written out
/// anew for each of its cells.
pub(super) const INSERT_ON_POSTGRES: &str = concat!(
    "WITH rows AS MATERIALIZED (SELECT value AS cells FROM json_each($1)) INSERT ",
    into_columns!(),
    "cells ->> 1, cells ->> 2, cells ->> 3, unhex(cells ->> 4), \
     CAST(cells ->> 5 AS BOOLEAN), cells ->> 6, cells ->> 7, cells ->> 8, \
     CAST(cells ->> 9 AS BIGINT), CAST(cells ->> 10 AS BIGINT), \
     CAST(cells ->> 11 AS BIGINT), cells ->> 12, cells ->> 13, cells ->> 14, \
     cells ->> 15, cells ->> 16, CAST(cells ->> 17 AS BIGINT), cells ->> 18, \
     cells ->> 19, cells ->> 20, CAST(cells ->> 21 AS BIGINT), cells ->> 22, \
     cells ->> 23, cells ->> 24, cells ->> 25, cells ->> 26, cells ->> 27, cells ->> 28, \
     cells ->> 29, CAST(cells ->> 30 AS BIGINT), CAST(cells ->> 31 AS BIGINT) \
     FROM rows CROSS JOIN LATERAL (SELECT id, account_id, root_account_id, env FROM projects \
     WHERE id = cells ->> 0 AND deleted_at IS NULL FOR SHARE) AS projects \
     ON CONFLICT DO NOTHING RETURNING id"
);

/// The cells of a row.
const CELLS: usize = 32;

/// A row, in the order of the statements.
fn cells(Incoming { key, digest, .. }: &Incoming) -> [Cell<'_>; CELLS] {
    let base = &key.base;
    let (limit, ttl) = rate_limit_columns(key.rate_limit);
    let (quota, period) = quota_columns(key.quota);
    let domains = key.allowed_domains.iter().map(DomainPattern::as_str);
    let rotated_from = key.rotated_from.as_ref().map(ApiKeyId::as_str);
    [
        key.project_id.as_str().into(),
        key.id.as_str().into(),
        key.name.as_str().into(),
        key.name.to_lowercase().into(),
        Cell::Bytes(digest.as_bytes()),
        Cell::Flag(key.is_custom),
        key.metadata.as_str().into(),
        key.custom_account_id.as_deref().into(),
        key.custom_user_id.as_deref().into(),
        limit.into(),
        ttl.into(),
        key.expires_at.map(Timestamp::as_micros).into(),
        key.client_ip.as_deref().into(),
        key.client_user_agent.as_deref().into(),
        list_of(domains).into(),
        list_of(key.allowed_ips.iter()).into(),
        list_of(key.scopes.iter()).into(),
        quota.into(),
        period.into(),
        key.status.as_str().into(),
        key.reason.as_deref().into(),
        key.revoked_at.map(Timestamp::as_micros).into(),
        key.revoked_by.as_deref().into(),
        rotated_from.into(),
        key.lineage.as_str().into(),
        base.created_by.as_deref().into(),
        base.created_by_type.as_deref().into(),
        base.created_in.as_str().into(),
        base.last_changed_by.as_deref().into(),
        base.last_changed_by_type.as_deref().into(),
        base.created_at.as_micros().into(),
        base.updated_at.as_micros().into(),
    ]
}

fn event<'a>((change, incoming): &(&'a Change, &'a Incoming)) -> (&'a Change, ApiKeyMade) {
    let key = &incoming.key;
    let made = ApiKeyMade {
        account: key.account.id.clone(),
        project: key.project_id.clone(),
        key: key.id.clone(),
        data: incoming.data.clone(),
    };
    (change, made)
}

/// Most families have no hashes: nothing is looked up in those.
const FIND_WITH_HASHES: &str = "SELECT id FROM accounts WHERE has_foreign_keys \
    AND id IN (SELECT value ->> 0 FROM json_each($1))";

/// In any other order SQLite would read all keys against the list.
pub(super) const FIND_HIDDEN: &str = "WITH rows AS MATERIALIZED \
    (SELECT value AS cells FROM json_each($1)) \
    SELECT cells ->> 0 FROM rows CROSS JOIN api_keys \
    WHERE api_keys.digest = unhex(cells ->> 2) AND api_keys.root_account_id = cells ->> 1 \
    AND api_keys.deleted_at IS NULL";

/// Those whose key string another row brought as a hash, and nobody has presented yet: that is
/// stored under another digest, so that the index does not see it.
async fn hidden_hashes(
    tx: &mut Tx,
    keys: &[(&Change, &Incoming)],
) -> Result<HashSet<String>, StoreError> {
    let of_hash = |incoming: &&Incoming| incoming.digest_of_hash.is_some();
    let brought: Vec<_> = keys.iter().map(|(_, one)| *one).filter(of_hash).collect();
    let roots: BTreeSet<_> = brought
        .iter()
        .map(|one| one.key.account.root.as_str())
        .collect();
    if roots.is_empty() {
        return Ok(HashSet::new());
    }
    let with_hashes: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(FIND_WITH_HASHES)
        .bind(list(roots.into_iter()))
        .fetch_all(c)
        .await)?;
    let brought: Vec<_> = brought
        .into_iter()
        .filter(|one| {
            with_hashes
                .iter()
                .any(|root| root == one.key.account.root.as_str())
        })
        .filter_map(|one| {
            let digest = hexadecimal(one.digest_of_hash.as_ref()?.as_bytes());
            Some((&one.key.id, &one.key.account.root, digest))
        })
        .collect();
    if brought.is_empty() {
        return Ok(HashSet::new());
    }
    let brought = serde_json::to_string(&brought).expect("texts are JSON");
    let found: Vec<String> = on!(tx, |c| sqlx::query_scalar(FIND_HIDDEN)
        .bind(brought)
        .fetch_all(c)
        .await)?;
    Ok(found.into_iter().collect())
}
