//! Accounts: roots and their children, one level.

#[cfg(test)]
mod plans;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use futures::TryStreamExt;
use serde_json::json;

use crate::db::on;
use crate::gone::Gone;
use crate::reach::{self, ReachBinds};
use crate::reveal_grants::{self, Ended};
use crate::{Base, Change, Db, Page, StoreError, Tx, oauth_clients, sealed_keys};

type AccountId = Id<id::Account>;

/// A customer of this instance, or a child of one.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Account {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: AccountId,
    /// Its parent's id, or its own.
    #[sqlx(try_from = "String")]
    pub root_account_id: AccountId,
    /// Its name.
    pub name: String,
    /// Who made it, and when.
    #[sqlx(flatten)]
    pub base: Base,
}

impl Account {
    /// The account with its root, as rights name it.
    pub fn reference(&self) -> AccountRef {
        AccountRef {
            id: self.id.clone(),
            root: self.root_account_id.clone(),
        }
    }

    /// The parent, for a child.
    pub fn parent(&self) -> Option<&AccountId> {
        (self.id != self.root_account_id).then_some(&self.root_account_id)
    }
}

macro_rules! columns {
    () => {
        "id, root_account_id, name, created_by, created_by_type, created_in, last_changed_by, \
         last_changed_by_type, created_at, updated_at"
    };
}

/// That a row of this table is within the reach; `$4` are accounts that may be read by themselves.
macro_rules! within {
    () => {
        "deleted_at IS NULL AND ($1 OR id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR root_account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR id IN (SELECT value ->> 0 FROM json_each($3)))"
    };
}

fn binds(reach: &Reach) -> (bool, String, String) {
    let bare = reach::list(
        reach
            .bare_accounts
            .iter()
            .map(|account| account.id.as_str()),
    );
    let ReachBinds {
        everything,
        accounts,
        ..
    } = ReachBinds::of(reach);
    (everything, accounts, bare)
}

/// Finds an account within the reach.
pub async fn find(db: &Db, reach: &Reach, id: &AccountId) -> Result<Option<Account>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM accounts WHERE id = $4 AND ",
        within!()
    );
    let (everything, accounts, bare) = binds(reach);
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(everything)
        .bind(&accounts)
        .bind(&bare)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// The account that was made first: of whoever runs this. None where it is gone.
pub async fn first(db: &Db) -> Result<Option<AccountRef>, StoreError> {
    const SQL: &str = "SELECT id FROM accounts WHERE id = root_account_id AND deleted_at IS NULL \
                       ORDER BY created_at, id LIMIT 1";
    let id: Option<String> = on!(read db, |c| sqlx::query_scalar(SQL).fetch_optional(c).await)?;
    Ok(id.map(|id| AccountRef::root(Id::from_trusted(id))))
}

/// Lists accounts within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    name: Option<&str>,
    page: &Page,
) -> Result<(Vec<Account>, i64), StoreError> {
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM accounts WHERE ",
        within!(),
        " AND ($4 IS NULL OR name_folded = $4) AND (created_at, id) > ($5, $6) \
         ORDER BY created_at, id LIMIT $7 OFFSET $8"
    );
    const TOTAL: &str = concat!(
        "SELECT COUNT(*) FROM accounts WHERE ",
        within!(),
        " AND ($4 IS NULL OR name_folded = $4)"
    );
    let (everything, accounts, bare) = binds(reach);
    let name = name.map(str::to_lowercase);
    let rows = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(everything)
        .bind(&accounts)
        .bind(&bare)
        .bind(&name)
        .bind(page.after.0.as_micros())
        .bind(&page.after.1)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(everything)
        .bind(&accounts)
        .bind(&bare)
        .bind(&name)
        .fetch_one(c)
        .await)?;
    Ok((rows, total))
}

/// Makes an account: a root, or the child of one.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    name: &str,
    parent: Option<&AccountId>,
) -> Result<Account, StoreError> {
    const SQL: &str = concat!(
        "INSERT INTO accounts (id, root_account_id, name, name_folded, has_foreign_keys, created_by, \
         created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $6, $7, $9, $9) RETURNING ",
        columns!()
    );
    let id = AccountId::draw(&*change.random);
    let base = Base::made_by(change);
    let account: Account = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(parent.unwrap_or(&id).as_str())
        .bind(name)
        .bind(name.to_lowercase())
        .bind(false)
        .bind(&base.created_by)
        .bind(&base.created_by_type)
        .bind(&base.created_in)
        .bind(base.created_at.as_micros())
        .fetch_one(c)
        .await)?;
    append(tx, change, EventKind::AccountCreated, &account).await?;
    Ok(account)
}

/// Renames an account within the reach.
pub async fn rename(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &AccountId,
    name: &str,
) -> Result<Option<Account>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE accounts SET name = $5, name_folded = $6, last_changed_by = $7, \
         last_changed_by_type = $8, updated_at = $9 WHERE id = $4 AND ",
        within!(),
        " RETURNING ",
        columns!()
    );
    let (everything, accounts, bare) = binds(reach);
    let now = Base::made_by(change);
    let renamed: Option<Account> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(everything)
        .bind(&accounts)
        .bind(&bare)
        .bind(id.as_str())
        .bind(name)
        .bind(name.to_lowercase())
        .bind(&now.last_changed_by)
        .bind(&now.last_changed_by_type)
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    if let Some(account) = &renamed {
        append(tx, change, EventKind::AccountUpdated, account).await?;
    }
    Ok(renamed)
}

// Not the id: SQLite would visit every row that refers to it.
const HOLD: &str = concat!(
    "UPDATE accounts SET name = name WHERE id = $4 AND ",
    within!()
);

/// Keeps an account from being deleted until the transaction ends; tells whether it is there.
///
/// What is made in an account calls this first, so that nothing is made in one that goes away.
pub async fn hold(tx: &mut Tx, reach: &Reach, id: &AccountId) -> Result<bool, StoreError> {
    let (everything, accounts, bare) = binds(reach);
    let held = on!(tx, |c| sqlx::query(HOLD)
        .bind(everything)
        .bind(&accounts)
        .bind(&bare)
        .bind(id.as_str())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(held == 1)
}

/// What came of deleting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is absent everywhere from now on, with all that is in it.
    Done,
    /// There is none within the reach.
    Absent,
    /// It still has children.
    HasChildren,
}

/// Removes an account within the reach, with its projects, keys, connected accounts and servers.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &AccountId,
) -> Result<(Deleted, Option<Gone>), StoreError> {
    const SQL: &str = concat!(
        "UPDATE accounts SET deleted_at = $5 WHERE id = $4 AND ",
        within!(),
        " RETURNING ",
        columns!()
    );
    const CHILDREN: &str = "SELECT COUNT(*) FROM accounts \
                            WHERE root_account_id = $1 AND id <> $1 AND deleted_at IS NULL";
    const PROJECTS: &str = "UPDATE projects SET deleted_at = $2 \
                            WHERE account_id = $1 AND deleted_at IS NULL";
    const API_KEYS: &str = "UPDATE api_keys SET deleted_at = $2 \
                            WHERE account_id = $1 AND deleted_at IS NULL RETURNING digest";
    const ACCESS_KEYS: &str = "UPDATE access_keys SET deleted_at = $2 \
                               WHERE account_id = $1 AND deleted_at IS NULL RETURNING digest";
    const MAILS: &str = "DELETE FROM mails WHERE next_at IS NOT NULL AND about IN \
                         (SELECT id FROM invitations WHERE account_id = $1)";
    // Held first: a child that is being made holds it too, and is there once this goes on. Whoever
    // cannot reach the account does not learn that it has children.
    if !hold(tx, reach, id).await? {
        return Ok((Deleted::Absent, None));
    }
    let children: i64 = on!(&mut *tx, |c| sqlx::query_scalar(CHILDREN)
        .bind(id.as_str())
        .fetch_one(c)
        .await)?;
    if children > 0 {
        return Ok((Deleted::HasChildren, None));
    }
    let (everything, accounts, bare) = binds(reach);
    let deleted: Option<Account> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(everything)
        .bind(&accounts)
        .bind(&bare)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(account) = deleted else {
        return Ok((Deleted::Absent, None));
    };
    on!(&mut *tx, |c| sqlx::query(MAILS)
        .bind(id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    // Before the keys: one that is being made in a project is waited for, and is there then.
    on!(&mut *tx, |c| sqlx::query(PROJECTS)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let mut gone = Gone::none_of(account.root_account_id.clone());
    for (sql, digests) in [
        (API_KEYS, &mut gone.api_keys),
        (ACCESS_KEYS, &mut gone.access_keys),
    ] {
        on!(&mut *tx, |c| {
            let mut rows = sqlx::query_scalar::<_, Vec<u8>>(sql)
                .bind(id.as_str())
                .bind(change.now.as_micros())
                .fetch(c);
            while let Some(digest) = rows.try_next().await? {
                digests.add(&digest);
            }
        });
    }
    for sql in [
        "UPDATE connected_accounts SET deleted_at = $2 WHERE account_id = $1 AND deleted_at IS NULL",
        "UPDATE mcp_servers SET deleted_at = $2 WHERE account_id = $1 AND deleted_at IS NULL",
        "UPDATE connectors SET deleted_at = $2 WHERE account_id = $1 AND deleted_at IS NULL",
        // They are told of this as well, and end when that is sent.
        "UPDATE webhooks SET ended_at = $2 WHERE account_id = $1 AND deleted_at IS NULL AND ended_at IS NULL",
    ] {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(id.as_str())
            .bind(change.now.as_micros())
            .execute(c)
            .await
            .map(drop))?;
    }
    let roles = "DELETE FROM role_assignments WHERE account_id = $1";
    on!(&mut *tx, |c| sqlx::query(roles)
        .bind(id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    reveal_grants::end(tx, change, Ended::OfAccount(id)).await?;
    oauth_clients::erase_of_account(tx, id).await?;
    sealed_keys::erase_of_account(tx, id).await?;
    append(tx, change, EventKind::AccountDeleted, &account).await?;
    Ok((Deleted::Done, Some(gone)))
}

/// The root accounts that have keys of our shape without our checksum.
pub async fn with_foreign_keys(db: &Db) -> Result<Vec<AccountId>, StoreError> {
    const SQL: &str = "SELECT id FROM accounts WHERE has_foreign_keys AND deleted_at IS NULL";
    let ids: Vec<String> = on!(read db, |c| sqlx::query_scalar(SQL).fetch_all(c).await)?;
    Ok(ids.into_iter().map(AccountId::from_trusted).collect())
}

/// Notes that a root account has keys of our shape without our checksum.
pub async fn note_foreign_keys(tx: &mut Tx, root: &AccountId) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE accounts SET has_foreign_keys = $2 \
                       WHERE id = $1 AND has_foreign_keys <> $2";
    on!(tx, |c| sqlx::query(SQL)
        .bind(root.as_str())
        .bind(true)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    account: &Account,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: account.id.clone(),
        project: None,
        target: account.id.to_string(),
        data: json!({"name": account.name, "parentAccountId": account.parent()}),
    };
    crate::events::append(tx, change, event).await
}
