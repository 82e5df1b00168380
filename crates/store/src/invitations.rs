//! Invitations: that somebody is asked into an account, by a token that is passed on.

mod accept;
mod create;
mod maker;

use std::collections::BTreeSet;

use claviger_domain::email::Email;
use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{AccountRef, Grant, Reach};
use claviger_domain::role::Role;
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

pub use self::accept::accept;
pub(crate) use self::accept::peek;
pub use self::create::{Invited, create};
use crate::db::on;
use crate::reach::{self, ReachBinds};
use crate::roles::Place;
use crate::{Base, Change, Db, Page, StoreError, Tx, events};

type InvitationId = Id<id::Invitation>;
type ProjectId = Id<id::Project>;

/// How long an invitation can be accepted, in seconds: 72 hours.
pub const VALID_SECONDS: i64 = 72 * 3_600;
/// Invitations into an account with its children, and by one who invites, in a day, at most.
pub const MOST_A_DAY: i64 = 100;
/// Invitations of one address in a day, by all accounts together and into one with its children: whoever
/// is asked did not ask for mails.
pub const MOST_TO_ONE_A_DAY: i64 = 20;
/// The same into one account with its children, so that nobody uses up what others may send.
pub const MOST_TO_ONE_OF_FAMILY_A_DAY: i64 = 10;

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It can be accepted.
    Pending,
    /// Somebody accepted it.
    Accepted,
    /// Somebody took it back, or another took its place.
    Cancelled,
    /// Nobody accepted it in time.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Accepted,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads its spelling, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| text.eq_ignore_ascii_case(one.as_str()))
    }
}

/// That somebody is asked into an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id, which opens nothing.
    pub id: InvitationId,
    /// Into which account.
    pub account: AccountRef,
    /// For which projects of it; `None`: for all of it.
    pub projects: Option<BTreeSet<ProjectId>>,
    /// Who is asked.
    pub email: Email,
    /// As what.
    pub role: Role,
    /// What its row says: one that is over is pending there.
    status: Status,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// Who made it, and when.
    pub base: Base,
}

impl Invitation {
    /// One that is made now.
    pub fn new(
        change: &Change,
        account: AccountRef,
        projects: Option<BTreeSet<ProjectId>>,
        email: Email,
        role: Role,
    ) -> Self {
        Self {
            id: Id::draw(&*change.random),
            account,
            projects,
            email,
            role,
            status: Status::Pending,
            expires_at: change.now.plus_seconds(VALID_SECONDS),
            base: Base::made_by(change),
        }
    }

    /// What became of it by now.
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Pending && self.expires_at <= now {
            Status::Expired
        } else {
            self.status
        }
    }

    /// What whoever accepts it may do.
    pub fn grant(&self) -> Grant {
        match &self.projects {
            None => Grant::on_account(self.role, self.account.clone()),
            Some(projects) => Grant::on_projects(self.role, self.account.clone(), projects.clone()),
        }
    }

    fn places(&self) -> Vec<Place> {
        let place = |project| Place {
            account: self.account.clone(),
            project,
        };
        match &self.projects {
            None => vec![place(None)],
            Some(projects) => projects.iter().cloned().map(|id| place(Some(id))).collect(),
        }
    }

    fn projects_text(&self) -> Option<String> {
        let projects = self.projects.as_ref()?;
        Some(reach::list(projects.iter().map(Id::as_str)))
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    root_account_id: String,
    projects: Option<String>,
    email: String,
    role: String,
    status: String,
    expires_at: i64,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for Invitation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what| StoreError::Row {
            table: "invitations",
            what,
        };
        let read = |text: &str| {
            let list: Vec<[String; 1]> = serde_json::from_str(text).ok()?;
            Some(list.into_iter().map(|[id]| Id::from_trusted(id)).collect())
        };
        let projects = match &row.projects {
            None => None,
            Some(text) => Some(read(text).ok_or_else(|| broken("projects"))?),
        };
        Ok(Self {
            id: Id::from_trusted(row.id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            projects,
            email: Email::parse(&row.email).ok_or_else(|| broken("email"))?,
            role: Role::parse(&row.role).ok_or_else(|| broken("role"))?,
            status: Status::parse(&row.status).ok_or_else(|| broken("status"))?,
            expires_at: Timestamp::from_micros(row.expires_at),
            base: row.base,
        })
    }
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, projects, email, role, status, expires_at, created_by, \
         created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, updated_at"
    };
}

use columns;

/// Invitations are the account's: a role on a project reaches none.
macro_rules! within {
    () => {
        "($1 OR account_id IN (SELECT value ->> 0 FROM json_each($2)) \
         OR root_account_id IN (SELECT value ->> 0 FROM json_each($2))) \
         AND account_id IN (SELECT id FROM accounts WHERE deleted_at IS NULL)"
    };
}

fn of_row(row: Option<Row>) -> Result<Option<Invitation>, StoreError> {
    row.map(TryInto::try_into).transpose()
}

/// Finds an invitation within the reach.
pub async fn find(
    db: &Db,
    reach: &Reach,
    id: &InvitationId,
) -> Result<Option<Invitation>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE id = $3 AND ",
        within!()
    );
    let binds = ReachBinds::of(reach);
    of_row(on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// Finds the invitation whose token has that digest, whatever became of it.
pub async fn find_by_token(db: &Db, digest: &KeyDigest) -> Result<Option<Invitation>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE token_digest = $1 \
         AND account_id IN (SELECT id FROM accounts WHERE deleted_at IS NULL)"
    );
    of_row(on!(read db, |c| sqlx::query_as(SQL)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?)
}

/// Which invitations to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Into that account.
    pub account: Id<id::Account>,
    /// For that project.
    pub project: Option<ProjectId>,
    /// What became of them.
    pub status: Option<Status>,
}

/// Lists invitations within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    page: &Page,
    now: Timestamp,
) -> Result<(Vec<Invitation>, i64), StoreError> {
    macro_rules! filtered {
        () => {
            concat!(
                "account_id = $3 AND ($4 IS NULL OR EXISTS (SELECT 1 FROM json_each(projects) AS own \
                 WHERE own.value ->> 0 = $4)) AND ($5 IS NULL OR $5 = CASE WHEN status = 'pending' \
                 AND expires_at <= $6 THEN 'expired' ELSE status END) AND ",
                within!()
            )
        };
    }
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE ",
        filtered!(),
        " ORDER BY created_at, id LIMIT $7 OFFSET $8"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM invitations WHERE ", filtered!());
    let binds = ReachBinds::of(reach);
    let project = filter.project.as_ref().map(Id::as_str);
    let status = filter.status.map(Status::as_str);
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(filter.account.as_str())
        .bind(project)
        .bind(status)
        .bind(now.as_micros())
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(filter.account.as_str())
        .bind(project)
        .bind(status)
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    let found = rows.into_iter().map(TryInto::try_into);
    Ok((found.collect::<Result<_, StoreError>>()?, total))
}

/// Reads an invitation within the reach, and keeps others from changing it until the transaction ends.
pub async fn lock(
    tx: &mut Tx,
    reach: &Reach,
    id: &InvitationId,
) -> Result<Option<Invitation>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE invitations SET status = status WHERE id = $3 AND ",
        within!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    of_row(on!(tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// Says of a locked invitation as what it asks somebody.
pub async fn set_role(
    tx: &mut Tx,
    change: &Change,
    invitation: &mut Invitation,
    role: Role,
) -> Result<(), StoreError> {
    invitation.role = role;
    save(tx, change, invitation, None, EventKind::InvitationUpdated).await
}

/// Takes a locked invitation back.
pub async fn cancel(
    tx: &mut Tx,
    change: &Change,
    invitation: &mut Invitation,
) -> Result<(), StoreError> {
    invitation.status = Status::Cancelled;
    save(tx, change, invitation, None, EventKind::InvitationCancelled).await
}

async fn save(
    tx: &mut Tx,
    change: &Change,
    invitation: &mut Invitation,
    accepted_by: Option<&Id<id::User>>,
    kind: EventKind,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE invitations SET role = $2, status = $3, accepted_by = $4, \
                       last_changed_by = $5, last_changed_by_type = $6, updated_at = $7 \
                       WHERE id = $1";
    const MAIL: &str = "DELETE FROM mails WHERE about = $1 AND next_at IS NOT NULL";
    invitation.base.touch(change);
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(invitation.id.as_str())
        .bind(invitation.role.as_str())
        .bind(invitation.status.as_str())
        .bind(accepted_by.map(Id::as_str))
        .bind(&invitation.base.last_changed_by)
        .bind(&invitation.base.last_changed_by_type)
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    if invitation.status != Status::Pending {
        // A mail that has not left yet would lead nowhere.
        on!(&mut *tx, |c| sqlx::query(MAIL)
            .bind(invitation.id.as_str())
            .execute(c)
            .await
            .map(drop))?;
    }
    append(tx, change, kind, invitation).await
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    invitation: &Invitation,
) -> Result<(), StoreError> {
    let mut data = json!({
        "email": invitation.email.as_str(),
        "role": invitation.role.as_str(),
    });
    if let Some(projects) = &invitation.projects {
        data["projectIds"] = projects.iter().map(|id| Value::from(id.as_str())).collect();
    }
    let event = NewEvent {
        kind,
        account: invitation.account.id.clone(),
        project: None,
        target: invitation.id.to_string(),
        data,
    };
    events::append(tx, change, event).await
}
