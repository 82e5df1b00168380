//! Notifications: what the people of an account are told, until somebody has read it.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;

use crate::db::on;
use crate::reach::{ReachBinds, within_reach};
use crate::{Change, Db, Page, StoreError, Tx};

type NotificationId = Id<id::Notification>;

/// Something that the people of an account were told.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Notification {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: NotificationId,
    /// In which account.
    #[sqlx(try_from = "String")]
    pub account_id: Id<id::Account>,
    /// In which project, where it was in one.
    pub project_id: Option<String>,
    /// What happened, as events are called.
    pub kind: String,
    /// It in a few words.
    pub title: String,
    /// It in a sentence or two.
    pub body: String,
    /// When it was told.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When somebody marked it read, in microseconds.
    read_at: Option<i64>,
}

impl Notification {
    /// When somebody marked it read.
    pub fn read_at(&self) -> Option<Timestamp> {
        self.read_at.map(Timestamp::from_micros)
    }
}

/// Something to tell.
#[derive(Clone, Debug)]
pub struct News {
    /// The people of that account.
    pub account: AccountRef,
    /// Or, among them, also those who see that project only.
    pub project: Option<Id<id::Project>>,
    /// What happened, as events are called.
    pub kind: &'static str,
    /// It in a few words.
    pub title: String,
    /// It in a sentence or two; never a secret.
    pub body: String,
    /// What is told once only, whoever tells it and however often: `api-key.expiring key_… 7`.
    pub once: Option<String>,
}

macro_rules! columns {
    () => {
        "id, account_id, project_id, kind, title, body, created_at, read_at"
    };
}

/// Tells the people of an account something; `false` where they were told that once already.
pub async fn tell(tx: &mut Tx, change: &Change, news: News) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO notifications (id, account_id, root_account_id, project_id, kind, \
                       title, body, once, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                       ON CONFLICT DO NOTHING";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(NotificationId::draw(&*change.random).as_str())
        .bind(news.account.id.as_str())
        .bind(news.account.root.as_str())
        .bind(news.project.as_ref().map(Id::as_str))
        .bind(news.kind)
        .bind(&news.title)
        .bind(&news.body)
        .bind(&news.once)
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

/// Which notifications to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of that account.
    pub account: Id<id::Account>,
    /// Those that somebody read, or that nobody did.
    pub is_read: Option<bool>,
}

/// Lists notifications within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Notification>, i64), StoreError> {
    macro_rules! filtered {
        () => {
            concat!(
                "account_id = $4 AND ($5 IS NULL OR $5 = (read_at IS NOT NULL)) AND ",
                within_reach!()
            )
        };
    }
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM notifications WHERE ",
        filtered!(),
        " ORDER BY created_at, id LIMIT $6 OFFSET $7"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM notifications WHERE ", filtered!());
    let binds = ReachBinds::of(reach);
    let rows = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(filter.account.as_str())
        .bind(filter.is_read)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(filter.account.as_str())
        .bind(filter.is_read)
        .fetch_one(c)
        .await)?;
    Ok((rows, total))
}

/// Marks a notification within the reach as read, or as unread. One that was read stays read since
/// then.
pub async fn mark(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &NotificationId,
    is_read: bool,
) -> Result<Option<Notification>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE notifications SET read_at = CASE WHEN $5 THEN COALESCE(read_at, $6) END \
         WHERE id = $4 AND ",
        within_reach!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    Ok(on!(tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(is_read)
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?)
}
