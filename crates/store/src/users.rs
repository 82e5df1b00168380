//! People: who they are, and how they show it. What they may do is in [`roles`](crate::roles).

use claviger_domain::email::Email;
use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use serde_json::Value;

use crate::db::on;
use crate::{Change, Db, StoreError, Tx, events, instance};

type UserId = Id<id::User>;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct User {
    /// Their id.
    #[sqlx(try_from = "String")]
    pub id: UserId,
    /// Their address, as it was given.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Whether it was seen that mail to the address reaches them.
    pub is_verified: bool,
    /// When they signed up.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When something of this was changed last.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
}

/// The digest of a password, in the form that says its own cost. It prints as `[hash]`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[hash]")
    }
}

macro_rules! columns {
    () => {
        "id, email, name, email_verified_at IS NOT NULL AS is_verified, created_at, updated_at"
    };
}

pub(crate) use columns;

/// The person of that id.
pub async fn find(db: &Db, id: &UserId) -> Result<Option<User>, StoreError> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1");
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// The person of that address, with the digest of their password, where they have one.
pub async fn find_by_email(
    db: &Db,
    email: &Email,
) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
    const SQL: &str = concat!(
        "SELECT password_hash, ",
        columns!(),
        " FROM users WHERE email_folded = $1"
    );
    #[derive(sqlx::FromRow)]
    struct Row {
        password_hash: Option<String>,
        #[sqlx(flatten)]
        user: User,
    }
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(email.folded())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(|row| (row.user, row.password_hash.map(PasswordHash))))
}

/// The digest of a person's password, where they have one.
pub async fn password_of(db: &Db, id: &UserId) -> Result<Option<PasswordHash>, StoreError> {
    const SQL: &str = "SELECT password_hash FROM users WHERE id = $1";
    let hash: Option<Option<String>> = on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    Ok(hash.flatten().map(PasswordHash))
}

/// Somebody who signs up.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Their address.
    pub email: Email,
    /// What they are called.
    pub name: String,
    /// Their password, digested; none where they show otherwise who they are.
    pub password: Option<PasswordHash>,
    /// Whether it was seen that mail to the address reaches them.
    pub is_verified: bool,
}

/// Stores a person; `None` where somebody has that address already. What they joined or made is told
/// by [`note`], once they hold a role there.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    id: &UserId,
    new: &NewUser,
) -> Result<Option<User>, StoreError> {
    const SQL: &str = concat!(
        "INSERT INTO users (id, email, email_folded, name, password_hash, email_verified_at, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) \
         ON CONFLICT (email_folded) DO NOTHING RETURNING ",
        columns!()
    );
    Ok(on!(tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(new.email.as_str())
        .bind(new.email.folded())
        .bind(&new.name)
        .bind(new.password.as_ref().map(|hash| &hash.0))
        .bind(new.is_verified.then_some(change.now.as_micros()))
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?)
}

/// Calls a person something else.
pub async fn rename(
    tx: &mut Tx,
    change: &Change,
    id: &UserId,
    name: &str,
) -> Result<Option<User>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE users SET name = $2, updated_at = $3 WHERE id = $1 RETURNING ",
        columns!()
    );
    let renamed: Option<User> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(name)
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    if renamed.is_some() {
        note(tx, change, EventKind::UserUpdated, id, Value::Null).await?;
    }
    Ok(renamed)
}

/// Keeps others from changing what a person is signed in by until the transaction ends. Whoever begins,
/// exchanges or ends a session, or changes a password, has this first: what is decided after it is
/// decided on what the one before has left.
pub async fn hold(tx: &mut Tx, id: &UserId) -> Result<Option<User>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING ",
        columns!()
    );
    Ok(on!(tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// The same, where their password still is the one that was verified: that takes a while, and is done
/// before the transaction.
pub async fn hold_with_password(
    tx: &mut Tx,
    id: &UserId,
    verified: Option<&PasswordHash>,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE users SET updated_at = updated_at \
                       WHERE id = $1 AND password_hash IS NOT DISTINCT FROM $2";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(verified.map(|hash| &hash.0))
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

/// Gives a person another password.
pub async fn set_password(
    tx: &mut Tx,
    change: &Change,
    id: &UserId,
    hash: &PasswordHash,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(&hash.0)
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    note(tx, change, EventKind::UserPasswordChanged, id, Value::Null).await
}

/// Takes a person's password away: they have none until they choose another.
pub async fn clear_password(tx: &mut Tx, change: &Change, id: &UserId) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE users SET password_hash = NULL, updated_at = $2 \
                       WHERE id = $1 AND password_hash IS NOT NULL";
    let rows = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if rows == 1 {
        note(tx, change, EventKind::UserPasswordChanged, id, Value::Null).await?;
    }
    Ok(())
}

/// Notes that mail to a person's address reaches them; `false` where that was known.
pub async fn verify_email(tx: &mut Tx, change: &Change, id: &UserId) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE users SET email_verified_at = $2, updated_at = $2 \
                       WHERE id = $1 AND email_verified_at IS NULL";
    let rows = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if rows == 1 {
        note(tx, change, EventKind::UserEmailVerified, id, Value::Null).await?;
    }
    Ok(rows == 1)
}

/// Writes what a person did into the trail of every account in which they hold a role; where there is
/// none, into the instance's own.
pub async fn note(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    id: &UserId,
    data: Value,
) -> Result<(), StoreError> {
    const SQL: &str = "SELECT DISTINCT account_id FROM role_assignments WHERE user_id = $1 \
                       ORDER BY account_id LIMIT 100";
    let accounts: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(SQL)
        .bind(id.as_str())
        .fetch_all(c)
        .await)?;
    if accounts.is_empty() {
        return instance::note(tx, change, kind, id.as_str(), data).await;
    }
    let events = accounts.into_iter().map(|account| {
        let event = NewEvent {
            kind,
            account: Id::from_trusted(account),
            project: None,
            target: id.to_string(),
            data: data.clone(),
        };
        (change, event)
    });
    events::append_all(tx, events).await
}
