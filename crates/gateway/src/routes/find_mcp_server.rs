//! `GET /integrated-account/{id}/mcp/{server}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::McpRead;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::mcp_servers;

use super::wire::McpServerBody;
use super::{connected_account, mcp_server_id, no_such_server};
use crate::gateway::Gateway;

/// Show an MCP server
///
/// Answers an MCP server by its id; never its token.
#[utoipa::path(get, path = "/integrated-account/{id}/mcp/{server}", operation_id = "showMcpServer",
    tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"),
        ("server" = String, Path, description = "The MCP server's id, from listing MCP servers.",
            example = "mcp_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The server.", body = McpServerBody),
        (status = 404, description = "No such connected account or server.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpRead>,
    PathParameter((id, server)): PathParameter<(String, String)>,
) -> Result<Json<McpServerBody>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let server = mcp_server_id(&server)?;
    let found = mcp_servers::find(&gateway.core.db, &caller.reach, &connected.id, &server).await?;
    Ok(Json((&found.ok_or_else(no_such_server)?).into()))
}
