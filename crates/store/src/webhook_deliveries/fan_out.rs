//! From events to deliveries.

use std::collections::{BTreeMap, BTreeSet};

use claviger_domain::id::{self, Id};
use claviger_domain::webhook::Topic;
use serde_json::json;

use crate::db::on;
use crate::webhooks::read_topics;
use crate::{Change, Db, StoreError, Tx};

/// An event that was not fanned out yet.
#[derive(sqlx::FromRow)]
struct Event {
    id: String,
    at: i64,
    account_id: String,
    project_id: Option<String>,
    kind: String,
}

/// A webhook of one of their accounts, live or not: what it misses now waits for it.
#[derive(sqlx::FromRow)]
struct Listening {
    id: String,
    account_id: String,
    project_id: Option<String>,
    topics: String,
}

impl Listening {
    fn is_told_of(&self, topic: Topic, topics: &[Topic], event: &Event) -> bool {
        self.account_id == event.account_id
            && topics.contains(&topic)
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
/// PostgreSQL two programs that mark the same events could wait for each other in a circle.
async fn takes_turn(tx: &mut Tx) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT pg_try_advisory_xact_lock($1)";
    match tx {
        Tx::Sqlite(_) => Ok(true),
        Tx::Postgres(open) => {
            let query = sqlx::query_scalar(SQL).bind(TURN);
            Ok(query.fetch_one(&mut **open).await?)
        }
    }
}

/// Makes deliveries of up to `most` events that wait for it, and tells how many events those were;
/// none while another program does so.
pub async fn fan_out(tx: &mut Tx, change: &Change, most: i64) -> Result<usize, StoreError> {
    const EVENTS: &str = "UPDATE events SET awaits_fan_out = (1 = 0) \
                          WHERE seq IN (SELECT seq FROM events WHERE awaits_fan_out \
                          ORDER BY seq LIMIT $1) AND awaits_fan_out \
                          RETURNING id, at, account_id, project_id, kind";
    const WEBHOOKS: &str = "SELECT id, account_id, project_id, topics FROM webhooks \
                            WHERE account_id IN (SELECT value ->> 0 FROM json_each($1)) \
                            AND deleted_at IS NULL";
    const SQL: &str = "INSERT INTO webhook_deliveries (id, webhook_id, event_id, topic, status, \
                       failures, attempts, next_at, created_at) \
                       SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 'waiting', 0, \
                       '[]', CAST(value ->> 4 AS BIGINT), CAST(value ->> 4 AS BIGINT) \
                       FROM json_each($1) WHERE true ON CONFLICT (webhook_id, event_id) DO NOTHING";
    if !takes_turn(tx).await? {
        return Ok(0);
    }
    let events: Vec<Event> = on!(&mut *tx, |c| sqlx::query_as(EVENTS)
        .bind(most)
        .fetch_all(c)
        .await)?;
    if events.is_empty() {
        return Ok(0);
    }
    let accounts: BTreeSet<&str> = events.iter().map(|event| &*event.account_id).collect();
    let accounts = crate::reach::list(accounts.into_iter());
    let webhooks: Vec<Listening> = on!(&mut *tx, |c| sqlx::query_as(WEBHOOKS)
        .bind(accounts)
        .fetch_all(c)
        .await)?;
    let (mut rows, mut woken) = (Vec::new(), BTreeMap::new());
    for webhook in &webhooks {
        let topics = read_topics(&webhook.topics);
        for event in &events {
            let Some(topic) = Topic::of_event(&event.kind) else {
                continue;
            };
            if webhook.is_told_of(topic, &topics, event) {
                let id = Id::<id::Delivery>::draw_at(change.now, &*change.random);
                rows.push(json!([id, webhook.id, event.id, topic.as_str(), event.at]));
                woken
                    .entry(webhook.id.as_str())
                    .and_modify(|at: &mut i64| *at = event.at.min(*at))
                    .or_insert(event.at);
            }
        }
    }
    if rows.is_empty() {
        return Ok(events.len());
    }
    let list = serde_json::to_string(&rows).expect("texts and numbers are JSON");
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(list)
        .execute(c)
        .await
        .map(drop))?;
    // After the rows, and in the order of ids: whoever lets go of one meanwhile sees the new rows, and
    // two programs that wake the same ones do not wait for each other in a circle.
    for (webhook, at) in woken {
        wake(tx, webhook, at).await?;
    }
    Ok(events.len())
}

/// Notes that a webhook has something to send at `at`.
pub(super) async fn wake(tx: &mut Tx, webhook: &str, at: i64) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE webhooks SET next_at = $2 WHERE id = $1 \
                       AND (next_at IS NULL OR next_at > $2)";
    on!(tx, |c| sqlx::query(SQL)
        .bind(webhook)
        .bind(at)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
