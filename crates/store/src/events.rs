//! The append-only trail of changes: written here, with each change, and nowhere else.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::db::on;
use crate::{Change, Db, StoreError, Tx};

/// One change as the trail shows it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Event {
    /// Its id, `evt_…`.
    pub id: String,
    /// When it happened.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
    /// In which account.
    pub account_id: String,
    /// In which project.
    pub project_id: Option<String>,
    /// Who did it.
    pub actor: String,
    /// What happened, such as `api-key.created`.
    pub kind: String,
    /// The id of what it happened to.
    pub target: String,
    /// More about it, JSON.
    pub data: String,
}

/// Writes an event into the transaction of the change that it tells of.
pub async fn append(tx: &mut Tx, change: &Change, event: NewEvent) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO events (id, at, account_id, project_id, actor, kind, target, data) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let id = Id::<id::Event>::draw(&*change.random);
    let data = event.data.to_string();
    on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .bind(event.account.as_str())
        .bind(event.project.as_ref().map(Id::as_str))
        .bind(change.actor.describe())
        .bind(event.kind.as_str())
        .bind(&event.target)
        .bind(&data)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Writes events of one kind in one place, each of its own target with its own data.
pub async fn append_all(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    (account, project): (&Id<id::Account>, Option<&Id<id::Project>>),
    targets: &[(String, Value)],
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO events (id, target, data, at, account_id, project_id, actor, kind) \
                       SELECT value ->> 0, value ->> 1, value ->> 2, $2, $3, $4, $5, $6 \
                       FROM json_each($1)";
    if targets.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = targets
        .iter()
        .map(|(target, data)| {
            let id = Id::<id::Event>::draw(&*change.random);
            json!([id, target, data.to_string()])
        })
        .collect();
    on!(tx, |c| sqlx::query(SQL)
        .bind(json!(rows).to_string())
        .bind(change.now.as_micros())
        .bind(account.as_str())
        .bind(project.map(Id::as_str))
        .bind(change.actor.describe())
        .bind(kind.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// The events of an account, the oldest first.
pub async fn of_account(
    db: &Db,
    account: &Id<id::Account>,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    const SQL: &str = "SELECT id, at, account_id, project_id, actor, kind, target, data \
                       FROM events WHERE account_id = $1 ORDER BY seq LIMIT $2";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(account.as_str())
        .bind(limit)
        .fetch_all(c)
        .await)?)
}
