//! Grants of `keys:reveal`: which access keys may read the keys of a project back, and until when.
//!
//! They are looked up each time, in the transaction that reads, so that one that has ended has ended
//! everywhere.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::{Change, Db, Page, StoreError, Tx};

type GrantId = Id<id::RevealGrant>;

/// That an access key may read the keys of a project back.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RevealGrant {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: GrantId,
    /// The project.
    #[sqlx(try_from = "String")]
    pub project_id: Id<id::Project>,
    /// The access key, and none that succeeds it.
    #[sqlx(try_from = "String")]
    pub access_key_id: Id<id::AccessKey>,
    /// When it ends.
    #[sqlx(try_from = "i64")]
    pub expires_at: Timestamp,
    /// Id of who granted it.
    pub created_by: Option<String>,
    /// `USER`, or nothing.
    pub created_by_type: Option<String>,
    /// When it was granted.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
}

macro_rules! columns {
    () => {
        "id, project_id, access_key_id, expires_at, created_by, created_by_type, created_at"
    };
}

/// Grants an access key that is locked the keys of a project that is held. An earlier grant of the
/// same ends with it.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    (account, project): (&Id<id::Account>, &Id<id::Project>),
    access_key: &Id<id::AccessKey>,
    expires_at: Timestamp,
) -> Result<RevealGrant, StoreError> {
    const SQL: &str = concat!(
        "INSERT INTO reveal_grants (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ",
        columns!()
    );
    let earlier = Ended::OfBoth(project, access_key);
    end(tx, change, earlier).await?;
    let grant: RevealGrant = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(GrantId::draw(&*change.random).as_str())
        .bind(project.as_str())
        .bind(access_key.as_str())
        .bind(expires_at.as_micros())
        .bind(change.actor.id())
        .bind(change.actor.kind())
        .bind(change.now.as_micros())
        .fetch_one(c)
        .await)?;
    let event = NewEvent {
        kind: EventKind::RevealGrantCreated,
        account: account.clone(),
        project: Some(project.clone()),
        target: grant.id.to_string(),
        data: json!({"accessKeyId": grant.access_key_id, "expiresAt": grant.expires_at}),
    };
    crate::events::append(tx, change, event).await?;
    Ok(grant)
}

/// Lists the grants of a project that have not ended, and tells how many there are.
pub async fn list(
    db: &Db,
    project: &Id<id::Project>,
    page: &Page,
    now: Timestamp,
) -> Result<(Vec<RevealGrant>, i64), StoreError> {
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM reveal_grants WHERE project_id = $1 AND expires_at > $2 \
         ORDER BY created_at, id LIMIT $3 OFFSET $4"
    );
    const TOTAL: &str =
        "SELECT COUNT(*) FROM reveal_grants WHERE project_id = $1 AND expires_at > $2";
    let rows = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(project.as_str())
        .bind(now.as_micros())
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(project.as_str())
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    Ok((rows, total))
}

/// The projects whose keys an access key may read back now; mostly there are none.
pub async fn projects_of(
    db: &Db,
    access_key: &Id<id::AccessKey>,
    now: Timestamp,
) -> Result<Vec<Id<id::Project>>, StoreError> {
    const SQL: &str =
        "SELECT project_id FROM reveal_grants WHERE access_key_id = $1 AND expires_at > $2";
    let ids: Vec<String> = on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(access_key.as_str())
        .bind(now.as_micros())
        .fetch_all(c)
        .await)?;
    Ok(ids.into_iter().map(Id::from_trusted).collect())
}

/// Which grants end.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// That one of a project.
    One(&'a Id<id::Project>, &'a GrantId),
    /// Those of a project.
    OfProject(&'a Id<id::Project>),
    /// Those of an account's projects.
    OfAccount(&'a Id<id::Account>),
    /// Those of an access key.
    OfAccessKey(&'a Id<id::AccessKey>),
    /// That of an access key in a project.
    OfBoth(&'a Id<id::Project>, &'a Id<id::AccessKey>),
}

/// Ends grants, each with its event, and tells how many.
pub async fn end(tx: &mut Tx, change: &Change, which: Ended<'_>) -> Result<usize, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        grant: RevealGrant,
        account_id: String,
    }
    macro_rules! ending {
        ($which:literal) => {
            concat!(
                "DELETE FROM reveal_grants WHERE ",
                $which,
                " RETURNING ",
                columns!(),
                ", (SELECT account_id FROM projects WHERE projects.id = project_id) AS account_id"
            )
        };
    }
    let (sql, one, other) = match which {
        Ended::One(project, id) => (
            ending!("project_id = $1 AND id = $2"),
            project.as_str(),
            id.as_str(),
        ),
        Ended::OfProject(project) => (ending!("project_id = $1 AND $2 = ''"), project.as_str(), ""),
        Ended::OfAccount(account) => (
            ending!("project_id IN (SELECT id FROM projects WHERE account_id = $1) AND $2 = ''"),
            account.as_str(),
            "",
        ),
        Ended::OfAccessKey(key) => (ending!("access_key_id = $1 AND $2 = ''"), key.as_str(), ""),
        Ended::OfBoth(project, key) => (
            ending!("project_id = $1 AND access_key_id = $2"),
            project.as_str(),
            key.as_str(),
        ),
    };
    let rows: Vec<Row> = on!(&mut *tx, |c| sqlx::query_as(sql)
        .bind(one)
        .bind(other)
        .fetch_all(c)
        .await)?;
    let count = rows.len();
    let events = rows.into_iter().map(|Row { grant, account_id }| {
        let event = NewEvent {
            kind: EventKind::RevealGrantDeleted,
            account: Id::from_trusted(account_id),
            project: Some(grant.project_id),
            target: grant.id.to_string(),
            data: json!({"accessKeyId": grant.access_key_id}),
        };
        (change, event)
    });
    crate::events::append_all(tx, events).await?;
    Ok(count)
}

/// Ends the grants of an access key that was switched off, for good: switched on again, it may read no
/// keys back. Those of one in the grace of its rotation end with that.
pub(crate) async fn follow(
    tx: &mut Tx,
    change: &Change,
    key: &Id<id::AccessKey>,
    is_active: bool,
    stops_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    const CUT: &str =
        "UPDATE reveal_grants SET expires_at = $2 WHERE access_key_id = $1 AND expires_at > $2";
    if !is_active {
        end(tx, change, Ended::OfAccessKey(key)).await?;
    } else if let Some(stop) = stops_at {
        on!(tx, |c| sqlx::query(CUT)
            .bind(key.as_str())
            .bind(stop.as_micros())
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// Erases grants that have ended by themselves: that they would was in the trail from the first.
pub async fn forget_ended(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    const ENDED: &str = "SELECT COUNT(*) FROM reveal_grants WHERE expires_at <= $1";
    const SQL: &str = "DELETE FROM reveal_grants WHERE expires_at <= $1";
    let ended: i64 = on!(read db, |c| sqlx::query_scalar(ENDED)
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    if ended == 0 {
        return Ok(());
    }
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(now.as_micros())
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}
