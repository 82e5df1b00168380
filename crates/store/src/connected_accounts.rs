//! Connected accounts: one tenant's credentials for one connector.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use serde_json::json;

use crate::db::on;
use crate::reach::{ReachBinds, within_reach};
use crate::{Base, Change, Db, Page, StoreError, Tx};

pub use change::{Changed, change_credentials, change_status, delete, hold, update};
pub use renewal::{Renewable, claim_renewal, end_renewal, extend_renewal, renewable};

/// Whether the upstream takes the credentials of a connected account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has not been tried yet.
    Connecting,
    /// It does, as far as is known.
    Active,
    /// It did, and does no more: they are to be entered anew.
    NeedsReauth,
    /// It did not when they were entered.
    ValidationError,
}

impl Status {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
            Self::ValidationError => "validation_error",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Connecting,
            Self::Active,
            Self::NeedsReauth,
            Self::ValidationError,
        ];
        all.into_iter().find(|status| status.as_str() == name)
    }
}

/// One tenant's credentials for one connector; the credentials themselves stay sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedAccount {
    /// Its id.
    pub id: Id<id::ConnectedAccount>,
    /// The account that it is in.
    pub account: AccountRef,
    /// The project that it is for, where it is for one.
    pub project: Option<Id<id::Project>>,
    /// The connector's name.
    pub integration: String,
    /// Whose credentials they are, in the words of the account.
    pub tenant_id: String,
    /// How the credentials are presented.
    pub authentication_method: String,
    /// What it was made with that is no secret, JSON.
    pub context: String,
    /// What it says otherwise of its connector's tools, JSON.
    pub overrides: String,
    /// Whether calls get through.
    pub status: Status,
    /// Who made it, and when.
    pub base: Base,
}

impl ConnectedAccount {
    /// Whether what reaches so far reaches it.
    pub fn is_within(&self, reach: &Reach) -> bool {
        match &self.project {
            None => reach.reaches_account(&self.account),
            Some(project) => reach.reaches_project(&self.account, project),
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    root_account_id: String,
    project_id: Option<String>,
    integration: String,
    tenant_id: String,
    authentication_method: String,
    context: String,
    overrides: String,
    status: String,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for ConnectedAccount {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let status = Status::parse(&row.status).ok_or(StoreError::Row {
            table: "connected_accounts",
            what: "status",
        })?;
        Ok(Self {
            id: Id::from_trusted(row.id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            project: row.project_id.map(Id::from_trusted),
            integration: row.integration,
            tenant_id: row.tenant_id,
            authentication_method: row.authentication_method,
            context: row.context,
            overrides: row.overrides,
            status,
            base: row.base,
        })
    }
}

macro_rules! columns {
    () => {
        "id, account_id, root_account_id, project_id, integration, tenant_id, \
         authentication_method, context, overrides, status, created_by, created_by_type, created_in, \
         last_changed_by, last_changed_by_type, created_at, updated_at"
    };
}

// Behind the macro, which it uses.
mod change;
mod renewal;

/// Finds a connected account within the reach.
pub async fn find(
    db: &Db,
    reach: &Reach,
    id: &Id<id::ConnectedAccount>,
) -> Result<Option<ConnectedAccount>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM connected_accounts WHERE id = $4 AND deleted_at IS NULL AND ",
        within_reach!()
    );
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    row.map(ConnectedAccount::try_from).transpose()
}

/// Which connected accounts to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of that tenant.
    pub tenant_id: Option<String>,
    /// Of that connector.
    pub integration: Option<String>,
    /// In that status.
    pub status: Option<String>,
}

macro_rules! filtered {
    () => {
        concat!(
            "deleted_at IS NULL AND ",
            within_reach!(),
            " AND ($4 IS NULL OR tenant_id = $4) AND ($5 IS NULL OR integration = $5) \
             AND ($6 IS NULL OR status = $6)"
        )
    };
}

/// Lists connected accounts within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<ConnectedAccount>, i64), StoreError> {
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM connected_accounts WHERE ",
        filtered!(),
        " AND (created_at, id) > ($7, $8) ORDER BY created_at, id LIMIT $9 OFFSET $10"
    );
    const TOTAL: &str = concat!(
        "SELECT COUNT(*) FROM connected_accounts WHERE ",
        filtered!()
    );
    let binds = ReachBinds::of(reach);
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(&filter.tenant_id)
        .bind(&filter.integration)
        .bind(&filter.status)
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
        .bind(&filter.tenant_id)
        .bind(&filter.integration)
        .bind(&filter.status)
        .fetch_one(c)
        .await)?;
    let rows = rows.into_iter().map(ConnectedAccount::try_from);
    Ok((rows.collect::<Result<_, _>>()?, total))
}

/// Finds a connected account whosever it is, with its sealed credentials.
pub async fn find_with_credentials(
    db: &Db,
    id: &Id<id::ConnectedAccount>,
) -> Result<Option<(ConnectedAccount, Vec<u8>)>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Whole {
        #[sqlx(flatten)]
        row: Row,
        credentials: Vec<u8>,
    }
    const SQL: &str = concat!(
        "SELECT credentials, ",
        columns!(),
        " FROM connected_accounts WHERE id = $1 AND deleted_at IS NULL"
    );
    let whole: Option<Whole> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    let whole = whole.map(|whole| Ok((whole.row.try_into()?, whole.credentials)));
    whole.transpose()
}

/// The sealed credentials of a connected account, read when a call needs them and kept by nobody.
pub async fn sealed_credentials(
    db: &Db,
    id: &Id<id::ConnectedAccount>,
) -> Result<Option<Vec<u8>>, StoreError> {
    const SQL: &str =
        "SELECT credentials FROM connected_accounts WHERE id = $1 AND deleted_at IS NULL";
    Ok(on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?)
}

/// Stores a connected account with its sealed credentials.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    connected: &ConnectedAccount,
    credentials: &[u8],
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO connected_accounts (id, account_id, root_account_id, \
        project_id, integration, tenant_id, authentication_method, context, credentials, status, \
        created_by, created_by_type, created_in, last_changed_by, last_changed_by_type, \
        created_at, updated_at, overrides) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(connected.id.as_str())
        .bind(connected.account.id.as_str())
        .bind(connected.account.root.as_str())
        .bind(connected.project.as_ref().map(Id::as_str))
        .bind(&connected.integration)
        .bind(&connected.tenant_id)
        .bind(&connected.authentication_method)
        .bind(&connected.context)
        .bind(credentials)
        .bind(connected.status.as_str())
        .bind(&connected.base.created_by)
        .bind(&connected.base.created_by_type)
        .bind(&connected.base.created_in)
        .bind(&connected.base.last_changed_by)
        .bind(&connected.base.last_changed_by_type)
        .bind(connected.base.created_at.as_micros())
        .bind(connected.base.updated_at.as_micros())
        .bind(&connected.overrides)
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::ConnectedAccountCreated, connected).await
}

/// The ids of all connected accounts with their sealed credentials, deleted ones too.
pub(crate) async fn all_sealed(db: &Db) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    const SQL: &str = "SELECT id, credentials FROM connected_accounts ORDER BY id";
    Ok(on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?)
}

/// Puts the same credentials in another seal. It is no change to the connected account, and leaves
/// no event.
pub(crate) async fn reseal(tx: &mut Tx, id: &str, sealed: &[u8]) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE connected_accounts SET credentials = $2 WHERE id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(id)
        .bind(sealed)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    connected: &ConnectedAccount,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: connected.account.id.clone(),
        project: connected.project.clone(),
        target: connected.id.to_string(),
        data: json!({
            "integration": connected.integration,
            "tenantId": connected.tenant_id,
            "status": connected.status.as_str(),
        }),
    };
    crate::events::append(tx, change, event).await
}
