//! OAuth clients: as whom an account asks the users of a product for their consent, one for each connector.
//! The client's secret, and where it may go, stay sealed.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::{Change, Db, StoreError, Tx};

/// An account's client at the product of one connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthClient {
    /// The account that registered it.
    pub account: Id<id::Account>,
    /// The connector's name.
    pub integration: String,
    /// How the product calls it; no secret.
    pub client_id: String,
    /// Its secret, and for where that is, sealed.
    pub sealed: Vec<u8>,
    /// When it was entered.
    pub updated_at: Timestamp,
}

impl OAuthClient {
    /// What its secret is sealed for: it opens for this account and this connector.
    pub fn subject(account: &Id<id::Account>, integration: &str) -> String {
        format!("{account} {integration}")
    }
}

type Row = (String, String, String, Vec<u8>, i64);

fn read((account, integration, client_id, sealed, updated_at): Row) -> OAuthClient {
    OAuthClient {
        account: Id::from_trusted(account),
        integration,
        client_id,
        sealed,
        updated_at: Timestamp::from_micros(updated_at),
    }
}

/// The client that counts for an account: its own, else that of the account above it.
pub async fn meant_by(
    db: &Db,
    account: &AccountRef,
    integration: &str,
) -> Result<Option<OAuthClient>, StoreError> {
    const SQL: &str = "SELECT account_id, integration, client_id, sealed, updated_at \
                       FROM oauth_clients WHERE integration = $3 AND account_id IN ($1, $2) \
                       ORDER BY CASE WHEN account_id = $1 THEN 0 ELSE 1 END LIMIT 1";
    let row: Option<Row> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(account.id.as_str())
        .bind(account.root.as_str())
        .bind(integration)
        .fetch_optional(c)
        .await)?;
    Ok(row.map(read))
}

/// Puts a client in the place of the one that the account had for the connector.
pub async fn set(tx: &mut Tx, change: &Change, client: &OAuthClient) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO oauth_clients (account_id, integration, client_id, sealed, \
                       updated_at) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (account_id, integration) DO UPDATE SET \
                       client_id = excluded.client_id, sealed = excluded.sealed, \
                       updated_at = excluded.updated_at";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(client.account.as_str())
        .bind(&client.integration)
        .bind(&client.client_id)
        .bind(&client.sealed)
        .bind(client.updated_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let kind = EventKind::OAuthClientUpdated;
    append(tx, change, kind, client).await
}

/// Removes a client; `false` where the account has none for the connector.
pub async fn delete(
    tx: &mut Tx,
    change: &Change,
    account: &Id<id::Account>,
    integration: &str,
) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM oauth_clients WHERE account_id = $1 AND integration = $2 \
                       RETURNING account_id, integration, client_id, sealed, updated_at";
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(account.as_str())
        .bind(integration)
        .fetch_optional(c)
        .await)?;
    let Some(row) = row else {
        return Ok(false);
    };
    let kind = EventKind::OAuthClientDeleted;
    append(tx, change, kind, &read(row)).await?;
    Ok(true)
}

/// Removes all of an account that goes itself.
pub(crate) async fn erase_of_account(
    tx: &mut Tx,
    account: &Id<id::Account>,
) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM oauth_clients WHERE account_id = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(account.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// All that is sealed, with what it is sealed for.
pub(crate) async fn all_sealed(db: &Db) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    const SQL: &str = "SELECT account_id || ' ' || integration, sealed FROM oauth_clients \
                       ORDER BY account_id, integration";
    Ok(on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?)
}

async fn append(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    client: &OAuthClient,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        account: client.account.clone(),
        project: None,
        target: client.account.to_string(),
        data: json!({"integration": client.integration, "clientId": client.client_id}),
    };
    crate::events::append(tx, change, event).await
}
