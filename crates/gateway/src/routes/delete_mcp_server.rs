//! `DELETE /integrated-account/{id}/mcp/{server}`

use std::sync::Arc;

use axum::extract::{Path, State};
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Caller};
use claviger_store::{StoreError, mcp_servers};
use http::StatusCode;

use super::{connected_account, mcp_server_id, no_such_server};
use crate::gateway::Gateway;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpWrite>,
    Path((id, server)): Path<(String, String)>,
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
