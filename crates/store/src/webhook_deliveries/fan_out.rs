//! From events to deliveries.

use claviger_domain::id::{self, Id};
use claviger_domain::webhook::Topic;
use serde_json::{Value, json};

use super::room::{self, Room};
use crate::db::{Open, on};
use crate::webhooks::read_topics;
use crate::{Change, Db, StoreError, Tx};

/// An event that was not fanned out yet.
#[derive(sqlx::FromRow)]
struct Event {
    seq: i64,
    id: String,
    at: i64,
    project_id: Option<String>,
    kind: String,
}

/// A webhook of their account, live or not: what it misses now waits for it.
#[derive(sqlx::FromRow)]
struct Listening {
    id: String,
    project_id: Option<String>,
    topics: String,
    waiting: i64,
    told_after: i64,
    ended_at: Option<i64>,
}

impl Listening {
    fn is_told_of(&self, topic: Topic, topics: &[Topic], event: &Event) -> bool {
        topics.contains(&topic)
            && event.seq > self.told_after
            && self.ended_at.is_none_or(|end| event.at <= end)
            && match &self.project_id {
                None => true,
                Some(own) => event
                    .project_id
                    .as_ref()
                    .map_or(topic.is_of_account(), |project| project == own),
            }
    }
}

/// Whether events wait to be fanned out: asked often, and of no writer.
pub async fn is_awaited(db: &Db) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM events WHERE awaits_fan_out)";
    Ok(on!(read db, |c| sqlx::query_scalar(SQL).fetch_one(c).await)?)
}

/// Names the turn to fan out among the locks of a database.
const TURN: i64 = 0x0077_6562_686f_6f6b;

/// Whether nobody else fans out until the transaction ends. On SQLite nobody else writes; on
/// PostgreSQL two programs that mark the same events, or wake the same webhooks, could wait for each
/// other in a circle.
async fn takes_turn(tx: &mut Tx) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT pg_try_advisory_xact_lock($1)";
    match &mut tx.open {
        Open::Sqlite(_) => Ok(true),
        Open::Postgres(open) => {
            let query = sqlx::query_scalar(SQL).bind(TURN);
            Ok(query.fetch_one(&mut **open).await?)
        }
    }
}

/// What a slice of fanning out came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fanned {
    /// Events that need not be looked at any more.
    pub events: usize,
    /// The account that had its turn last: others have theirs before it has the next.
    pub after: String,
}

/// What is looked at for one account before others have their turn: an event for one webhook.
const SHARE: usize = 200;
/// What looking at an account costs beside that.
const VISIT: usize = 20;

/// Makes deliveries of events that wait for it, the accounts behind `after` first, until `most` was
/// looked at; of none while another program does so.
pub async fn fan_out(
    tx: &mut Tx,
    change: &Change,
    after: &str,
    most: usize,
) -> Result<Fanned, StoreError> {
    let mut fanned = Fanned {
        events: 0,
        after: after.to_owned(),
    };
    if !takes_turn(tx).await? {
        return Ok(fanned);
    }
    let mut spent = 0;
    while spent < most {
        if let Some(account) = next_account(tx, &fanned.after).await? {
            let share = SHARE.min(most - spent);
            let (events, looked_at) = fan_out_one(tx, change, &account, share).await?;
            fanned.events += events;
            fanned.after = account;
            spent += VISIT + looked_at;
        } else if fanned.after.is_empty() {
            break;
        } else {
            fanned.after.clear();
        }
    }
    Ok(fanned)
}

/// The next account whose events wait.
async fn next_account(tx: &mut Tx, after: &str) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT account_id FROM events WHERE awaits_fan_out AND account_id > $1 \
                       ORDER BY account_id LIMIT 1";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(after)
        .fetch_optional(c)
        .await)?)
}

/// Makes deliveries of some events of an account: how many events those were, and what was looked at.
async fn fan_out_one(
    tx: &mut Tx,
    change: &Change,
    account: &str,
    share: usize,
) -> Result<(usize, usize), StoreError> {
    const WEBHOOKS: &str = "SELECT id, project_id, topics, waiting, told_after, ended_at FROM webhooks \
                            WHERE account_id = $1 AND deleted_at IS NULL";
    const EVENTS: &str = "UPDATE events SET awaits_fan_out = (1 = 0) \
                          WHERE seq IN (SELECT seq FROM events WHERE awaits_fan_out \
                          AND account_id = $1 ORDER BY seq LIMIT $2) AND awaits_fan_out \
                          RETURNING seq, id, at, project_id, kind";
    let webhooks: Vec<Listening> = on!(&mut *tx, |c| sqlx::query_as(WEBHOOKS)
        .bind(account)
        .fetch_all(c)
        .await)?;
    let each = webhooks.len().max(1);
    let most = i64::try_from((share / each).max(1)).unwrap_or(1);
    let events: Vec<Event> = on!(&mut *tx, |c| sqlx::query_as(EVENTS)
        .bind(account)
        .bind(most)
        .fetch_all(c)
        .await)?;
    let topics: Vec<_> = webhooks
        .iter()
        .map(|webhook| read_topics(&webhook.topics))
        .collect();
    let mut rows = Vec::new();
    let mut rooms = Room::of(webhooks.iter().map(|webhook| webhook.waiting));
    let mut first = change.now.as_micros();
    for event in &events {
        let Some(topic) = Topic::of_event(&event.kind) else {
            continue;
        };
        for (index, (webhook, topics)) in webhooks.iter().zip(&topics).enumerate() {
            if webhook.is_told_of(topic, topics, event) && rooms.take(index) {
                let id = Id::<id::Delivery>::draw_at(change.now, &*change.random);
                // By a clock that was ahead it happened later than now.
                let due = event.at.min(change.now.as_micros());
                rows.push(json!([
                    id,
                    webhook.id,
                    event.id,
                    topic.as_str(),
                    due,
                    event.at
                ]));
                first = first.min(due);
            }
        }
    }
    let told: Vec<(&str, i64, i64)> = rooms
        .taken()
        .map(|(index, added, dropped)| (webhooks[index].id.as_str(), added, dropped))
        .collect();
    if !told.is_empty() {
        insert(tx, &rows).await?;
        // After the rows: whoever lets go of one meanwhile sees them.
        wake(tx, told.iter().copied(), first).await?;
        let full = told.iter().filter(|(_, _, dropped)| *dropped > 0);
        for (webhook, ..) in full {
            room::tell(tx, change, webhook).await?;
        }
    }
    Ok((events.len(), events.len() * each))
}

async fn insert(tx: &mut Tx, rows: &[Value]) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO webhook_deliveries (id, webhook_id, event_id, topic, status, \
                       failures, attempts, next_at, created_at) \
                       SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 'waiting', 0, \
                       '[]', CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT) \
                       FROM json_each($1) WHERE true ON CONFLICT (event_id, webhook_id) DO NOTHING";
    let list = serde_json::to_string(rows).expect("texts and numbers are JSON");
    on!(tx, |c| sqlx::query(SQL)
        .bind(list)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Notes that webhooks have so many deliveries more to send from `at` on, and so many events that they
/// are not told of.
pub(super) async fn wake<'a>(
    tx: &mut Tx,
    webhooks: impl Iterator<Item = (&'a str, i64, i64)>,
    at: i64,
) -> Result<(), StoreError> {
    // Each is written, also where nothing changes, and so locked: on PostgreSQL, whoever lets go of one
    // meanwhile looks for what is left only once this is there to be seen.
    const SQL: &str = "UPDATE webhooks SET next_at = CASE WHEN added = 0 OR next_at < $2 THEN next_at \
                       ELSE CAST($2 AS BIGINT) END, waiting = waiting + added, \
                       dropped = webhooks.dropped + told.dropped \
                       FROM (SELECT value ->> 0 AS webhook, CAST(value ->> 1 AS BIGINT) AS added, \
                       CAST(value ->> 2 AS BIGINT) AS dropped FROM json_each($1)) AS told \
                       WHERE webhooks.id = told.webhook";
    let rows: Vec<_> = webhooks.collect();
    let list = serde_json::to_string(&rows).expect("texts and numbers are JSON");
    on!(tx, |c| sqlx::query(SQL)
        .bind(list)
        .bind(at)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
