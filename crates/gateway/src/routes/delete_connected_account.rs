//! `DELETE /integrated-account/{id}`

use std::sync::Arc;

use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::{StoreError, connected_accounts};
use http::StatusCode;

use super::{connected_account, no_such_connected_account};
use crate::gateway::Gateway;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    PathParameter(id): PathParameter,
) -> Result<StatusCode, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let change = gateway.core.change(&caller.actor);
    let deleted = gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                connected_accounts::delete(tx, &change, &caller.reach, &connected.id).await
            })
        })
        .await?;
    let deleted = deleted.ok_or_else(no_such_connected_account)?;
    gateway.forget_account(&deleted.id);
    Ok(StatusCode::NO_CONTENT)
}
