//! `DELETE /integrated-account/{id}/mcp/{server}`

use std::sync::Arc;

use axum::extract::State;
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::{StoreError, mcp_servers};
use http::StatusCode;

use super::{connected_account, mcp_server_id, no_such_server};
use crate::gateway::Gateway;

/// Delete an MCP server
///
/// Ends its URL at once, for calls that are under way, too.
#[utoipa::path(delete, path = "/integrated-account/{id}/mcp/{server}", operation_id = "deleteMcpServer",
    tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"),
        ("server" = String, Path, description = "The MCP server's id, from listing MCP servers.",
            example = "mcp_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "No such connected account or server.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpWrite>,
    PathParameter((id, server)): PathParameter<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let server = mcp_server_id(&server)?;
    let change = gateway.core.change(&caller.actor);
    let deleted = gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                mcp_servers::delete(tx, &change, &caller.reach, &connected.id, &server).await
            })
        })
        .await?;
    deleted
        .map(|_| StatusCode::NO_CONTENT)
        .ok_or_else(no_such_server)
}
