//! Objects of the gateway as answers have them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::time::Timestamp;
use claviger_store::call_log;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::connectors::StoredConnector;
use claviger_store::link_tokens::LinkToken;
use claviger_store::mcp_servers::McpServer;
use serde_json::{Map, Value, json};

use crate::catalogue::Catalogue;
use crate::server_config::ServerConfig;

/// How many operations that are no tools are named.
const MOST_LEFT_OUT: usize = 100;

/// A connected account; never its credentials.
pub(super) fn connected_account(connected: &ConnectedAccount) -> Value {
    json!({
        "id": connected.id,
        "tenant_id": connected.tenant_id,
        "integration": connected.integration,
        "authentication_method": connected.authentication_method,
        "status": connected.status.as_str(),
        "context": serde_json::from_str::<Value>(&connected.context).unwrap_or_default(),
        "override": serde_json::from_str::<Value>(&connected.overrides).unwrap_or_default(),
        "account_id": connected.account.id,
        "project_id": connected.project,
        "created_by": connected.base.created_by,
        "created_at": connected.base.created_at,
        "updated_at": connected.base.updated_at,
    })
}

/// A link; never its token.
pub(super) fn link_token(link: &LinkToken) -> Value {
    json!({
        "id": link.id,
        "tenant_id": link.tenant_id,
        "integration": link.integration,
        "integrated_account_id": link.connected,
        "account_id": link.account.id,
        "project_id": link.project,
        "created_by": link.maker.actor().id(),
        "tries": link.tries,
        "expires_at": link.expires_at,
        "created_at": link.created_at,
    })
}

/// A connector of an account.
pub(super) fn connector(connector: &StoredConnector) -> Map<String, Value> {
    let Value::Object(shown) = json!({
        "id": connector.id,
        "slug": connector.slug,
        "label": connector.label,
        "category": connector.category,
        "account_id": connector.account.id,
        "created_by": connector.base.created_by,
        "created_at": connector.base.created_at,
        "updated_at": connector.base.updated_at,
    }) else {
        unreachable!("an object was written");
    };
    shown
}

/// A connector of the instance itself, which is nobody's to change.
pub(super) fn own_connector(catalogue: &Catalogue) -> Map<String, Value> {
    let Value::Object(shown) = json!({
        "id": null,
        "slug": catalogue.slug(),
        "label": catalogue.label(),
        "category": catalogue.category(),
        "account_id": null,
        "created_by": null,
        "created_at": null,
        "updated_at": null,
    }) else {
        unreachable!("an object was written");
    };
    shown
}

/// What comes of a connector: how many tools, and which operations are none.
pub(super) fn add_outcome(shown: &mut Map<String, Value>, catalogue: &Catalogue) {
    let left_out = catalogue.left_out().iter().take(MOST_LEFT_OUT);
    let left_out: Vec<_> = left_out
        .map(|one| json!({ "operation": one.operation, "reason": one.reason }))
        .collect();
    shown.insert("tool_count".to_owned(), catalogue.tools().len().into());
    shown.insert(
        "left_out_count".to_owned(),
        catalogue.left_out().len().into(),
    );
    shown.insert("left_out".to_owned(), left_out.into());
    let formats = json!(catalogue.authentication_formats());
    shown.insert("authentication_formats".to_owned(), formats);
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
        "is_dry_run": call.is_dry_run,
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
