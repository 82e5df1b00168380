//! `DELETE /integrated-account/{id}`

use std::sync::Arc;

use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::{StoreError, connected_accounts};
use http::StatusCode;

use super::{connected_account, no_such_connected_account};
use crate::gateway::Gateway;

/// Delete a connected account
///
/// Ends a connected account, its credentials and its MCP servers, at once. It cannot be undone.
#[utoipa::path(delete, path = "/integrated-account/{id}", operation_id = "deleteConnectedAccount",
    tag = "connected_accounts",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "No such connected account.")))]
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
