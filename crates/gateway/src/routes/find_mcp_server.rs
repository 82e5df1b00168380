//! `GET /integrated-account/{id}/mcp/{server}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use claviger_edge::permission::McpRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::mcp_servers;
use serde_json::{Map, Value};

use super::{connected_account, mcp_server_id, no_such_server, wire};
use crate::gateway::Gateway;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpRead>,
    Path((id, server)): Path<(String, String)>,
) -> Result<Json<Map<String, Value>>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let server = mcp_server_id(&server)?;
    let found = mcp_servers::find(&gateway.core.db, &caller.reach, &connected.id, &server).await?;
    Ok(Json(wire::mcp_server(&found.ok_or_else(no_such_server)?)))
}
