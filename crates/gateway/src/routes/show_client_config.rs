//! `GET /integrated-account/{id}/mcp/{server}/client-config`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::McpRead;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::mcp_servers;
use serde::Serialize;
use utoipa::ToSchema;

use super::described::ClientParameter;
use super::query::Parameters;
use super::{connected_account, mcp_server_id, no_such_server};
use crate::client_config::{AgentClient, ClientConfig, Served};
use crate::gateway::Gateway;
use crate::nearest::listed;
use crate::server_config::ServerConfig;

/// What stands for the token, which is known to nobody here.
const PLACEHOLDER: &str = "<token>";

/// What to paste for one client, or for each by its name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ClientConfigs)]
pub(crate) enum Shown {
    /// For the client that was named.
    One(ClientConfig),
    /// For each: `chatgpt`, `claude`, `claude-desktop`, `cursor` and `vscode`.
    All(BTreeMap<String, ClientConfig>),
}

/// Show what to paste into a client
///
/// Answers what to paste where, so that a client uses the server; `<token>` stands for its token, which is shown only
/// where it is made.
#[utoipa::path(get, path = "/integrated-account/{id}/mcp/{server}/client-config",
    operation_id = "showClientConfig", tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"),
        ("server" = String, Path, description = "The MCP server's id, from listing MCP servers.",
            example = "mcp_4f8Q2mXc7ZrT1bVw9KpL"), ClientParameter),
    responses(
        (status = 200, description = "What to paste.", body = Shown),
        (status = 404, description = "No such connected account or server.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpRead>,
    PathParameter((id, server)): PathParameter<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Shown>, ApiError> {
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
        return Ok(Json(Shown::All(pasted.all())));
    };
    let client = AgentClient::parse(client).ok_or_else(|| {
        let known = listed(AgentClient::ALL.map(AgentClient::as_str));
        ApiError::field("client", format!("must be one of {known}"))
    })?;
    Ok(Json(Shown::One(pasted.shown(client))))
}
