//! `POST /integrated-account/{id}/mcp`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::id::Id;
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Body, Caller, ErrorCode, NoStore, PathParameter};
use claviger_store::mcp_servers::{self, Maker, McpServer};
use claviger_store::{Base, StoreError};
use http::StatusCode;
use serde_json::{Map, Value};

use super::connected_account;
use super::described::NewMcpServer;
use super::mcp_server::{draw_token, exposure, read_expiry, read_name, warnings, with_token};
use super::wire::IssuedServerBody;
use crate::gateway::Gateway;
use crate::members::Members;
use crate::server_config::ServerConfig;

/// Make an MCP server
///
/// Puts a choice of a connected account's tools behind a URL of its own, which carries the access: it is shown this once.
/// Send an `Idempotency-Key` header to be safe to repeat: a mask stands for the secret of the URL then.
#[utoipa::path(post, path = "/integrated-account/{id}/mcp", operation_id = "createMcpServer",
    tag = "mcp_servers",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = NewMcpServer,
    responses(
        (status = 201, description = "The server, with its URL.", body = IssuedServerBody),
        (status = 403, description = "It would outlive the access key that makes it, or the permission lacks."),
        (status = 404, description = "No such connected account."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpWrite>,
    PathParameter(id): PathParameter,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let members = Members::read("", &body, &["name", "config", "expires_at"])?;
    let config = ServerConfig::read(members.object("config")?)?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    let exposure = exposure(&gateway, &catalogue, &config)?;
    let name = read_name(members.text("name")?, exposure.catalogue().label())?;
    let expires_at = read_expiry(members.text("expires_at")?, &caller, gateway.core.now())?;
    let maker = Maker::of(&caller.actor).ok_or_else(ApiError::forbidden)?;

    let change = gateway.core.change(&caller.actor);
    let server = McpServer {
        id: Id::draw(&*gateway.core.random),
        connected_account_id: connected.id.clone(),
        account: connected.account.clone(),
        project_id: connected.project.as_ref().map(ToString::to_string),
        name,
        config: config.shown().to_string(),
        expires_at,
        maker,
        maker_rights: Arc::clone(&caller.rights),
        base: Base::made_by(&change),
    };
    let token = draw_token(&gateway);
    let digest = gateway.core.verifier.digest(token.expose());
    let row = server.clone();
    let stored = gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { mcp_servers::create(tx, &change, &row, &digest).await })
        })
        .await?;
    if !stored {
        let message = "Connected account not found";
        return Err(ApiError::new(ErrorCode::ConnectedAccountNotFound, message));
    }
    let mut shown = with_token(&gateway, &server, &token)?;
    shown.warnings = Some(warnings(&exposure, &config, expires_at));
    Ok((StatusCode::CREATED, NoStore(Json(shown))).into_response())
}
