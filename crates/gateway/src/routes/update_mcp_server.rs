//! `PATCH /integrated-account/{id}/mcp/{server}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Body, Caller, PathParameter};
use claviger_store::mcp_servers::{self, Changed, McpServer};
use serde_json::{Map, Value};

use super::described::McpServerChange;
use super::mcp_server::{exposure, must_cover, read_expiry, read_name, warnings};
use super::wire::WarnedServerBody;
use super::{connected_account, mcp_server_id, no_such_server};
use crate::gateway::Gateway;
use crate::members::Members;
use crate::server_config::ServerConfig;

const EXPIRES_AT: &str = "expires_at";

/// Change an MCP server
///
/// Renames it, changes what it shows, or when it ends; from the next call on. Only who holds what its maker holds changes
/// it.
#[utoipa::path(patch, path = "/integrated-account/{id}/mcp/{server}", operation_id = "updateMcpServer",
    tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"),
        ("server" = String, Path, description = "The MCP server's id, from listing MCP servers.",
            example = "mcp_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = McpServerChange,
    responses(
        (status = 200, description = "The server as it is now.", body = WarnedServerBody),
        (status = 403, description = "It would outlive the access key that changes it, its maker holds more, or the \
            permission lacks."),
        (status = 404, description = "No such connected account or server."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpWrite>,
    PathParameter((id, server)): PathParameter<(String, String)>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<WarnedServerBody>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let server = mcp_server_id(&server)?;
    let change = gateway.core.change(&caller.actor);
    let catalogue = gateway.catalogue_of(&connected).await?;
    let (inside, shown_of) = (Arc::clone(&gateway), Arc::clone(&catalogue));
    let changed = gateway
        .core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let held = mcp_servers::hold(tx, &caller.reach, &connected.id, &server).await?;
                let held = held.ok_or_else(no_such_server)?;
                must_cover(&caller, &held)?;
                let changed = read(&inside, &caller, &held, &body)?;
                // Checked anew: what a filter leaves may be nothing.
                exposure(&inside, &shown_of, &ServerConfig::of_row(&changed.config)?)?;
                Ok(mcp_servers::update(tx, &change, &server, &changed).await?)
            })
        })
        .await?;
    let config = ServerConfig::of_row(&changed.config)?;
    let exposure = exposure(&gateway, &catalogue, &config)?;
    Ok(Json(WarnedServerBody {
        server: (&changed).into(),
        warnings: warnings(&exposure, &config, changed.expires_at),
    }))
}

/// The server as a body changes it: what is not named stays, and null ends an expiry.
fn read(
    gateway: &Gateway,
    caller: &Caller<McpWrite>,
    held: &McpServer,
    body: &Map<String, Value>,
) -> Result<Changed, ApiError> {
    let members = Members::read("", body, &["name", "config", EXPIRES_AT])?;
    let expires_at = if body.contains_key(EXPIRES_AT) {
        read_expiry(members.text(EXPIRES_AT)?, caller, gateway.core.now())?
    } else {
        held.expires_at
    };
    let config = ServerConfig::of_row(&held.config)?;
    let config = match members.object("config")? {
        Some(patch) => config.patched(patch)?,
        None => config,
    };
    Ok(Changed {
        name: read_name(members.text("name")?, &held.name)?,
        config: config.shown().to_string(),
        expires_at,
    })
}
