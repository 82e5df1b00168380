//! What is alike in making an MCP server and changing one.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::date;
use claviger_domain::key_string::PlainKey;
use claviger_domain::time::{Timestamp, outlives};
use claviger_domain::token::MCP_SERVER_PREFIX;
use claviger_edge::permission::McpWrite;
use claviger_edge::{ApiError, Caller, ErrorCode};
use claviger_store::mcp_servers::McpServer;

use super::wire::{IssuedServerBody, UrlBody};
use crate::catalogue::Catalogue;
use crate::client_config::Served;
use crate::exposure::Exposure;
use crate::gateway::Gateway;
use crate::server_config::ServerConfig;

/// How far ahead an expiry must lie, in seconds.
const SHORTEST_LIFE: i64 = 60;
const LONGEST_NAME: usize = 255;
/// More tools than this confuse most models.
const MANY_TOOLS: usize = 40;

/// 256 random bits, in characters that a URL takes as they are.
pub(super) fn draw_token(gateway: &Gateway) -> PlainKey {
    let mut bytes = [0; 32];
    gateway.core.random.fill(&mut bytes);
    PlainKey::new(format!(
        "{MCP_SERVER_PREFIX}{}",
        URL_SAFE_NO_PAD.encode(bytes)
    ))
}

pub(super) fn read_name(name: Option<&str>, label: &str) -> Result<String, ApiError> {
    let name = name.map_or(label, str::trim);
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let must = format!("must have 1 to {LONGEST_NAME} characters");
        return Err(ApiError::field("name", must));
    }
    Ok(name.to_owned())
}

/// When a server ends: nothing made outlives its maker.
pub(super) fn read_expiry(
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
    must_not_outlive(caller, Some(asked))?;
    Ok(Some(asked))
}

/// Refuses a server that ends later than the credential of whoever gets its URL.
pub(super) fn must_not_outlive(
    caller: &Caller<McpWrite>,
    expires_at: Option<Timestamp>,
) -> Result<(), ApiError> {
    if outlives(expires_at, caller.identity.ends_at) {
        let message =
            "A server cannot outlive the access key that makes it, or gives it another URL";
        return Err(ApiError::new(ErrorCode::ExceedsMaker, message));
    }
    Ok(())
}

/// Refuses to change a server of somebody who holds more: its URL acts with what its maker holds.
pub(super) fn must_cover(caller: &Caller<McpWrite>, server: &McpServer) -> Result<(), ApiError> {
    if caller.rights.cover_all(&server.maker_rights) {
        return Ok(());
    }
    let message = "Whoever made this server holds more than you do: make one of your own";
    Err(ApiError::new(ErrorCode::ExceedsMaker, message))
}

/// What a server shows of its connected account.
pub(super) fn exposure(
    gateway: &Gateway,
    catalogue: &Arc<Catalogue>,
    config: &ServerConfig,
) -> Result<Arc<Exposure>, ApiError> {
    let exposure = gateway.exposures.of(catalogue, &config.choices);
    exposure.map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))
}

/// A server with its token, and all that is made of it: the only time that it is shown.
pub(super) fn with_token(
    gateway: &Gateway,
    server: &McpServer,
    token: &PlainKey,
) -> Result<IssuedServerBody, ApiError> {
    let url = format!("{}/mcp/{}", gateway.public_url, token.expose());
    let pasted = Served {
        name: &server.name,
        url: &url,
        needs_access_key: ServerConfig::of_row(&server.config)?.require_api_token_auth,
    };
    Ok(IssuedServerBody {
        server: server.into(),
        issued: UrlBody {
            client_config: pasted.all(),
            token: token.expose().to_owned(),
            url,
        },
        warnings: None,
    })
}

/// What is unwise about a server, for people.
pub(super) fn warnings(
    exposure: &Exposure,
    config: &ServerConfig,
    expires_at: Option<Timestamp>,
) -> Vec<String> {
    let tools = exposure.tools();
    let mut warnings = Vec::new();
    if tools.len() > MANY_TOOLS && !exposure.is_discovery() {
        warnings.push(format!(
            "{} tools are more than most models choose from well; limit them by methods or tags, or set tool_exposure to discovery",
            tools.len()
        ));
    }
    let writing = tools.iter().filter(|tool| !tool.read_only).count();
    if writing > 0 && expires_at.is_none() {
        warnings.push(format!(
            "{writing} of the tools change things, and the URL has no expiry; set expires_at"
        ));
    }
    let outgoing = tools
        .iter()
        .find(|tool| !tool.read_only && tool.reaches_out());
    let secret = tools.iter().find(|tool| tool.answers_secrets());
    let secret = secret.filter(|_| !config.seals_secrets);
    if let (Some(outgoing), Some(secret)) = (outgoing, secret) {
        warnings.push(format!(
            "`{}` answers with secrets, and `{}` sends what it is given elsewhere: a model that is misled \
             can pass them on; leave one of them out by methods or tags, or set secrets to seal",
            secret.name, outgoing.name
        ));
    }
    warnings
}
