//! `POST /integrated-account/refresh-credentials`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Body, Caller};
use serde_json::{Map, Value};

use super::connected_account;
use super::connected_account::tried;
use super::described::WhichConnectedAccount;
use super::wire::TriedAccountBody;
use crate::gateway::Gateway;
use crate::members::Members;

/// Try credentials again
///
/// Tries the credentials of a connected account, and renews them where they are tokens: what came of that is in `status`
/// and `validation_error`.
#[utoipa::path(post, path = "/integrated-account/refresh-credentials", operation_id = "refreshCredentials",
    tag = "connected_accounts",
    request_body = WhichConnectedAccount,
    responses(
        (status = 200, description = "The connected account as it is now.", body = TriedAccountBody),
        (status = 404, description = "No such connected account."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<TriedAccountBody>, ApiError> {
    let members = Members::read("", &body, &["id"])?;
    let id = members
        .text("id")?
        .ok_or_else(|| ApiError::field("id", "is required"))?;
    let connected = connected_account(&gateway, &caller.reach, id).await?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    Ok(Json(tried(&gateway, connected, &catalogue).await?))
}
