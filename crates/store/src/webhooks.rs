//! Webhooks: URLs that are told what happens in an account. What they are sent is in
//! [`webhook_deliveries`](crate::webhook_deliveries).

mod ending;
mod row;
mod sealed;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{Format, Method, Status, Topic};
use serde_json::{Value, json};

pub use self::ending::{delete, forget};
use self::row::Row;
pub(crate) use self::sealed::all_sealed;
pub use self::sealed::{Sealed, origin};
use crate::db::on;
use crate::notifications::{self, News};
use crate::reach::{ReachBinds, list as json_list, within_reach};
use crate::{Base, Change, Db, Page, StoreError, Tx, accounts, projects};

type WebhookId = Id<id::Webhook>;

/// A URL that is told what happens in an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The account whose events it is told of.
    pub account: AccountRef,
    /// The only project whose events it is told of, where it is for one.
    pub project: Option<Id<id::Project>>,
    /// Its name.
    pub name: Option<String>,
    /// Where deliveries go.
    pub url: String,
    /// The verb of deliveries.
    pub method: Method,
    /// How their bodies look.
    pub format: Format,
    /// What it is told of.
    pub topics: Vec<Topic>,
    /// Whether it is sent what waits for it.
    pub status: Status,
    /// What only its receiver may see, sealed for [`Webhook::subject`].
    pub sealed: Sealed,
    /// The names of the headers that it sends.
    pub header_names: Vec<String>,
    /// Since when no delivery has succeeded, where the last one failed.
    pub failing_since: Option<Timestamp>,
    /// Until when its receiver is left alone, whatever waits.
    pub rests_until: Option<Timestamp>,
    /// Events that it was not told of, since too much waited for it.
    pub dropped: i64,
    /// Who made it, and when.
    pub base: Base,
}

/// The topics of a row. One that a newer program knows is let be.
pub(crate) fn read_topics(text: &str) -> Vec<Topic> {
    let listed: Vec<[String; 1]> = serde_json::from_str(text).unwrap_or_default();
    let topics = listed.iter().filter_map(|[topic]| Topic::parse(topic));
    topics.collect()
}

fn topics_text(webhook: &Webhook) -> String {
    json_list(webhook.topics.iter().map(|topic| topic.as_str()))
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, project_id, name, url, http_method, format, topics, \
         status, secret, previous_secret, previous_until, earlier_secret, earlier_until, \
         legacy_secret, headers, header_names, failing_since, rests_until, dropped, created_by, created_by_type, created_in, last_changed_by, \
         last_changed_by_type, created_at, updated_at"
    };
}

/// Reads a row that was selected by `columns!`.
macro_rules! of_row {
    ($row:expr) => {{
        let row: Option<Row> = $row;
        row.map(Webhook::try_from).transpose()
    }};
}

/// Finds a webhook within the reach.
pub async fn find(db: &Db, reach: &Reach, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM webhooks WHERE id = $4 AND deleted_at IS NULL AND ended_at IS NULL AND ",
        within_reach!()
    );
    let binds = ReachBinds::of(reach);
    of_row!(on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// The webhook that a worker holds, as it is now; `None` when somebody deleted it.
pub async fn held(db: &Db, id: &WebhookId, lease: &str) -> Result<Option<Webhook>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM webhooks WHERE id = $1 AND lease = $2 AND status = 'live' AND deleted_at IS NULL"
    );
    of_row!(on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(lease)
        .fetch_optional(c)
        .await)?)
}

/// Has a lease last until then, and finds its webhook as [`held`] does.
pub async fn renew(
    tx: &mut Tx,
    id: &WebhookId,
    lease: &str,
    until: Timestamp,
) -> Result<Option<Webhook>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE webhooks SET leased_until = $3 \
         WHERE id = $1 AND lease = $2 AND status = 'live' AND deleted_at IS NULL RETURNING ",
        columns!()
    );
    of_row!(on!(tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(lease)
        .bind(until.as_micros())
        .fetch_optional(c)
        .await)?)
}

/// Which webhooks to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of that account.
    pub account: Id<id::Account>,
    /// For that project.
    pub project: Option<Id<id::Project>>,
    /// That are told of it.
    pub topic: Option<Topic>,
}

/// Lists webhooks within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Webhook>, i64), StoreError> {
    macro_rules! filtered {
        () => {
            concat!(
                "account_id = $4 AND deleted_at IS NULL AND ended_at IS NULL AND ($5 IS NULL OR project_id = $5) \
                 AND ($6 IS NULL OR EXISTS (SELECT 1 FROM json_each(topics) AS own \
                 WHERE own.value ->> 0 = $6)) AND ",
                within_reach!()
            )
        };
    }
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM webhooks WHERE ",
        filtered!(),
        " AND (created_at, id) > ($7, $8) ORDER BY created_at, id LIMIT $9 OFFSET $10"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM webhooks WHERE ", filtered!());
    let binds = ReachBinds::of(reach);
    let (project, topic) = (
        filter.project.as_ref().map(Id::as_str),
        filter.topic.map(Topic::as_str),
    );
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(filter.account.as_str())
        .bind(project)
        .bind(topic)
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
        .bind(topic)
        .fetch_one(c)
        .await)?;
    let webhooks = rows.into_iter().map(Webhook::try_from);
    Ok((webhooks.collect::<Result<_, _>>()?, total))
}

/// What came of making a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is told of what happens from now on.
    Done,
    /// Its account or project is gone.
    Absent,
    /// The account has as many as it may have.
    TooMany,
}

/// Webhooks that an account has, at most: each event is looked at for each of them.
pub const MOST: i64 = 100;

/// Stores a webhook.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    webhook: &Webhook,
) -> Result<Created, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM webhooks WHERE account_id = $1 \
                         AND deleted_at IS NULL AND ended_at IS NULL";
    const SQL: &str = "INSERT INTO webhooks (id, account_id, root_account_id, project_id, name, \
        url, http_method, format, topics, status, secret, legacy_secret, headers, header_names, \
        created_by, created_by_type, created_in, last_changed_by, last_changed_by_type, \
        created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
        $14, $15, $16, $17, $18, $19, $20, $21)";
    const TOLD_AFTER: &str =
        "UPDATE webhooks SET told_after = (SELECT MAX(seq) FROM events) WHERE id = $1";
    // The account first, also for a project: who counts its webhooks does so alone.
    let is_there = accounts::hold(tx, &Reach::whole(), &webhook.account.id).await?;
    let held = is_there
        && match &webhook.project {
            Some(project) => projects::hold(tx, reach, project).await?.is_some(),
            None => accounts::hold(tx, reach, &webhook.account.id).await?,
        };
    if !held {
        return Ok(Created::Absent);
    }
    let others: i64 = on!(&mut *tx, |c| sqlx::query_scalar(COUNT)
        .bind(webhook.account.id.as_str())
        .fetch_one(c)
        .await)?;
    if others >= MOST {
        return Ok(Created::TooMany);
    }
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(webhook.id.as_str())
        .bind(webhook.account.id.as_str())
        .bind(webhook.account.root.as_str())
        .bind(webhook.project.as_ref().map(Id::as_str))
        .bind(&webhook.name)
        .bind(&webhook.url)
        .bind(webhook.method.as_str())
        .bind(webhook.format.as_str())
        .bind(topics_text(webhook))
        .bind(webhook.status.as_str())
        .bind(&webhook.sealed.secret)
        .bind(&webhook.sealed.legacy)
        .bind(&webhook.sealed.headers)
        .bind(json!(webhook.header_names).to_string())
        .bind(&webhook.base.created_by)
        .bind(&webhook.base.created_by_type)
        .bind(&webhook.base.created_in)
        .bind(&webhook.base.last_changed_by)
        .bind(&webhook.base.last_changed_by_type)
        .bind(webhook.base.created_at.as_micros())
        .bind(webhook.base.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::WebhookCreated, webhook, json!({})).await?;
    // By their numbers, not by clocks: those of two programs differ.
    on!(&mut *tx, |c| sqlx::query(TOLD_AFTER)
        .bind(webhook.id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(Created::Done)
}

/// Finds a webhook within the reach, and keeps it from being changed until the transaction ends.
pub async fn lock(
    tx: &mut Tx,
    reach: &Reach,
    id: &WebhookId,
) -> Result<Option<Webhook>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE webhooks SET status = status WHERE id = $4 AND deleted_at IS NULL \
         AND ended_at IS NULL AND ",
        within_reach!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    of_row!(on!(tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// Writes a webhook that was locked and changed.
pub async fn save(
    tx: &mut Tx,
    change: &Change,
    webhook: &mut Webhook,
    kind: EventKind,
    data: Value,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE webhooks SET name = $2, url = $3, http_method = $4, \
        format = $5, topics = $6, status = $7, secret = $8, previous_secret = $9, \
        previous_until = $10, legacy_secret = $11, headers = $12, header_names = $13, \
        failing_since = $14, last_changed_by = $15, last_changed_by_type = $16, \
        updated_at = $17, earlier_secret = $18, earlier_until = $19, project_id = $20 \
        WHERE id = $1";
    webhook.base.touch(change);
    let mut previous = webhook.sealed.previous.iter();
    let (previous, earlier) = (previous.next(), previous.next());
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(webhook.id.as_str())
        .bind(&webhook.name)
        .bind(&webhook.url)
        .bind(webhook.method.as_str())
        .bind(webhook.format.as_str())
        .bind(topics_text(webhook))
        .bind(webhook.status.as_str())
        .bind(&webhook.sealed.secret)
        .bind(previous.map(|(secret, _)| secret))
        .bind(previous.map(|(_, until)| until.as_micros()))
        .bind(&webhook.sealed.legacy)
        .bind(&webhook.sealed.headers)
        .bind(json!(webhook.header_names).to_string())
        .bind(webhook.failing_since.map(Timestamp::as_micros))
        .bind(&webhook.base.last_changed_by)
        .bind(&webhook.base.last_changed_by_type)
        .bind(webhook.base.updated_at.as_micros())
        .bind(earlier.map(|(secret, _)| secret))
        .bind(earlier.map(|(_, until)| until.as_micros()))
        .bind(webhook.project.as_ref().map(Id::as_str))
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, kind, webhook, data).await
}

/// Switches a live webhook off, in the name of the program; `false` when it was not live.
pub async fn disable(
    tx: &mut Tx,
    change: &Change,
    id: &WebhookId,
    reason: &'static str,
) -> Result<bool, StoreError> {
    const SQL: &str = concat!(
        "UPDATE webhooks SET status = 'disabled', updated_at = $2 \
         WHERE id = $1 AND status = 'live' AND deleted_at IS NULL AND ended_at IS NULL RETURNING ",
        columns!()
    );
    let disabled = of_row!(on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?)?;
    if let Some(webhook) = &disabled {
        let data = json!({"reason": reason, "failingSince": webhook.failing_since});
        append(tx, change, EventKind::WebhookDisabled, webhook, data).await?;
        tell_of_disabled(tx, change, webhook, reason).await?;
    }
    Ok(disabled.is_some())
}

async fn tell_of_disabled(
    tx: &mut Tx,
    change: &Change,
    webhook: &Webhook,
    reason: &str,
) -> Result<(), StoreError> {
    let name = webhook.name.as_deref().unwrap_or(webhook.id.as_str());
    let news = News {
        account: webhook.account.clone(),
        project: webhook.project.clone(),
        kind: EventKind::WebhookDisabled.as_str(),
        title: format!("The webhook {name} is switched off"),
        body: format!(
            "{} takes no deliveries ({reason}). What happens meanwhile waits, and is sent once the \
             webhook {} is live again.",
            webhook.origin(),
            webhook.id
        ),
        once: None,
    };
    notifications::tell(tx, change, news).await.map(drop)
}

/// Writes what happened to a webhook into the trail.
pub(crate) async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    webhook: &Webhook,
    more: Value,
) -> Result<(), StoreError> {
    let mut data = json!({"name": webhook.name, "origin": webhook.origin(), "status": webhook.status.as_str()});
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    let event = NewEvent {
        kind,
        account: webhook.account.id.clone(),
        project: webhook.project.clone(),
        target: webhook.id.to_string(),
        data,
    };
    crate::events::append(tx, change, event).await
}
