//! Objects of the gateway as answers have them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::time::Timestamp;
use claviger_store::call_log;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::mcp_servers::McpServer;
use serde_json::{Map, Value, json};

use crate::server_config::ServerConfig;

/// A connected account; never its credentials.
pub(super) fn connected_account(connected: &ConnectedAccount) -> Value {
    json!({
        "id": connected.id,
        "tenant_id": connected.tenant_id,
        "integration": connected.integration,
        "authentication_method": connected.authentication_method,
        "status": connected.status,
        "context": {},
        "account_id": connected.account.id,
        "project_id": connected.project,
        "created_by": connected.base.created_by,
        "created_at": connected.base.created_at,
        "updated_at": connected.base.updated_at,
    })
}

/// An MCP server; never its token.
pub(super) fn mcp_server(server: &McpServer) -> Map<String, Value> {
    // A row that an earlier version wrote is shown as it is.
    let config = match ServerConfig::of_row(&server.config) {
        Ok(config) => config.shown(),
        Err(_) => serde_json::from_str(&server.config).unwrap_or_default(),
    };
    let Value::Object(shown) = json!({
        "id": server.id,
        "name": server.name,
        "integrated_account_id": server.connected_account_id,
        "config": config,
        "expires_at": server.expires_at,
        "created_by": server.base.created_by,
        "created_at": server.base.created_at,
        "updated_at": server.base.updated_at,
    }) else {
        unreachable!("an object was written");
    };
    shown
}

/// A logged call.
pub(super) fn call(call: &call_log::Call) -> Value {
    let names: Value = serde_json::from_str(&call.argument_names).unwrap_or_default();
    json!({
        "id": call.id,
        "created_at": call.at,
        "log_type": call.log_type,
        "integrated_account_id": call.connected_account_id,
        "mcp_server_id": call.mcp_server_id,
        "tool_name": call.tool_name,
        "resource": call.resource,
        "method": call.method,
        "client_name": call.client_name,
        "client_version": call.client_version,
        "status": call.status,
        "upstream_status": call.upstream_status,
        "duration_ms": milliseconds(call.duration_us),
        "upstream_duration_ms": call.upstream_duration_us.map(milliseconds),
        "request_id": call.request_id,
        "argument_names": names,
        "arguments_digest": URL_SAFE_NO_PAD.encode(&call.arguments_digest),
    })
}

fn milliseconds(micros: i64) -> Value {
    let span = Timestamp::from_micros(micros);
    json!(span.as_millis())
}

/// A list with its cursors.
pub(super) fn list(
    items: impl Iterator<Item = Value>,
    (next, previous): (Option<String>, Option<String>),
) -> Value {
    let items: Vec<Value> = items.collect();
    let count = items.len();
    json!({
        "result": items, "next_cursor": next, "prev_cursor": previous, "result_count": count,
    })
}
