//! `POST /integrated-account/{id}/mcp/{server}/rotate-token`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Caller, NoStore, PathParameter};
use claviger_store::mcp_servers::{self, Maker};

use super::mcp_server::{draw_token, must_cover, must_not_outlive, with_token};
use super::wire::IssuedServerBody;
use super::{connected_account, mcp_server_id, no_such_server};
use crate::gateway::Gateway;

/// Give an MCP server another URL
///
/// Makes a new URL, which is shown this once; the one before is dead at once. Whoever asks answers for the server from
/// then on. Send an `Idempotency-Key` header to be safe to repeat: a mask stands for the secret of the URL then.
#[utoipa::path(post, path = "/integrated-account/{id}/mcp/{server}/rotate-token",
    operation_id = "rotateMcpServer", tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"),
        ("server" = String, Path, description = "The MCP server's id, from listing MCP servers.",
            example = "mcp_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The server, with its new URL.", body = IssuedServerBody),
        (status = 403, description = "It would outlive the access key that asks, its maker holds more, or the \
            permission lacks."),
        (status = 404, description = "No such connected account or server.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpWrite>,
    PathParameter((id, server)): PathParameter<(String, String)>,
) -> Result<Response, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let server = mcp_server_id(&server)?;
    let maker = Maker::of(&caller.actor).ok_or_else(ApiError::forbidden)?;
    let change = gateway.core.change(&caller.actor);
    let token = draw_token(&gateway);
    let digest = gateway.core.verifier.digest(token.expose());
    let rotated = gateway
        .core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let held = mcp_servers::hold(tx, &caller.reach, &connected.id, &server).await?;
                let held = held.ok_or_else(no_such_server)?;
                must_cover(&caller, &held)?;
                // Or whoever has a key for an hour would get a URL for good.
                must_not_outlive(&caller, held.expires_at)?;
                Ok(mcp_servers::rotate(tx, &change, &server, &digest, &maker).await?)
            })
        })
        .await?;
    let shown = with_token(&gateway, &rotated, &token)?;
    Ok(NoStore(Json(shown)).into_response())
}
