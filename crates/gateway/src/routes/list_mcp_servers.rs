//! `GET /integrated-account/{id}/mcp`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::McpRead;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::{Page, mcp_servers};
use serde_json::Map;

use super::connected_account;
use super::described::PageParameters;
use super::list_connected_accounts::number;
use super::query::{Listing, Parameters};
use super::wire::{ListBody, McpServerBody};
use crate::gateway::Gateway;

/// List MCP servers
///
/// Answers the MCP servers of a connected account, the oldest first; never their tokens.
#[utoipa::path(get, path = "/integrated-account/{id}/mcp", operation_id = "listMcpServers",
    tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"), PageParameters),
    responses(
        (status = 200, description = "The servers.", body = ListBody<McpServerBody>),
        (status = 404, description = "No such connected account.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpRead>,
    PathParameter(id): PathParameter,
    parameters: Parameters,
) -> Result<Json<ListBody<McpServerBody>>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let filters = Map::new();
    let listing = Listing {
        of: connected.id.as_str(),
        name: "mcp",
        filters: &filters,
    };
    let window = parameters.window(&gateway, listing)?;
    let page = Page::first(number(window.limit), number(window.offset));
    let (rows, total) =
        mcp_servers::list(&gateway.core.db, &caller.reach, &connected.id, &page).await?;
    let cursors = listing.cursors(&gateway, window, rows.len(), total);
    Ok(Json(ListBody::of(rows.iter().map(Into::into), cursors)))
}
