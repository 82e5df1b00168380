//! Whoever sets MCP servers up over HTTP, and what they are called with.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::server::Server;

/// What every request to an MCP server is sent with.
pub(crate) const HEAD: &str = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
                    mcp-protocol-version: 2025-11-25\r\n";

/// Whoever sets servers up over HTTP.
pub(crate) struct Caller<'a> {
    pub(crate) server: &'a Server,
    pub(crate) key: &'a str,
}

impl Caller<'_> {
    fn make(&self, path: &str, body: &Value) -> Result<Value> {
        let line = format!("POST {path}");
        self.server.call(&line, self.key, body)?.json()
    }

    /// Brings a connector.
    pub(crate) fn bring(&self, connector: &Value) -> Result<()> {
        self.make("/integration", connector).map(drop)
    }

    /// Connects an account by the connector of that name; gives the connected account's id.
    pub(crate) fn connect(&self, slug: &str, host: &str, tenant: &str) -> Result<String> {
        let made = self.make(
            "/integrated-account",
            &json!({
                "integration": slug, "tenant_id": tenant, "authentication_method": "api_key",
                "context": {"host": host}, "credentials": {"key": "a-key-of-the-other-api"},
            }),
        )?;
        text_of(&made, "id")
    }

    /// Makes an MCP server of a connected account with all its tools, and a budget that no load uses up;
    /// gives its path, token and all.
    pub(crate) fn expose(&self, connected: &str) -> Result<String> {
        let path = format!("/integrated-account/{connected}/mcp");
        let config = json!({"calls_per_minute": 10_000_000, "calls_in_flight": 10_000});
        let made = self.make(&path, &json!({"name": "bench", "config": config}))?;
        Ok(format!("/mcp/{}", text_of(&made, "token")?))
    }
}

fn text_of(value: &Value, member: &str) -> Result<String> {
    let text = value[member].as_str().map(str::to_owned);
    text.with_context(|| format!("no `{member}` in an answer"))
}
