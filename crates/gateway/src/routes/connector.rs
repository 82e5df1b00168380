//! What the operations on connectors share.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::Request;
use claviger_domain::id::{self, Id};
use claviger_edge::{ApiError, Caller, ErrorCode, unread_body};
use claviger_store::connectors::{self, StoredConnector};

use super::query::Parameters;
use crate::catalogue::Catalogue;
use crate::gateway::Gateway;
use crate::stored_connectors::LARGEST_BODY;

/// The parameter that says whose connector is meant, where several accounts have one of a name.
pub(super) const ACCOUNT: &str = "account_id";

/// A connector by its name.
pub(super) enum Found {
    /// Of the instance itself.
    Own(Arc<Catalogue>),
    /// Of an account.
    Stored(Box<StoredConnector>),
}

/// The connector that a caller means by that name: the instance's own, its account's, or another within its
/// reach.
pub(super) async fn find<P>(
    gateway: &Gateway,
    caller: &Caller<P>,
    slug: &str,
    parameters: &Parameters,
) -> Result<Found, ApiError> {
    if let Some(own) = gateway.own_catalogue(slug) {
        return Ok(Found::Own(Arc::clone(own)));
    }
    let account = parameters.text(ACCOUNT).map(Id::<id::Account>::parse);
    let account = account.map(|id| id.ok_or_else(absent)).transpose()?;
    let (db, reach) = (&gateway.core.db, &caller.reach);
    let own = caller.identity.account.as_ref().map(|own| &own.id);
    let stored = match (&account, own) {
        (None, Some(own)) => match connectors::find(db, reach, slug, Some(own)).await? {
            None => connectors::find(db, reach, slug, None).await?,
            found => found,
        },
        (account, _) => connectors::find(db, reach, slug, account.as_ref()).await?,
    };
    let stored = stored.map(|stored| Found::Stored(Box::new(stored)));
    stored.ok_or_else(absent)
}

/// The same to be read: an account sees what it uses of the one above it, too.
pub(super) async fn find_to_read<P>(
    gateway: &Gateway,
    caller: &Caller<P>,
    slug: &str,
    parameters: &Parameters,
) -> Result<Found, ApiError> {
    let found = find(gateway, caller, slug, parameters).await;
    let own = caller.identity.account.as_ref();
    match (found, own) {
        (Err(error), Some(own)) if error.code == ErrorCode::ConnectorNotFound => {
            let stored = connectors::meant_by(&gateway.core.db, own, slug).await?;
            // As it is listed: with the account that has it.
            let named = parameters.text(ACCOUNT);
            let stored = stored
                .filter(|stored| named.is_none_or(|named| named == stored.account.id.as_str()));
            let stored = stored.map(|stored| Found::Stored(Box::new(stored)));
            stored.ok_or(error)
        }
        (found, _) => found,
    }
}

/// The connector of an account of that name, which can be changed.
pub(super) async fn find_stored<P>(
    gateway: &Gateway,
    caller: &Caller<P>,
    slug: &str,
    parameters: &Parameters,
) -> Result<StoredConnector, ApiError> {
    match find(gateway, caller, slug, parameters).await? {
        Found::Stored(stored) => Ok(*stored),
        Found::Own(_) => {
            let message = "The connector is of this instance, and is not changed over HTTP";
            Err(ApiError::new(ErrorCode::NotAllowedHere, message))
        }
    }
}

pub(super) fn absent() -> ApiError {
    ApiError::new(ErrorCode::ConnectorNotFound, "Connector not found")
}

/// The bytes of a body that has a document in it.
pub(super) async fn body(request: Request) -> Result<Vec<u8>, ApiError> {
    let bytes = to_bytes(request.into_body(), LARGEST_BODY).await;
    let mib = LARGEST_BODY / 1_024 / 1_024;
    let bytes = bytes.map_err(|error| unread_body(error, &format!("{mib} MiB")))?;
    Ok(bytes.into())
}
