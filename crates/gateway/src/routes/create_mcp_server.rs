//! `POST /integrated-account/{id}/mcp`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::date;
use claviger_domain::id::Id;
use claviger_domain::key_string::PlainKey;
use claviger_domain::time::{Timestamp, outlives};
use claviger_domain::token::MCP_SERVER_PREFIX;
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Body, Caller, ErrorCode, NoStore};
use claviger_store::mcp_servers::{self, Maker, McpServer};
use claviger_store::{Base, StoreError};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{connected_account, wire};
use crate::exposure::Exposure;
use crate::gateway::Gateway;
use crate::members::Members;
use crate::server_config::ServerConfig;

/// How far ahead an expiry must lie, in seconds.
const SHORTEST_LIFE: i64 = 60;
const LONGEST_NAME: usize = 255;
/// More tools than this confuse most models.
const MANY_TOOLS: usize = 40;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<McpWrite>,
    Path(id): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let members = Members::read("", &body, &["name", "config", "expires_at"])?;
    let config = ServerConfig::read(members.object("config")?)?;
    let catalogue = gateway.catalogue_of(&connected)?;
    let exposure = gateway
        .exposures
        .of(catalogue, &config.choices)
        .map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))?;
    let name = read_name(members.text("name")?, catalogue.label())?;
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
        maker_rights: (*caller.rights).clone(),
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
    let mut shown = wire::mcp_server(&server);
    shown.insert("token".to_owned(), token.expose().into());
    let url = format!("{}/mcp/{}", gateway.public_url, token.expose());
    shown.insert("url".to_owned(), url.into());
    shown.insert(
        "warnings".to_owned(),
        json!(warnings(&exposure, expires_at)),
    );
    Ok((StatusCode::CREATED, NoStore(Json(shown))).into_response())
}

/// 256 random bits, in characters that a URL takes as they are.
fn draw_token(gateway: &Gateway) -> PlainKey {
    let mut bytes = [0; 32];
    gateway.core.random.fill(&mut bytes);
    PlainKey::new(format!(
        "{MCP_SERVER_PREFIX}{}",
        URL_SAFE_NO_PAD.encode(bytes)
    ))
}

fn read_name(name: Option<&str>, label: &str) -> Result<String, ApiError> {
    let name = name.map_or(label, str::trim);
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let must = format!("must have 1 to {LONGEST_NAME} characters");
        return Err(ApiError::field("name", must));
    }
    Ok(name.to_owned())
}

/// When the server ends: nothing made outlives its maker.
fn read_expiry(
    text: Option<&str>,
    caller: &Caller<McpWrite>,
    now: Timestamp,
) -> Result<Option<Timestamp>, ApiError> {
    let makers = caller.identity.ends_at;
    let Some(text) = text else { return Ok(makers) };
    let asked = date::parse(text)
        .ok_or_else(|| ApiError::field("expires_at", format!("must be {}", date::ACCEPTED)))?;
    if asked < now.plus_seconds(SHORTEST_LIFE) {
        let must = format!("must lie at least {SHORTEST_LIFE} seconds ahead");
        return Err(ApiError::field("expires_at", must));
    }
    if outlives(Some(asked), makers) {
        let message = "A server cannot outlive the access key that makes it";
        return Err(ApiError::new(ErrorCode::ExceedsMaker, message));
    }
    Ok(Some(asked))
}

fn warnings(exposure: &Exposure, expires_at: Option<Timestamp>) -> Vec<String> {
    let tools = exposure.tools();
    let mut warnings = Vec::new();
    if tools.len() > MANY_TOOLS {
        warnings.push(format!(
            "{} tools are more than most models choose from well; limit them by methods or tags",
            tools.len()
        ));
    }
    let writing = tools.iter().filter(|tool| !tool.read_only).count();
    if writing > 0 && expires_at.is_none() {
        warnings.push(format!(
            "{writing} of the tools change things, and the URL has no expiry; set expires_at"
        ));
    }
    warnings
}
