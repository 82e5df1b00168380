//! Roles that people hold: on an account with its children, or on one project.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Grant, Reach, Rights};
use claviger_domain::role::Role;
use serde_json::json;

use crate::db::on;
use crate::reach::ReachBinds;
use crate::{Base, Change, Db, Page, StoreError, Tx, events};

type UserId = Id<id::User>;
type ProjectId = Id<id::Project>;

/// A role that a person holds in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Its id.
    pub id: Id<id::RoleAssignment>,
    /// Who holds it.
    pub user: UserId,
    /// On which account.
    pub account: AccountRef,
    /// On which project of it; `None`: on the account itself.
    pub project: Option<ProjectId>,
    /// The role.
    pub role: Role,
    /// Who gave it, and when.
    pub base: Base,
}

impl RoleAssignment {
    /// What it allows, and where.
    pub fn grant(&self) -> Grant {
        grant_of(self.role, &self.account, self.project.as_ref())
    }
}

/// What a role allows in a place.
pub fn grant_of(role: Role, account: &AccountRef, project: Option<&ProjectId>) -> Grant {
    match project {
        None => Grant::on_account(role, account.clone()),
        Some(project) => Grant::on_projects(role, account.clone(), [project.clone()].into()),
    }
}

/// What all of a person's roles allow together. One that is held on several projects of an account is
/// one grant, so that what is made for those does not exceed it.
pub fn rights_of(assignments: &[RoleAssignment]) -> Rights {
    let mut grants: Vec<Grant> = Vec::new();
    for one in assignments.iter().map(RoleAssignment::grant) {
        let same = grants.iter_mut().find(|grant| {
            grant.permissions == one.permissions
                && grant.account == one.account
                && grant.projects.is_some() == one.projects.is_some()
        });
        match (same, one.projects) {
            (Some(same), projects) => {
                same.projects = same.projects.take().zip(projects).map(|(mut all, more)| {
                    all.extend(more);
                    all
                });
            }
            (None, projects) => grants.push(Grant { projects, ..one }),
        }
    }
    Rights::new(grants)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    account_id: String,
    root_account_id: String,
    project_id: String,
    role: String,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for RoleAssignment {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: Id::from_trusted(row.id),
            user: Id::from_trusted(row.user_id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            project: (!row.project_id.is_empty()).then(|| Id::from_trusted(row.project_id)),
            role: Role::parse(&row.role).ok_or(StoreError::Row {
                table: "role_assignments",
                what: "role",
            })?,
            base: row.base,
        })
    }
}

macro_rules! columns {
    () => {
        "role_assignments.id, user_id, role_assignments.account_id, \
         role_assignments.root_account_id, project_id, role, role_assignments.created_by, \
         role_assignments.created_by_type, role_assignments.created_in, \
         role_assignments.last_changed_by, role_assignments.last_changed_by_type, \
         role_assignments.created_at, role_assignments.updated_at"
    };
}

/// That a role counts: its account is there, and so is its project.
macro_rules! is_there {
    () => {
        "EXISTS (SELECT 1 FROM accounts WHERE accounts.id = role_assignments.account_id \
         AND accounts.deleted_at IS NULL) AND (project_id = '' OR EXISTS (SELECT 1 FROM projects \
         WHERE projects.id = project_id AND projects.deleted_at IS NULL))"
    };
}

const OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM role_assignments WHERE user_id = $1 AND ",
    is_there!(),
    " ORDER BY created_at, id"
);

/// The roles that a person holds, the oldest first.
pub async fn of_user(db: &Db, user: &UserId) -> Result<Vec<RoleAssignment>, StoreError> {
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(OF_USER)
        .bind(user.as_str())
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The same in a transaction.
pub(crate) async fn of_user_in(
    tx: &mut Tx,
    user: &UserId,
) -> Result<Vec<RoleAssignment>, StoreError> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(OF_USER)
        .bind(user.as_str())
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Whether a person holds a role on an account or on a project of it.
pub async fn is_member(
    tx: &mut Tx,
    user: &UserId,
    account: &Id<id::Account>,
) -> Result<bool, StoreError> {
    const SQL: &str =
        "SELECT COUNT(*) > 0 FROM role_assignments WHERE user_id = $1 AND account_id = $2";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(user.as_str())
        .bind(account.as_str())
        .fetch_one(c)
        .await)?)
}

/// Where a role is held.
#[derive(Clone, Debug)]
pub struct Place {
    /// The account.
    pub account: AccountRef,
    /// The project of it; `None`: the account itself.
    pub project: Option<ProjectId>,
}

impl Place {
    fn project(&self) -> &str {
        self.project.as_ref().map_or("", Id::as_str)
    }
}

/// The role that a person holds in a place, in an account that is held.
pub async fn held(
    tx: &mut Tx,
    user: &UserId,
    place: &Place,
) -> Result<Option<RoleAssignment>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM role_assignments WHERE user_id = $1 AND account_id = $2 AND project_id = $3"
    );
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(SQL)
        .bind(user.as_str())
        .bind(place.account.id.as_str())
        .bind(place.project())
        .fetch_optional(c)
        .await)?;
    row.map(TryInto::try_into).transpose()
}

/// Gives a person a role in a place of an account that is held, in the stead of the one that they hold
/// there.
pub async fn give(
    tx: &mut Tx,
    change: &Change,
    user: &UserId,
    place: &Place,
    role: Role,
) -> Result<RoleAssignment, StoreError> {
    const SQL: &str = concat!(
        "INSERT INTO role_assignments (id, user_id, account_id, root_account_id, project_id, role, \
         created_by, created_by_type, created_in, last_changed_by, last_changed_by_type, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7, $8, $10, $10) \
         ON CONFLICT (user_id, account_id, project_id) DO UPDATE SET role = excluded.role, \
         last_changed_by = excluded.last_changed_by, \
         last_changed_by_type = excluded.last_changed_by_type, updated_at = excluded.updated_at \
         RETURNING ",
        columns!()
    );
    let before = held(tx, user, place).await?;
    if let Some(before) = before {
        if before.role == role {
            return Ok(before);
        }
        append(tx, change, EventKind::RoleRemoved, &before).await?;
    }
    let base = Base::made_by(change);
    let row: Row = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(Id::<id::RoleAssignment>::draw(&*change.random).as_str())
        .bind(user.as_str())
        .bind(place.account.id.as_str())
        .bind(place.account.root.as_str())
        .bind(place.project())
        .bind(role.as_str())
        .bind(&base.created_by)
        .bind(&base.created_by_type)
        .bind(&base.created_in)
        .bind(change.now.as_micros())
        .fetch_one(c)
        .await)?;
    let given = RoleAssignment::try_from(row)?;
    append(tx, change, EventKind::RoleGranted, &given).await?;
    Ok(given)
}

/// Takes a role away that was found in an account that is held.
pub async fn take(
    tx: &mut Tx,
    change: &Change,
    assignment: &RoleAssignment,
) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM role_assignments WHERE id = $1";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(assignment.id.as_str())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::RoleRemoved, assignment).await
}

/// Whether others than that person own an account that is held.
pub async fn has_other_owner(
    tx: &mut Tx,
    account: &Id<id::Account>,
    user: &UserId,
) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT COUNT(*) > 0 FROM role_assignments WHERE account_id = $1 \
                       AND user_id <> $2 AND project_id = '' AND role = 'owner'";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(account.as_str())
        .bind(user.as_str())
        .fetch_one(c)
        .await)?)
}

/// A role with the person who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The role.
    pub assignment: RoleAssignment,
    /// What the person is called.
    pub name: String,
    /// Their address.
    pub email: String,
}

/// Lists who holds a role on an account within the reach, or on a project of it: those of the account
/// hold theirs on every project.
pub async fn members(
    db: &Db,
    reach: &Reach,
    account: &Id<id::Account>,
    project: Option<&ProjectId>,
    page: &Page,
) -> Result<(Vec<Member>, i64), StoreError> {
    macro_rules! filtered {
        () => {
            concat!(
                "account_id = $3 AND ($4 IS NULL OR project_id = $4 OR project_id = '') \
                 AND ($1 OR account_id IN (SELECT value ->> 0 FROM json_each($2)) \
                 OR root_account_id IN (SELECT value ->> 0 FROM json_each($2))) AND ",
                is_there!()
            )
        };
    }
    const ROWS: &str = concat!(
        "SELECT users.name AS user_name, users.email AS user_email, ",
        columns!(),
        " FROM role_assignments JOIN users ON users.id = user_id WHERE ",
        filtered!(),
        " ORDER BY role_assignments.created_at, role_assignments.id LIMIT $5 OFFSET $6"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM role_assignments WHERE ", filtered!());
    #[derive(sqlx::FromRow)]
    struct MemberRow {
        user_name: String,
        user_email: String,
        #[sqlx(flatten)]
        row: Row,
    }
    let binds = ReachBinds::of(reach);
    let project = project.map(Id::as_str);
    let rows: Vec<MemberRow> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(account.as_str())
        .bind(project)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(account.as_str())
        .bind(project)
        .fetch_one(c)
        .await)?;
    let members = rows.into_iter().map(|member| {
        Ok(Member {
            assignment: member.row.try_into()?,
            name: member.user_name,
            email: member.user_email,
        })
    });
    Ok((members.collect::<Result<_, StoreError>>()?, total))
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    assignment: &RoleAssignment,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: assignment.account.id.clone(),
        project: assignment.project.clone(),
        // Whoever holds it: what they may do is kept by that.
        target: assignment.user.to_string(),
        data: json!({"role": assignment.role.as_str()}),
    };
    events::append(tx, change, event).await
}
