//! Connected accounts: one tenant's credentials for one connector.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use serde_json::json;

use crate::db::on;
use crate::{Base, Change, StoreError, Tx};

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
    /// Such as `active`.
    pub status: String,
    /// Who made it, and when.
    pub base: Base,
}

/// Stores a connected account with its sealed credentials.
pub async fn create(
    tx: &mut Tx,
    change: &Change,
    connected: &ConnectedAccount,
    credentials: &[u8],
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO connected_accounts (id, account_id, root_account_id, \
        project_id, integration, tenant_id, authentication_method, credentials, status, \
        created_by, created_by_type, created_in, last_changed_by, last_changed_by_type, \
        created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(connected.id.as_str())
        .bind(connected.account.id.as_str())
        .bind(connected.account.root.as_str())
        .bind(connected.project.as_ref().map(Id::as_str))
        .bind(&connected.integration)
        .bind(&connected.tenant_id)
        .bind(&connected.authentication_method)
        .bind(credentials)
        .bind(&connected.status)
        .bind(&connected.base.created_by)
        .bind(&connected.base.created_by_type)
        .bind(&connected.base.created_in)
        .bind(&connected.base.last_changed_by)
        .bind(&connected.base.last_changed_by_type)
        .bind(connected.base.created_at.as_micros())
        .bind(connected.base.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let event = NewEvent {
        kind: EventKind::ConnectedAccountCreated,
        account: connected.account.id.clone(),
        project: connected.project.clone(),
        target: connected.id.to_string(),
        data: json!({"integration": connected.integration, "tenantId": connected.tenant_id}),
    };
    crate::events::append(tx, change, event).await
}
