//! `GET /integrated-account/{id}/mcp`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use claviger_edge::permission::McpRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::{Page, mcp_servers};
use serde_json::{Map, Value};

use super::list_connected_accounts::number;
use super::query::{Listing, Parameters};
use super::{connected_account, wire};
use crate::gateway::Gateway;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpRead>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
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
    let shown = rows
        .iter()
        .map(|server| Value::Object(wire::mcp_server(server)));
    Ok(Json(wire::list(shown, cursors)))
}
