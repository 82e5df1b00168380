//! Changes to connected accounts, each with its event. A change holds the row, so that two of them come
//! one after the other.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;

use super::{ConnectedAccount, Row, Status, append};
use crate::db::on;
use crate::reach::{ReachBinds, within_reach};
use crate::{Change, StoreError, Tx};

/// What is changed of a connected account beside its credentials.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Whose credentials they are, in the words of the account.
    pub tenant_id: String,
    /// What it is made with that is no secret, JSON.
    pub context: String,
    /// What it says otherwise of its connector's tools, JSON.
    pub overrides: String,
    /// Whether calls get through.
    pub status: Status,
}

/// Holds a connected account within the reach, and reads it: until the transaction is over nobody else
/// changes it.
pub async fn hold(
    tx: &mut Tx,
    reach: &Reach,
    id: &Id<id::ConnectedAccount>,
) -> Result<Option<ConnectedAccount>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE connected_accounts SET status = status WHERE id = $4 AND deleted_at IS NULL AND ",
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
        .fetch_optional(c)
        .await)?;
    row.map(ConnectedAccount::try_from).transpose()
}

/// Changes a connected account that is held.
pub async fn update(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::ConnectedAccount>,
    changed: &Changed,
) -> Result<ConnectedAccount, StoreError> {
    const SQL: &str = concat!(
        "UPDATE connected_accounts SET tenant_id = $2, context = $3, status = $4, \
         last_changed_by = $5, last_changed_by_type = $6, updated_at = $7, overrides = $8 \
         WHERE id = $1 RETURNING ",
        columns!()
    );
    let row: Row = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(&changed.tenant_id)
        .bind(&changed.context)
        .bind(changed.status.as_str())
        .bind(change.actor.id())
        .bind(change.actor.kind())
        .bind(change.now.as_micros())
        .bind(&changed.overrides)
        .fetch_one(c)
        .await)?;
    let connected = ConnectedAccount::try_from(row)?;
    append(tx, change, EventKind::ConnectedAccountUpdated, &connected).await?;
    Ok(connected)
}

/// Gives a connected account that is held other credentials, sealed for it, which are yet to be tried.
pub async fn change_credentials(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::ConnectedAccount>,
    authentication_method: &str,
    sealed: &[u8],
) -> Result<ConnectedAccount, StoreError> {
    const SQL: &str = concat!(
        "UPDATE connected_accounts SET authentication_method = $2, credentials = $3, status = $4, \
         last_changed_by = $5, last_changed_by_type = $6, updated_at = $7 \
         WHERE id = $1 RETURNING ",
        columns!()
    );
    let row: Row = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(authentication_method)
        .bind(sealed)
        .bind(Status::Connecting.as_str())
        .bind(change.actor.id())
        .bind(change.actor.kind())
        .bind(change.now.as_micros())
        .fetch_one(c)
        .await)?;
    let connected = ConnectedAccount::try_from(row)?;
    let kind = EventKind::ConnectedAccountCredentialsChanged;
    append(tx, change, kind, &connected).await?;
    Ok(connected)
}

/// Notes whether the upstream takes these very credentials; nothing where that was known, or where the
/// connected account has others by now, or is gone.
pub async fn change_status(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::ConnectedAccount>,
    sealed: &[u8],
    status: Status,
) -> Result<Option<ConnectedAccount>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE connected_accounts SET status = $2 \
         WHERE id = $1 AND credentials = $3 AND status <> $2 AND deleted_at IS NULL RETURNING ",
        columns!()
    );
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(status.as_str())
        .bind(sealed)
        .fetch_optional(c)
        .await)?;
    let Some(connected) = row.map(ConnectedAccount::try_from).transpose()? else {
        return Ok(None);
    };
    let kind = EventKind::ConnectedAccountStatusChanged;
    append(tx, change, kind, &connected).await?;
    Ok(Some(connected))
}

/// Removes a connected account within the reach, and the MCP servers over it.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    reach: &Reach,
    id: &Id<id::ConnectedAccount>,
) -> Result<Option<ConnectedAccount>, StoreError> {
    const SQL: &str = concat!(
        "UPDATE connected_accounts SET deleted_at = $5 \
         WHERE id = $4 AND deleted_at IS NULL AND ",
        within_reach!(),
        " RETURNING ",
        columns!()
    );
    const SERVERS: &str = "UPDATE mcp_servers SET deleted_at = $2 \
                           WHERE connected_account_id = $1 AND deleted_at IS NULL";
    let binds = ReachBinds::of(reach);
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(connected) = row.map(ConnectedAccount::try_from).transpose()? else {
        return Ok(None);
    };
    on!(&mut *tx, |c| sqlx::query(SERVERS)
        .bind(id.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    append(tx, change, EventKind::ConnectedAccountDeleted, &connected).await?;
    Ok(Some(connected))
}
