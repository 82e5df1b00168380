//! API keys: what end users present.

mod import;
mod list;
mod new;
#[cfg(test)]
mod plans;
mod row;
mod together;
mod view;

use std::collections::BTreeMap;

use claviger_domain::decision::KeyRules;
use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyDigest};
use claviger_domain::limit::{Quota, RateLimit};
use claviger_domain::origin::DomainPattern;
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;
use ipnet::IpNet;
use serde_json::Value;

pub use self::import::{adopt, find_earlier};
pub use self::list::{Filter, count, list};
pub use self::new::{Incoming, Stored, create, fitting, store_new};
use self::row::{Row, columns};
pub use self::together::NewKeys;
pub use self::view::KeyView;
use crate::access_keys::rate_limit_columns;
use crate::db::on;
use crate::reach::{ReachBinds, within_reach};
use crate::usage::last_used_at;
use crate::{Base, Change, Db, StoreError, Tx, idempotency, sealed_keys};

type ApiKeyId = Id<id::ApiKey>;

/// The reason after which a key stays revoked.
pub const COMPROMISED: &str = "compromised";

/// Whether a key is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Active,
    /// It is revoked.
    Inactive,
    /// It is revoked for the time being.
    Suspended,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Suspended];

    /// The name on the wire and in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
        }
    }

    /// Reads a name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| text.eq_ignore_ascii_case(one.as_str()))
    }
}

/// A key that end users present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its project.
    pub project_id: Id<id::Project>,
    /// Its account.
    pub account: AccountRef,
    /// Its project's environment.
    pub environment: Environment,
    /// Its name.
    pub name: String,
    /// Whether the caller brought the key string.
    pub is_custom: bool,
    /// What the caller attached to it, JSON.
    pub metadata: String,
    /// The caller's own name for its customer.
    pub custom_account_id: Option<String>,
    /// The caller's own name for its user.
    pub custom_user_id: Option<String>,
    /// How often it may be used.
    pub rate_limit: Option<RateLimit>,
    /// How much it may be used in a day or a month.
    pub quota: Option<Quota>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The address that it was asked for from, as the caller tells.
    pub client_ip: Option<String>,
    /// The program that it was asked for with, as the caller tells.
    pub client_user_agent: Option<String>,
    /// Origins that it is locked to.
    pub allowed_domains: Vec<DomainPattern>,
    /// Networks that it is locked to.
    pub allowed_ips: Vec<IpNet>,
    /// Scopes that it has.
    pub scopes: Vec<String>,
    /// Whether it is switched on.
    pub status: Status,
    /// Why it was revoked.
    pub reason: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    /// When the grace of its rotation ends.
    pub stops_at: Option<Timestamp>,
    /// The key that it succeeded.
    pub rotated_from: Option<ApiKeyId>,
    /// The key that succeeded it.
    pub rotated_to: Option<ApiKeyId>,
    /// The first key of its chain of rotations, under which limit and quota are counted.
    pub lineage: ApiKeyId,
    /// When it was first used.
    pub first_used_at: Option<Timestamp>,
    /// When it was last used, as flushed.
    pub last_used_at: Option<Timestamp>,
    /// Who made it, and when.
    pub base: Base,
}

impl ApiKey {
    /// The rules that decide who passes with it.
    pub fn rules(&self) -> KeyRules<'_> {
        KeyRules {
            project: &self.project_id,
            is_active: self.status == Status::Active,
            expires_at: self.expires_at,
            stops_at: self.stops_at,
            allowed_domains: &self.allowed_domains,
            allowed_ips: &self.allowed_ips,
            scopes: &self.scopes,
        }
    }

    /// Whether it is switched on and not past the grace of a rotation.
    pub fn is_active_at(&self, now: Timestamp) -> bool {
        self.status == Status::Active && self.stops_at.is_none_or(|stop| now < stop)
    }

    /// Whether it is past its expiry.
    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Which key: by id, or by the digest of the full key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The key with that id.
    Id(ApiKeyId),
    /// The key with that digest.
    Digest(KeyDigest),
    /// The key with that digest, or the one that was brought as a hash of the same key string and
    /// that nobody has presented yet.
    Full {
        /// Of the key string.
        digest: KeyDigest,
        /// Of its hash.
        of_hash: KeyDigest,
    },
}

impl Selector {
    fn binds(&self) -> (Option<String>, Option<Vec<u8>>, Option<Vec<u8>>) {
        let bytes = |digest: &KeyDigest| Some(digest.as_bytes().to_vec());
        match self {
            Self::Id(id) => (Some(id.to_string()), None, None),
            Self::Digest(digest) => (None, bytes(digest), None),
            Self::Full { digest, of_hash } => (None, bytes(digest), bytes(of_hash)),
        }
    }
}

/// The key that is selected by `$4`, `$5` or `$6`. SQLite takes the index of digests, which has no
/// deleted keys, only where that is said of the digest itself.
macro_rules! selected {
    () => {
        "(id = $4 OR digest = $5 AND deleted_at IS NULL OR digest = $6 AND deleted_at IS NULL) \
         AND deleted_at IS NULL"
    };
}

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    ", ",
    last_used_at!(),
    " FROM api_keys WHERE ",
    selected!(),
    " AND ",
    within_reach!(),
    " LIMIT 2"
);

/// Finds a key within the reach; none when families of accounts that it reaches into have the same
/// custom key, since nothing tells which one is meant.
pub async fn find(db: &Db, reach: &Reach, which: &Selector) -> Result<Option<ApiKey>, StoreError> {
    let binds = ReachBinds::of(reach);
    let (id, digest, of_hash) = which.binds();
    let mut rows: Vec<Row> = on!(read db, |c| sqlx::query_as(FIND)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id)
        .bind(digest)
        .bind(of_hash)
        .fetch_all(c)
        .await)?;
    let only = rows.pop().filter(|_| rows.is_empty());
    only.map(ApiKey::try_from).transpose()
}

const FIND_PRESENTED: &str = concat!(
    "SELECT ",
    columns!(),
    ", ",
    last_used_at!(),
    " FROM api_keys WHERE root_account_id = $1 AND digest = $2 AND deleted_at IS NULL"
);

/// Finds the key that was presented to a family of accounts, whatever its state.
pub async fn find_presented(
    db: &Db,
    root: &Id<id::Account>,
    digest: &KeyDigest,
) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(FIND_PRESENTED)
        .bind(root.as_str())
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    row.map(ApiKey::try_from).transpose()
}

// The one that `find` gives; the outer conditions are looked at again once the row is locked.
const LOCK: &str = concat!(
    "UPDATE api_keys SET env = env WHERE id = (SELECT MIN(id) FROM api_keys WHERE ",
    selected!(),
    " AND ",
    within_reach!(),
    " HAVING COUNT(*) = 1) AND ",
    selected!(),
    " RETURNING digest, CAST(NULL AS BIGINT) AS last_used_at, ",
    columns!()
);

/// Reads a key within the reach and keeps others from changing it until the transaction ends.
/// The digest comes with it, so that caches can drop the key.
pub async fn lock(
    tx: &mut Tx,
    reach: &Reach,
    which: &Selector,
) -> Result<Option<(ApiKey, KeyDigest)>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Locked {
        digest: Vec<u8>,
        #[sqlx(flatten)]
        row: Row,
    }
    let binds = ReachBinds::of(reach);
    let (id, digest, of_hash) = which.binds();
    let locked: Option<Locked> = on!(tx, |c| sqlx::query_as(LOCK)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id)
        .bind(digest)
        .bind(of_hash)
        .fetch_optional(c)
        .await)?;
    let Some(Locked { digest, row }) = locked else {
        return Ok(None);
    };
    let digest = KeyDigest::from_bytes(&digest).ok_or(StoreError::Row {
        table: "api_keys",
        what: "digest",
    })?;
    Ok(Some((row.try_into()?, digest)))
}

/// Writes a locked key back, with the event that tells what was changed.
pub async fn save(
    tx: &mut Tx,
    change: &Change,
    key: &mut ApiKey,
    kind: EventKind,
    data: Value,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE api_keys SET name = $2, name_folded = $3, metadata = $4, \
        custom_account_id = $5, custom_user_id = $6, rate_limit = $7, rate_limit_ttl = $8, \
        expires_at = $9, client_ip = $10, client_user_agent = $11, allowed_domains = $12, \
        allowed_ips = $13, scopes = $14, quota_limit = $15, quota_period = $16, status = $17, \
        reason = $18, revoked_at = $19, revoked_by = $20, stops_at = $21, rotated_to = $22, \
        last_changed_by = $23, last_changed_by_type = $24, updated_at = $25 WHERE id = $1";
    key.base.touch(change);
    let (limit, ttl) = rate_limit_columns(key.rate_limit);
    let (quota, period) = quota_columns(key.quota);
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(key.id.as_str())
        .bind(&key.name)
        .bind(key.name.to_lowercase())
        .bind(&key.metadata)
        .bind(&key.custom_account_id)
        .bind(&key.custom_user_id)
        .bind(limit)
        .bind(ttl)
        .bind(key.expires_at.map(Timestamp::as_micros))
        .bind(&key.client_ip)
        .bind(&key.client_user_agent)
        .bind(row::list_of(
            key.allowed_domains.iter().map(DomainPattern::as_str)
        ))
        .bind(row::list_of(key.allowed_ips.iter()))
        .bind(row::list_of(key.scopes.iter()))
        .bind(quota)
        .bind(period)
        .bind(key.status.as_str())
        .bind(&key.reason)
        .bind(key.revoked_at.map(Timestamp::as_micros))
        .bind(&key.revoked_by)
        .bind(key.stops_at.map(Timestamp::as_micros))
        .bind(key.rotated_to.as_ref().map(Id::as_str))
        .bind(&key.base.last_changed_by)
        .bind(&key.base.last_changed_by_type)
        .bind(key.base.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let_go(tx, change, key).await?;
    append(tx, change, kind, key, data).await
}

/// Erases what is kept of the key string of a key that was ended: no answer has it again, and where
/// the key never passes again, it cannot be read back either.
async fn let_go(tx: &mut Tx, change: &Change, key: &ApiKey) -> Result<(), StoreError> {
    let is_rotated = key.rotated_to.is_some();
    let is_active = key.is_active_at(change.now);
    if is_active && !is_rotated {
        return Ok(());
    }
    idempotency::erase_answers_of(tx, key.id.as_str()).await?;
    match key.stops_at {
        Some(stop) if is_active => sealed_keys::erase_at(tx, &key.id, stop).await,
        _ if is_rotated || key.reason.as_deref() == Some(COMPROMISED) => {
            sealed_keys::erase(tx, &key.id).await
        }
        _ => Ok(()),
    }
}

/// Gives a locked custom key another key string; `false` when its family has one with that digest:
/// then the transaction is to be given up, since PostgreSQL does nothing more in it.
pub async fn rekey(tx: &mut Tx, key: &ApiKey, digest: &KeyDigest) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE api_keys SET digest = $2 WHERE id = $1";
    // No look-up before it: two that look at once would both find the string free.
    let rekeyed = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(key.id.as_str())
        .bind(&digest.as_bytes()[..])
        .execute(c)
        .await
        .map(drop));
    match rekeyed {
        Ok(()) => {
            idempotency::erase_answers_of(tx, key.id.as_str()).await?;
            Ok(true)
        }
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes a locked key for good; its usage stays.
pub async fn purge(tx: &mut Tx, change: &Change, key: &ApiKey) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM api_keys WHERE id = $1";
    idempotency::erase_answers_of(tx, key.id.as_str()).await?;
    sealed_keys::erase(tx, &key.id).await?;
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(key.id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::ApiKeyPurged, key, Value::Null).await
}

/// Notes first uses, of those keys that had none: exactly one event in a key's life.
///
/// Returns the ids that were first used now.
pub async fn note_first_uses(
    tx: &mut Tx,
    change: &Change,
    uses: &[(ApiKeyId, Timestamp)],
) -> Result<Vec<ApiKeyId>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE api_keys SET first_used_at = $2 WHERE id = $1 AND first_used_at IS NULL \
         AND deleted_at IS NULL RETURNING CAST(NULL AS BIGINT) AS last_used_at, ",
        columns!()
    );
    // In one order everywhere: two nodes that lock the same rows must not wait for each other.
    let mut uses: Vec<_> = uses.iter().collect();
    uses.sort();
    let mut noted = Vec::new();
    for (id, at) in uses {
        let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
            .bind(id.as_str())
            .bind(at.as_micros())
            .fetch_optional(c)
            .await)?;
        if let Some(row) = row {
            noted.push((ApiKey::try_from(row)?, *at));
        }
    }
    note_first_calls(tx, &noted).await?;
    let events = noted.iter().map(|(key, at)| {
        let data = serde_json::json!({"firstUsedAt": at});
        (change, event(EventKind::ApiKeyFirstUsed, key, data))
    });
    crate::events::append_all(tx, events).await?;
    Ok(noted.into_iter().map(|(key, _)| key.id).collect())
}

/// Notes of projects that had none when the first key of them passed.
async fn note_first_calls(tx: &mut Tx, uses: &[(ApiKey, Timestamp)]) -> Result<(), StoreError> {
    // Rows of projects that have one are not locked.
    const SQL: &str = "UPDATE projects SET first_call_at = $2 WHERE id = $1 \
                       AND first_call_at IS NULL";
    let mut first = BTreeMap::new();
    for (key, at) in uses {
        let earliest = first.entry(&key.project_id).or_insert(*at);
        *earliest = (*earliest).min(*at);
    }
    for (project, at) in first {
        on!(&mut *tx, |c| sqlx::query(SQL)
            .bind(project.as_str())
            .bind(at.as_micros())
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

fn quota_columns(quota: Option<Quota>) -> (Option<i64>, Option<&'static str>) {
    // A quota is at most 2^53, so that it fits.
    let limit = quota.and_then(|quota| i64::try_from(quota.limit).ok());
    (limit, quota.map(|quota| quota.period.as_str()))
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    key: &ApiKey,
    data: Value,
) -> Result<(), StoreError> {
    crate::events::append(tx, change, event(kind, key, data)).await
}

fn event(kind: EventKind, key: &ApiKey, data: Value) -> NewEvent {
    NewEvent {
        kind,
        account: key.account.id.clone(),
        project: Some(key.project_id.clone()),
        target: key.id.to_string(),
        data,
    }
}
