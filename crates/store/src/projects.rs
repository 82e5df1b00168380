//! Projects: named sets of API keys.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_storage::KeyStorage;
use claviger_domain::key_string::Environment;
use claviger_domain::rights::{AccountRef, Reach};
use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::accounts::Account;
use crate::db::{Open, on};
use crate::gone::Gone;
use crate::reach::ReachBinds;
use crate::reveal_grants::{self, Ended};
use crate::{Base, Change, Db, Page, StoreError, Tx, sealed_keys};

type ProjectId = Id<id::Project>;

/// A named set of API keys.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Project {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: ProjectId,
    /// Its account.
    #[sqlx(try_from = "String")]
    pub account_id: Id<id::Account>,
    /// Its account's parent, or its account.
    #[sqlx(try_from = "String")]
    pub root_account_id: Id<id::Account>,
    /// Its name.
    pub name: String,
    /// `live` or `test`.
    pub env: String,
    /// Whether its keys can be read back.
    #[sqlx(try_from = "String")]
    pub key_storage: KeyStorage,
    /// Who made it, and when.
    #[sqlx(flatten)]
    pub base: Base,
}

impl Project {
    /// The account with its root, as rights name it.
    pub fn account(&self) -> AccountRef {
        AccountRef {
            id: self.account_id.clone(),
            root: self.root_account_id.clone(),
        }
    }

    /// What its keys begin with.
    pub fn environment(&self) -> Environment {
        Environment::parse(&self.env).unwrap_or(Environment::Live)
    }
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, name, env, key_storage, created_by, created_by_type, \
         created_in, last_changed_by, last_changed_by_type, created_at, updated_at"
    };
}

macro_rules! within {
    () => {
        "deleted_at IS NULL AND ($1 OR account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR root_account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR id IN (SELECT value ->> 0 FROM json_each($3)))"
    };
}

/// Finds a project within the reach.
pub async fn find(db: &Db, reach: &Reach, id: &ProjectId) -> Result<Option<Project>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM projects WHERE id = $4 AND ",
        within!()
    );
    let binds = ReachBinds::of(reach);
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// Lists the projects of an account within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    account: &Id<id::Account>,
    wanted: &Page,
) -> Result<(Vec<Project>, i64), StoreError> {
    let rows = page(db, reach, account, wanted).await?;
    Ok((rows, count(db, reach, account).await?))
}

/// One page of the projects of an account within the reach.
pub async fn page(
    db: &Db,
    reach: &Reach,
    account: &Id<id::Account>,
    page: &Page,
) -> Result<Vec<Project>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM projects WHERE ",
        within!(),
        " AND account_id = $4 AND (created_at, id) > ($5, $6) \
         ORDER BY created_at, id LIMIT $7 OFFSET $8"
    );
    let binds = ReachBinds::of(reach);
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(account.as_str())
        .bind(page.after.0.as_micros())
        .bind(&page.after.1)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?)
}

/// Counts the projects of an account within the reach.
pub async fn count(db: &Db, reach: &Reach, account: &Id<id::Account>) -> Result<i64, StoreError> {
    const SQL: &str = concat!(
        "SELECT COUNT(*) FROM projects WHERE ",
        within!(),
        " AND account_id = $4"
    );
    let binds = ReachBinds::of(reach);
    Ok(on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(account.as_str())
        .fetch_one(c)
        .await)?)
}

/// Makes a project in `account`.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    account: &Account,
    name: &str,
    environment: Environment,
) -> Result<Project, StoreError> {
    const SQL: &str = concat!(
        "INSERT INTO projects (id, account_id, root_account_id, name, env, key_storage, created_by, \
         created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, 'hashed', $6, $7, $8, $6, $7, $9, $9) RETURNING ",
        columns!()
    );
    let base = Base::made_by(change);
    let project: Project = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(ProjectId::draw(&*change.random).as_str())
        .bind(account.id.as_str())
        .bind(account.root_account_id.as_str())
        .bind(name)
        .bind(environment.as_str())
        .bind(&base.created_by)
        .bind(&base.created_by_type)
        .bind(&base.created_in)
        .bind(change.now.as_micros())
        .fetch_one(c)
        .await)?;
    append(
        tx,
        change,
        EventKind::ProjectCreated,
        &project,
        told(&project),
    )
    .await?;
    Ok(project)
}

/// What of a project becomes another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Its name.
    pub name: Option<String>,
    /// Whether its keys can be read back.
    pub key_storage: Option<KeyStorage>,
}

/// Changes a project within the reach. With its storage, whatever could be read back until then is
/// erased, and nobody may read keys back until that is granted anew.
pub async fn update(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &ProjectId,
    edit: &Edit,
) -> Result<Option<Project>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE projects SET name = COALESCE($5, name), key_storage = COALESCE($6, key_storage), \
         last_changed_by = $7, last_changed_by_type = $8, updated_at = $9 WHERE id = $4 AND ",
        within!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    let base = Base::made_by(change);
    let updated: Option<Project> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(&edit.name)
        .bind(edit.key_storage.map(KeyStorage::as_str))
        .bind(&base.last_changed_by)
        .bind(&base.last_changed_by_type)
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(project) = updated else {
        return Ok(None);
    };
    let mut data = told(&project);
    if let Some(storage) = edit.key_storage {
        // The project is locked, so that no key of it is on its way in.
        let erased = sealed_keys::erase_of_project(tx, id).await?;
        reveal_grants::end(tx, change, Ended::OfProject(id)).await?;
        data["keyStorage"] = json!(storage.as_str());
        data["keysErased"] = json!(erased);
    }
    append(tx, change, EventKind::ProjectUpdated, &project, data).await?;
    Ok(Some(project))
}

/// Removes a project within the reach, with its keys, connected accounts, MCP servers and webhooks;
/// their rows stay, absent everywhere. Access keys that are for further projects stay for those, and so
/// do the MCP servers that they made.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &ProjectId,
) -> Result<Option<(Project, Gone)>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE projects SET deleted_at = $5 WHERE id = $4 AND ",
        within!(),
        " RETURNING ",
        columns!()
    );
    const API_KEYS: &str = "UPDATE api_keys SET deleted_at = $2 \
                            WHERE project_id = $1 AND deleted_at IS NULL RETURNING digest";
    // The list is as `create` wrote it, so that its text without the one entry is the list without.
    const ACCESS_KEYS: &str = "UPDATE access_keys SET \
                               deleted_at = CASE WHEN projects = $4 THEN $2 ELSE deleted_at END, \
                               projects = REPLACE(REPLACE(projects, $5, ''), $6, '') \
                               WHERE account_id = $3 AND deleted_at IS NULL \
                               AND EXISTS (SELECT 1 FROM json_each(projects) AS own \
                               WHERE own.value ->> 0 = $1) RETURNING digest";
    // What a maker held is compared with what it holds, so that it loses what the maker loses. A
    // list of this project alone stays: whoever held no more is gone, and no list becomes empty.
    const MAKER_RIGHTS: &str = "UPDATE mcp_servers SET \
                                maker_rights = REPLACE(REPLACE(maker_rights, $2, ''), $3, '') \
                                WHERE account_id = $1 AND deleted_at IS NULL \
                                AND REPLACE(maker_rights, $4, '') <> maker_rights";
    let binds = ReachBinds::of(reach);
    let deleted: Option<Project> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(project) = deleted else {
        return Ok(None);
    };
    let mut gone = Gone::none_of(project.root_account_id.clone());
    on!(&mut *tx, |c| {
        let mut digests = sqlx::query_scalar::<_, Vec<u8>>(API_KEYS)
            .bind(id.as_str())
            .bind(change.now.as_micros())
            .fetch(c);
        while let Some(digest) = digests.try_next().await? {
            gone.api_keys.add(&digest);
        }
    });
    let entry = json!([id]);
    on!(&mut *tx, |c| {
        let mut digests = sqlx::query_scalar::<_, Vec<u8>>(ACCESS_KEYS)
            .bind(id.as_str())
            .bind(change.now.as_micros())
            .bind(project.account_id.as_str())
            .bind(json!([entry]).to_string())
            .bind(format!("{entry},"))
            .bind(format!(",{entry}"))
            .fetch(c);
        while let Some(digest) = digests.try_next().await? {
            gone.access_keys.add(&digest);
        }
    });
    let roles = "DELETE FROM role_assignments WHERE project_id = $1";
    on!(&mut *tx, |c| sqlx::query(roles)
        .bind(id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    for sql in [
        "UPDATE connected_accounts SET deleted_at = $2 WHERE project_id = $1 AND deleted_at IS NULL",
        "UPDATE mcp_servers SET deleted_at = $2 WHERE project_id = $1 AND deleted_at IS NULL",
        // They are told of this as well, and end when that is sent.
        "UPDATE webhooks SET ended_at = $2 WHERE project_id = $1 AND deleted_at IS NULL AND ended_at IS NULL",
    ] {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(id.as_str())
            .bind(change.now.as_micros())
            .execute(c)
            .await
            .map(drop))?;
    }
    let name = json!(id);
    on!(&mut *tx, |c| sqlx::query(MAKER_RIGHTS)
        .bind(project.account_id.as_str())
        .bind(format!("{name},"))
        .bind(format!(",{name}"))
        .bind(name.to_string())
        .execute(c)
        .await
        .map(drop))?;
    sealed_keys::erase_of_project(tx, id).await?;
    reveal_grants::end(tx, change, Ended::OfProject(id)).await?;
    append(
        tx,
        change,
        EventKind::ProjectDeleted,
        &project,
        told(&project),
    )
    .await?;
    Ok(Some((project, gone)))
}

/// Keeps a project from being changed or deleted until the transaction ends, and tells what it is.
///
/// What is made in a project calls this first, so that nothing is made in one that goes away. Those
/// who hold a project do not wait for each other.
pub async fn hold(
    tx: &mut Tx,
    reach: &Reach,
    id: &ProjectId,
) -> Result<Option<Project>, StoreError> {
    // SQLite has one writer: what it reads stays until that is done.
    const ALONE: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM projects WHERE id = $4 AND ",
        within!()
    );
    const BESIDE_OTHERS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM projects WHERE id = $4 AND ",
        within!(),
        " FOR SHARE"
    );
    let sql = match &tx.open {
        Open::Sqlite(_) => ALONE,
        Open::Postgres(_) => BESIDE_OTHERS,
    };
    let binds = ReachBinds::of(reach);
    Ok(on!(tx, |c| sqlx::query_as(sql)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// What events tell of a project.
fn told(project: &Project) -> Value {
    json!({"name": project.name, "env": project.env})
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    project: &Project,
    data: Value,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: project.account_id.clone(),
        project: Some(project.id.clone()),
        target: project.id.to_string(),
        data,
    };
    crate::events::append(tx, change, event).await
}
