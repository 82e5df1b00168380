//! The append-only trail of changes: written here, with each change, and nowhere else.

pub mod trail;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::Topic;
use serde_json::Value;

use crate::db::{ByRows, Cell, Filled, Open, list_of_rows, on};
use crate::generations::Stripes;
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
    let Tx { open, named } = tx;
    let rows = events.map(|(change, event)| {
        named.join(stripes(&event));
        cells((change, event))
    });
    match open {
        Open::Sqlite(open) => {
            INSERT.run(open, rows).await?;
        }
        Open::Postgres(open) => {
            let rows: Vec<_> = rows.collect();
            if !rows.is_empty() {
                sqlx::query(INSERT_ON_POSTGRES)
                    .bind(list_of_rows::<CELLS>(&rows))
                    .execute(&mut **open)
                    .await?;
            }
        }
    }
    Ok(())
}

/// What an event concerns of what others keep.
fn stripes(event: &NewEvent) -> Stripes {
    Stripes::of_event(event.kind.as_str(), event.account.as_str(), &event.target)
}

/// That an API key was made.
pub(crate) struct ApiKeyMade {
    pub(crate) account: Id<id::Account>,
    pub(crate) project: Id<id::Project>,
    pub(crate) key: Id<id::ApiKey>,
    pub(crate) data: Value,
}

impl From<ApiKeyMade> for NewEvent {
    fn from(made: ApiKeyMade) -> Self {
        Self {
            kind: EventKind::ApiKeyCreated,
            account: made.account,
            project: Some(made.project),
            target: made.key.to_string(),
            data: made.data,
        }
    }
}

/// The statement that writes events of new API keys into SQLite, as many as one takes. No transaction notes
/// what they name, since nobody keeps anything that rests on API keys alone: it takes no other events.
pub(crate) fn fill<'c>(
    events: impl Iterator<Item = (&'c Change, ApiKeyMade)>,
) -> Result<Option<Filled>, StoreError> {
    let rows = events.map(|(change, made)| cells((change, made.into())));
    Ok(INSERT.fill(&mut { rows })?)
}

/// The cells of a row.
const CELLS: usize = 9;

fn cells((change, event): (&Change, NewEvent)) -> [Cell<'static>; CELLS] {
    // In the order of time: the index of ids grows at its end, and not all over.
    let id = Id::<id::Event>::draw_at(change.now, &*change.random);
    [
        id.to_string().into(),
        change.now.as_micros().into(),
        event.account.to_string().into(),
        event.project.map(|project| project.to_string()).into(),
        change.actor.describe().into(),
        event.kind.as_str().into(),
        event.target.into(),
        event.data.to_string().into(),
        Topic::of_event(event.kind.as_str()).map(|_| "told").into(),
    ]
}

macro_rules! into_columns {
    () => {
        "INSERT INTO events (id, at, account_id, project_id, actor, kind, target, data, \
         awaits_fan_out) SELECT "
    };
}

/// Whether an event is to be fanned out, by its last cell and its account: only what somebody is to be
/// told waits for that, elsewhere the trail is written and let be.
macro_rules! awaits_fan_out {
    ($last:literal, $account:literal) => {
        concat!(
            "(COALESCE(",
            $last,
            ", '') = 'told' AND EXISTS (SELECT 1 FROM webhooks WHERE account_id = ",
            $account,
            " AND deleted_at IS NULL))"
        )
    };
}

static INSERT: ByRows<CELLS> = ByRows::new(
    concat!(
        into_columns!(),
        "column1, column2, column3, column4, column5, column6, column7, column8, ",
        awaits_fan_out!("column9", "column3"),
        " FROM ("
    ),
    ") WHERE column1 IS NOT NULL",
);

const INSERT_ON_POSTGRES: &str = concat!(
    "WITH rows AS MATERIALIZED (SELECT value AS cells FROM json_each($1)) ",
    into_columns!(),
    "cells ->> 0, CAST(cells ->> 1 AS BIGINT), cells ->> 2, cells ->> 3, cells ->> 4, \
     cells ->> 5, cells ->> 6, cells ->> 7, ",
    awaits_fan_out!("cells ->> 8", "cells ->> 2"),
    " FROM rows"
);

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
