//! `GET /integrated-account/{id}/mcp/{server}/client-config`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::McpRead;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::mcp_servers;
use serde_json::Value;

use super::query::Parameters;
use super::{connected_account, mcp_server_id, no_such_server};
use crate::client_config::{AgentClient, Served};
use crate::gateway::Gateway;
use crate::nearest::listed;
use crate::server_config::ServerConfig;

/// What stands for the token, which is known to nobody here.
const PLACEHOLDER: &str = "<token>";

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpRead>,
    PathParameter((id, server)): PathParameter<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let server = mcp_server_id(&server)?;
    let found = mcp_servers::find(&gateway.core.db, &caller.reach, &connected.id, &server).await?;
    let server = found.ok_or_else(no_such_server)?;
    let url = format!("{}/mcp/{PLACEHOLDER}", gateway.public_url);
    let pasted = Served {
        name: &server.name,
        url: &url,
        needs_access_key: ServerConfig::of_row(&server.config)?.require_api_token_auth,
    };
    let Some(client) = parameters.text("client") else {
        return Ok(Json(Value::Object(pasted.all())));
    };
    let client = AgentClient::parse(client).ok_or_else(|| {
        let known = listed(AgentClient::ALL.map(AgentClient::as_str));
        ApiError::field("client", format!("must be one of {known}"))
    })?;
    Ok(Json(pasted.shown(client)))
}
