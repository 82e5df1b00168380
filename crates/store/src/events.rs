//! The append-only trail of changes: written here, with each change, and nowhere else.

use claviger_domain::event::NewEvent;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;

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
    append_all(tx, std::iter::once((change, event))).await
}

/// Writes events, each with the change that it tells of.
pub async fn append_all(
    tx: &mut Tx,
    events: impl Iterator<Item = (&Change, NewEvent)>,
) -> Result<(), StoreError> {
    const SQL: &str = "WITH rows AS MATERIALIZED (SELECT value AS cells FROM json_each($1)) \
                       INSERT INTO events (id, at, account_id, project_id, actor, kind, target, data) \
                       SELECT cells ->> 0, CAST(cells ->> 1 AS BIGINT), cells ->> 2, cells ->> 3, \
                       cells ->> 4, cells ->> 5, cells ->> 6, cells ->> 7 FROM rows";
    let rows: Vec<_> = events
        .map(|(change, event)| {
            // In the order of time: the index of ids grows at its end, and not all over.
            let id = Id::<id::Event>::draw_at(change.now, &*change.random);
            let actor = change.actor.describe();
            let (kind, data) = (event.kind.as_str(), event.data.to_string());
            let at = change.now.as_micros();
            (
                id,
                at,
                event.account,
                event.project,
                actor,
                kind,
                event.target,
                data,
            )
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let list = serde_json::to_string(&rows).expect("texts and numbers are JSON");
    on!(tx, |c| sqlx::query(SQL)
        .bind(list)
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
