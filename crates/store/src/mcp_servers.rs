//! MCP servers: filters over a connected account's tools, each with a secret URL.

use std::sync::Arc;

use claviger_domain::event::{Actor, EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{AccountRef, Reach, Rights};
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::reach::{ReachBinds, within_reach};
use crate::{Base, Change, Db, Page, StoreError, Tx};

type ConnectedAccountId = Id<id::ConnectedAccount>;
type McpServerId = Id<id::McpServer>;

/// Who made a server, and answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A program with an access key.
    AccessKey(Id<id::AccessKey>),
    /// Whoever runs the instance.
    Operator(Id<id::OperatorKey>),
    /// A person.
    User(Id<id::User>),
}

impl Maker {
    /// The maker that an actor is; a server is not made by another or by the program itself.
    pub fn of(actor: &Actor) -> Option<Self> {
        match actor {
            Actor::AccessKey(id) => Some(Self::AccessKey(id.clone())),
            Actor::Operator(id) => Some(Self::Operator(id.clone())),
            Actor::User(id) => Some(Self::User(id.clone())),
            Actor::System | Actor::McpServer { .. } | Actor::Link { .. } => None,
        }
    }

    /// Whom the trail of changes names for what the server does.
    pub fn actor(&self) -> Actor {
        match self {
            Self::AccessKey(id) => Actor::AccessKey(id.clone()),
            Self::Operator(id) => Actor::Operator(id.clone()),
            Self::User(id) => Actor::User(id.clone()),
        }
    }

    /// The maker that two columns name; none where they name nobody.
    pub(crate) fn of_columns(kind: &str, id: String) -> Option<Self> {
        match kind {
            "access_key" => Some(Self::AccessKey(Id::from_trusted(id))),
            "operator" => Some(Self::Operator(Id::from_trusted(id))),
            "user" => Some(Self::User(Id::from_trusted(id))),
            _ => None,
        }
    }

    pub(crate) fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::AccessKey(id) => ("access_key", id.as_str()),
            Self::Operator(id) => ("operator", id.as_str()),
            Self::User(id) => ("user", id.as_str()),
        }
    }
}

/// A filter over a connected account's tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpServer {
    /// Its id.
    pub id: McpServerId,
    /// The connected account whose tools it shows.
    pub connected_account_id: ConnectedAccountId,
    /// The account that it belongs to.
    pub account: AccountRef,
    /// The project that it belongs to, where the connected account does.
    pub project_id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it shows and how, JSON.
    pub config: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Who made it, or has got its URL since.
    pub maker: Maker,
    /// What held whoever made it: a call through it has no more.
    pub maker_rights: Arc<Rights>,
    /// Who made it, and when.
    pub base: Base,
}

impl McpServer {
    /// Whether it takes calls at `now`.
    pub fn is_live_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    connected_account_id: String,
    account_id: String,
    root_account_id: String,
    project_id: Option<String>,
    name: String,
    config: String,
    expires_at: Option<i64>,
    maker_kind: String,
    maker_id: String,
    maker_rights: String,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for McpServer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what| StoreError::Row {
            table: "mcp_servers",
            what,
        };
        let maker = Maker::of_columns(&row.maker_kind, row.maker_id);
        let maker = maker.ok_or_else(|| broken("maker_kind"))?;
        Ok(Self {
            id: Id::from_trusted(row.id),
            connected_account_id: Id::from_trusted(row.connected_account_id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            project_id: row.project_id,
            name: row.name,
            config: row.config,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            maker,
            maker_rights: Rights::from_json(&row.maker_rights)
                .map(Arc::new)
                .ok_or_else(|| broken("maker_rights"))?,
            base: row.base,
        })
    }
}

macro_rules! columns {
    () => {
        "id, connected_account_id, account_id, root_account_id, project_id, name, config, \
         expires_at, maker_kind, maker_id, maker_rights, created_by, created_by_type, created_in, \
         last_changed_by, last_changed_by_type, created_at, updated_at"
    };
}

/// Finds the server whose token was presented, whether it is expired or not.
pub async fn find_by_token(db: &Db, digest: &KeyDigest) -> Result<Option<McpServer>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_servers WHERE token_digest = $1 AND deleted_at IS NULL"
    );
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    row.map(McpServer::try_from).transpose()
}

/// Finds a server whosever it is, for what is judged by other rights than a reach.
pub async fn find_anywhere(db: &Db, id: &McpServerId) -> Result<Option<McpServer>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_servers WHERE id = $1 AND deleted_at IS NULL"
    );
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    row.map(McpServer::try_from).transpose()
}

/// Finds a server of a connected account within the reach.
pub async fn find(
    db: &Db,
    reach: &Reach,
    connected: &ConnectedAccountId,
    id: &McpServerId,
) -> Result<Option<McpServer>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_servers WHERE id = $4 AND connected_account_id = $5 AND deleted_at IS NULL AND ",
        within_reach!()
    );
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(connected.as_str())
        .fetch_optional(c)
        .await)?;
    row.map(McpServer::try_from).transpose()
}

/// Lists the servers of a connected account within the reach, and tells how many there are.
pub async fn list(
    db: &Db,
    reach: &Reach,
    connected: &ConnectedAccountId,
    page: &Page,
) -> Result<(Vec<McpServer>, i64), StoreError> {
    macro_rules! filtered {
        () => {
            concat!(
                "connected_account_id = $4 AND deleted_at IS NULL AND ",
                within_reach!()
            )
        };
    }
    const ROWS: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_servers WHERE ",
        filtered!(),
        " AND (created_at, id) > ($5, $6) ORDER BY created_at, id LIMIT $7 OFFSET $8"
    );
    const TOTAL: &str = concat!("SELECT COUNT(*) FROM mcp_servers WHERE ", filtered!());
    let binds = ReachBinds::of(reach);
    let rows: Vec<Row> = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(connected.as_str())
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
        .bind(connected.as_str())
        .fetch_one(c)
        .await)?;
    let servers = rows
        .into_iter()
        .map(McpServer::try_from)
        .collect::<Result<_, _>>()?;
    Ok((servers, total))
}

/// Stores a server under the digest of its token; `false` when its connected account is gone.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    server: &McpServer,
    token: &KeyDigest,
) -> Result<bool, StoreError> {
    // Held, so that no server outlives a connected account that is deleted meanwhile.
    // Not by its id: SQLite would visit every server of it.
    const HOLD: &str = "UPDATE connected_accounts SET status = status \
                        WHERE id = $1 AND deleted_at IS NULL";
    const SQL: &str = "INSERT INTO mcp_servers (id, connected_account_id, account_id, \
        root_account_id, project_id, name, config, token_digest, expires_at, maker_kind, maker_id, \
        maker_rights, created_by, created_by_type, created_in, last_changed_by, \
        last_changed_by_type, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
        $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
    let held = on!(&mut *tx, |c| sqlx::query(HOLD)
        .bind(server.connected_account_id.as_str())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if held == 0 {
        return Ok(false);
    }
    let (maker_kind, maker_id) = server.maker.columns();
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(server.id.as_str())
        .bind(server.connected_account_id.as_str())
        .bind(server.account.id.as_str())
        .bind(server.account.root.as_str())
        .bind(&server.project_id)
        .bind(&server.name)
        .bind(&server.config)
        .bind(&token.as_bytes()[..])
        .bind(server.expires_at.map(Timestamp::as_micros))
        .bind(maker_kind)
        .bind(maker_id)
        .bind(server.maker_rights.to_json())
        .bind(&server.base.created_by)
        .bind(&server.base.created_by_type)
        .bind(&server.base.created_in)
        .bind(&server.base.last_changed_by)
        .bind(&server.base.last_changed_by_type)
        .bind(server.base.created_at.as_micros())
        .bind(server.base.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::McpServerCreated, server).await?;
    Ok(true)
}

/// What is changed of a server; its maker stays, and answers for it.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// What it shows and how, JSON.
    pub config: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Holds a server of a connected account within the reach, and reads it: until the transaction is over
/// nobody else changes it.
pub async fn hold(
    tx: &mut Tx,
    reach: &Reach,
    connected: &ConnectedAccountId,
    id: &McpServerId,
) -> Result<Option<McpServer>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE mcp_servers SET name = name \
         WHERE id = $4 AND connected_account_id = $5 AND deleted_at IS NULL AND ",
        within_reach!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(connected.as_str())
        .fetch_optional(c)
        .await)?;
    row.map(McpServer::try_from).transpose()
}

/// Changes a server that is held.
pub async fn update(
    tx: &mut Tx,
    change: &Change,
    id: &McpServerId,
    changed: &Changed,
) -> Result<McpServer, StoreError> {
    const SQL: &str = concat!(
        "UPDATE mcp_servers SET name = $2, config = $3, expires_at = $4, last_changed_by = $5, \
         last_changed_by_type = $6, updated_at = $7 WHERE id = $1 RETURNING ",
        columns!()
    );
    let row: Row = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(&changed.name)
        .bind(&changed.config)
        .bind(changed.expires_at.map(Timestamp::as_micros))
        .bind(change.actor.id())
        .bind(change.actor.kind())
        .bind(change.now.as_micros())
        .fetch_one(c)
        .await)?;
    let server = McpServer::try_from(row)?;
    append(tx, change, EventKind::McpServerUpdated, &server).await?;
    Ok(server)
}

/// Gives a server that is held another token; the one before is nobody's from then on. Who gets it
/// answers for the server in the place of its maker, and what it may do stays.
pub async fn rotate(
    tx: &mut Tx,
    change: &Change,
    id: &McpServerId,
    token: &KeyDigest,
    maker: &Maker,
) -> Result<McpServer, StoreError> {
    const SQL: &str = concat!(
        "UPDATE mcp_servers SET token_digest = $2, last_changed_by = $3, \
         last_changed_by_type = $4, updated_at = $5, maker_kind = $6, maker_id = $7 \
         WHERE id = $1 RETURNING ",
        columns!()
    );
    let (maker_kind, maker_id) = maker.columns();
    let row: Row = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(&token.as_bytes()[..])
        .bind(change.actor.id())
        .bind(change.actor.kind())
        .bind(change.now.as_micros())
        .bind(maker_kind)
        .bind(maker_id)
        .fetch_one(c)
        .await)?;
    let server = McpServer::try_from(row)?;
    append(tx, change, EventKind::McpServerRotated, &server).await?;
    Ok(server)
}

/// Removes a server of a connected account within the reach.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    connected: &ConnectedAccountId,
    id: &McpServerId,
) -> Result<Option<McpServer>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE mcp_servers SET deleted_at = $6 \
         WHERE id = $4 AND connected_account_id = $5 AND deleted_at IS NULL AND ",
        within_reach!(),
        " RETURNING ",
        columns!()
    );
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(connected.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let server = row.map(McpServer::try_from).transpose()?;
    if let Some(server) = &server {
        append(tx, change, EventKind::McpServerDeleted, server).await?;
    }
    Ok(server)
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    server: &McpServer,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: server.account.id.clone(),
        project: server.project_id.clone().map(Id::from_trusted),
        target: server.id.to_string(),
        data: json!({
            "name": server.name,
            "connectedAccountId": server.connected_account_id,
            "expiresAt": server.expires_at,
        }),
    };
    crate::events::append(tx, change, event).await
}
