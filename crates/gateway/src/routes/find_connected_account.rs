//! `GET /integrated-account/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller, PathParameter};

use super::connected_account;
use super::wire::ConnectedAccountBody;
use crate::gateway::Gateway;

/// Show a connected account
///
/// Answers a connected account by its id; never its credentials.
#[utoipa::path(get, path = "/integrated-account/{id}", operation_id = "showConnectedAccount",
    tag = "connected_accounts",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The connected account.", body = ConnectedAccountBody),
        (status = 404, description = "No such connected account.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    PathParameter(id): PathParameter,
) -> Result<Json<ConnectedAccountBody>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    Ok(Json((&connected).into()))
}
