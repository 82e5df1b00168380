//! Access keys: what programs of an account present to us.

use std::collections::BTreeSet;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyDigest, KeyPurpose};
use claviger_domain::limit::{DEFAULT_WINDOW_SECONDS, RateLimit};
use claviger_domain::rights::{AccountRef, Grant, Reach, Rights};
use claviger_domain::role::Role;
use claviger_domain::time::{Timestamp, earlier};
use serde_json::{Value, json};

use crate::db::on;
use crate::reach::{self, ReachBinds};
use crate::{Base, Change, Db, Page, StoreError, Tx, idempotency, reveal_grants};

type AccessKeyId = Id<id::AccessKey>;
type ProjectId = Id<id::Project>;

/// A credential of an account or of named projects of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// The account that it acts in.
    pub account: AccountRef,
    /// The projects that it is for; `None`: the whole account.
    pub projects: Option<BTreeSet<ProjectId>>,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it begins with.
    pub environment: Environment,
    /// Whether it is switched on.
    pub is_active: bool,
    /// How many calls it may make.
    pub rate_limit: Option<RateLimit>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When the grace of its rotation ends.
    pub stops_at: Option<Timestamp>,
    /// The key that it succeeded.
    pub rotated_from: Option<AccessKeyId>,
    /// The key that succeeded it.
    pub rotated_to: Option<AccessKeyId>,
    /// The first key of its chain of rotations, under which its limit is counted.
    pub lineage: AccessKeyId,
    /// Who made it, and when.
    pub base: Base,
}

impl AccessKey {
    /// Whether it opens anything at `now`.
    pub fn is_live_at(&self, now: Timestamp) -> bool {
        self.is_active && self.ends_at().is_none_or(|end| now < end)
    }

    /// When it ends, by its expiry or by the grace of its rotation.
    pub fn ends_at(&self) -> Option<Timestamp> {
        earlier(self.expires_at, self.stops_at)
    }

    /// What it may do, and where.
    pub fn grant(&self) -> Grant {
        match &self.projects {
            None => Grant::on_account(self.role, self.account.clone()),
            Some(projects) => Grant::on_projects(self.role, self.account.clone(), projects.clone()),
        }
    }

    /// The rights of a caller that presents it.
    pub fn rights(&self) -> Rights {
        Rights::new(vec![self.grant()])
    }

    /// How it is shown: prefix, public characters and a mask.
    pub fn reference(&self) -> String {
        let public = self.id.as_str().trim_start_matches("ack_");
        KeyPurpose::AccessKey(self.environment).reference(public)
    }
}

/// Which key: by id, or by the digest of the full key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The key with that id.
    Id(AccessKeyId),
    /// The key with that digest.
    Digest(KeyDigest),
}

impl Selector {
    fn binds(&self) -> (Option<String>, Option<Vec<u8>>) {
        match self {
            Self::Id(id) => (Some(id.to_string()), None),
            Self::Digest(digest) => (None, Some(digest.as_bytes().to_vec())),
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    root_account_id: String,
    projects: Option<String>,
    name: String,
    role: String,
    env: String,
    is_active: bool,
    rate_limit: Option<i64>,
    rate_limit_ttl: Option<i64>,
    expires_at: Option<i64>,
    stops_at: Option<i64>,
    rotated_from: Option<String>,
    rotated_to: Option<String>,
    lineage: String,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for AccessKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what| StoreError::Row {
            table: "access_keys",
            what,
        };
        let projects = match &row.projects {
            None => None,
            Some(text) => Some(read_projects(text).ok_or_else(|| broken("projects"))?),
        };
        Ok(Self {
            id: Id::from_trusted(row.id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            projects,
            name: row.name,
            role: Role::parse(&row.role).ok_or_else(|| broken("role"))?,
            environment: Environment::parse(&row.env).ok_or_else(|| broken("env"))?,
            is_active: row.is_active,
            rate_limit: rate_limit("access_keys", row.rate_limit, row.rate_limit_ttl)?,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            stops_at: row.stops_at.map(Timestamp::from_micros),
            rotated_from: row.rotated_from.map(Id::from_trusted),
            rotated_to: row.rotated_to.map(Id::from_trusted),
            lineage: Id::from_trusted(row.lineage),
            base: row.base,
        })
    }
}

/// Reads the two columns of a limit of `table`. What cannot be read is an error: read as no limit,
/// it would take the limit off.
pub(crate) fn rate_limit(
    table: &'static str,
    limit: Option<i64>,
    ttl: Option<i64>,
) -> Result<Option<RateLimit>, StoreError> {
    if limit.is_none() && ttl.is_none() {
        return Ok(None);
    }
    let read = || {
        let seconds = ttl.map_or(Some(DEFAULT_WINDOW_SECONDS), |ttl| u32::try_from(ttl).ok())?;
        RateLimit::new(u64::try_from(limit?).ok()?, seconds)
    };
    let what = "rate_limit";
    read().map(Some).ok_or(StoreError::Row { table, what })
}

/// Writes the two columns of a limit.
pub(crate) fn rate_limit_columns(limit: Option<RateLimit>) -> (Option<i64>, Option<i64>) {
    // A limit is at most 2^53, so that it fits.
    let count = limit.and_then(|limit| i64::try_from(limit.limit()).ok());
    (count, limit.map(|limit| i64::from(limit.window_seconds())))
}

fn read_projects(text: &str) -> Option<BTreeSet<ProjectId>> {
    let list: Vec<[String; 1]> = serde_json::from_str(text).ok()?;
    Some(list.into_iter().map(|[id]| Id::from_trusted(id)).collect())
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, projects, name, role, env, is_active, rate_limit, \
         rate_limit_ttl, expires_at, stops_at, rotated_from, rotated_to, lineage, \
         created_by, created_by_type, created_in, last_changed_by, last_changed_by_type, \
         created_at, updated_at"
    };
}

/// A key of projects is within the reach when all of its projects are, of which there is one.
macro_rules! within {
    () => {
        "deleted_at IS NULL AND ($1 OR account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR root_account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR (projects <> '[]' AND NOT EXISTS (SELECT 1 FROM json_each(projects) AS own \
         WHERE own.value ->> 0 NOT IN \
         (SELECT reach.value ->> 0 FROM json_each($3) AS reach))))"
    };
}

/// Finds the key that was presented, whatever its state, unless its account is gone.
pub async fn find_by_digest(db: &Db, digest: &KeyDigest) -> Result<Option<AccessKey>, StoreError> {
    let everything = Reach {
        everything: true,
        ..Reach::default()
    };
    find(db, &everything, &Selector::Digest(*digest)).await
}

/// Finds a key within the reach.
pub async fn find(
    db: &Db,
    reach: &Reach,
    which: &Selector,
) -> Result<Option<AccessKey>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM access_keys WHERE (id = $4 OR digest = $5) AND ",
        within!()
    );
    let binds = ReachBinds::of(reach);
    let (id, digest) = which.binds();
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id)
        .bind(digest)
        .fetch_optional(c)
        .await)?;
    row.map(AccessKey::try_from).transpose()
}

/// Which keys to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of that account.
    pub account: Id<id::Account>,
    /// For that project.
    pub project: Option<ProjectId>,
    /// Switched on, or off.
    pub is_active: Option<bool>,
    /// Of one of those roles.
    pub roles: Option<Vec<Role>>,
}

impl Filter {
    /// All keys of an account.
    pub const fn of(account: Id<id::Account>) -> Self {
        Self {
            account,
            project: None,
            is_active: None,
            roles: None,
        }
    }
}

macro_rules! filtered {
    () => {
        concat!(
            within!(),
            " AND account_id = $4 \
             AND ($5 IS NULL OR EXISTS (SELECT 1 FROM json_each(projects) AS own \
             WHERE own.value ->> 0 = $5)) \
             AND ($6 IS NULL OR $6 = (is_active AND (stops_at IS NULL OR stops_at > $7))) \
             AND ($8 IS NULL OR role IN (SELECT value ->> 0 FROM json_each($8)))"
        )
    };
}

/// Lists keys within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    page: &Page,
    now: Timestamp,
) -> Result<(Vec<AccessKey>, i64), StoreError> {
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM access_keys WHERE ",
        filtered!(),
        " AND (created_at, id) > ($9, $10) ORDER BY created_at, id LIMIT $11 OFFSET $12"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM access_keys WHERE ", filtered!());
    let binds = ReachBinds::of(reach);
    let project = filter.project.as_ref().map(Id::as_str);
    let roles = filter
        .roles
        .as_ref()
        .map(|roles| reach::list(roles.iter().map(|role| role.as_str())));
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(filter.account.as_str())
        .bind(project)
        .bind(filter.is_active)
        .bind(now.as_micros())
        .bind(&roles)
        .bind(page.after.0.as_micros())
        .bind(&page.after.1)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(filter.account.as_str())
        .bind(project)
        .bind(filter.is_active)
        .bind(now.as_micros())
        .bind(&roles)
        .fetch_one(c)
        .await)?;
    let keys = rows
        .into_iter()
        .map(AccessKey::try_from)
        .collect::<Result<_, _>>()?;
    Ok((keys, total))
}

/// Stores a key that was just drawn.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    key: &AccessKey,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO access_keys (id, account_id, root_account_id, projects, name, \
        role, env, digest, is_active, rate_limit, rate_limit_ttl, expires_at, stops_at, \
        rotated_from, rotated_to, lineage, created_by, created_by_type, created_in, \
        last_changed_by, last_changed_by_type, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, \
        $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";
    let projects = key
        .projects
        .as_ref()
        .map(|ids| reach::list(ids.iter().map(Id::as_str)));
    let (limit, ttl) = rate_limit_columns(key.rate_limit);
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(key.id.as_str())
        .bind(key.account.id.as_str())
        .bind(key.account.root.as_str())
        .bind(projects)
        .bind(&key.name)
        .bind(key.role.as_str())
        .bind(key.environment.as_str())
        .bind(&digest.as_bytes()[..])
        .bind(key.is_active)
        .bind(limit)
        .bind(ttl)
        .bind(key.expires_at.map(Timestamp::as_micros))
        .bind(key.stops_at.map(Timestamp::as_micros))
        .bind(key.rotated_from.as_ref().map(Id::as_str))
        .bind(key.rotated_to.as_ref().map(Id::as_str))
        .bind(key.lineage.as_str())
        .bind(&key.base.created_by)
        .bind(&key.base.created_by_type)
        .bind(&key.base.created_in)
        .bind(&key.base.last_changed_by)
        .bind(&key.base.last_changed_by_type)
        .bind(key.base.created_at.as_micros())
        .bind(key.base.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let data = json!({"name": key.name, "role": key.role.as_str()});
    append(tx, change, EventKind::AccessKeyCreated, key, data).await
}

/// Reads a key within the reach and keeps others from changing it until the transaction ends.
/// The digest comes with it, so that caches can drop the key.
pub async fn lock(
    tx: &mut Tx,
    reach: &Reach,
    which: &Selector,
) -> Result<Option<(AccessKey, KeyDigest)>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE access_keys SET env = env WHERE (id = $4 OR digest = $5) AND ",
        within!(),
        " RETURNING digest, ",
        columns!()
    );
    #[derive(sqlx::FromRow)]
    struct Locked {
        digest: Vec<u8>,
        #[sqlx(flatten)]
        row: Row,
    }
    let binds = ReachBinds::of(reach);
    let (id, digest) = which.binds();
    let locked: Option<Locked> = on!(tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id)
        .bind(digest)
        .fetch_optional(c)
        .await)?;
    let Some(Locked { digest, row }) = locked else {
        return Ok(None);
    };
    let digest = KeyDigest::from_bytes(&digest).ok_or(StoreError::Row {
        table: "access_keys",
        what: "digest",
    })?;
    Ok(Some((row.try_into()?, digest)))
}

/// Writes a locked key back, with the event that tells what was changed.
pub async fn save(
    tx: &mut Tx,
    change: &Change,
    key: &mut AccessKey,
    kind: EventKind,
    data: Value,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE access_keys SET name = $2, is_active = $3, rate_limit = $4, \
        rate_limit_ttl = $5, expires_at = $6, stops_at = $7, rotated_to = $8, \
        last_changed_by = $9, last_changed_by_type = $10, updated_at = $11 WHERE id = $1";
    key.base.touch(change);
    let (limit, ttl) = rate_limit_columns(key.rate_limit);
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(key.id.as_str())
        .bind(&key.name)
        .bind(key.is_active)
        .bind(limit)
        .bind(ttl)
        .bind(key.expires_at.map(Timestamp::as_micros))
        .bind(key.stops_at.map(Timestamp::as_micros))
        .bind(key.rotated_to.as_ref().map(Id::as_str))
        .bind(&key.base.last_changed_by)
        .bind(&key.base.last_changed_by_type)
        .bind(key.base.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    if !key.is_active || key.rotated_to.is_some() {
        idempotency::erase_answers_of(tx, key.id.as_str()).await?;
    }
    reveal_grants::follow(tx, change, &key.id, key.is_active, key.stops_at).await?;
    append(tx, change, kind, key, data).await
}

/// Makes a successor the maker of what the rotated key made.
pub async fn hand_over(
    tx: &mut Tx,
    from: &AccessKeyId,
    to: &AccessKeyId,
) -> Result<(), StoreError> {
    const MADE: [&str; 3] = [
        "UPDATE mcp_servers SET maker_id = $2 WHERE maker_id = $1",
        "UPDATE link_tokens SET maker_id = $2 WHERE maker_id = $1",
        "UPDATE invitations SET last_changed_by = $2 \
         WHERE last_changed_by = $1 AND status = 'pending'",
    ];
    for sql in MADE {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(from.as_str())
            .bind(to.as_str())
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    key: &AccessKey,
    data: Value,
) -> Result<(), StoreError> {
    let project = key.projects.as_ref().filter(|projects| projects.len() == 1);
    let event = NewEvent {
        kind,
        account: key.account.id.clone(),
        project: project.and_then(|projects| projects.first().cloned()),
        target: key.id.to_string(),
        data,
    };
    crate::events::append(tx, change, event).await
}
