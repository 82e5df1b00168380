//! An MCP server as answers have it: its token only where it was just made.

use std::collections::BTreeMap;

use claviger_domain::time::Timestamp;
use claviger_store::mcp_servers::McpServer;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::described::McpServerConfig;
use crate::client_config::ClientConfig;
use crate::server_config::ServerConfig;

/// A choice of a connected account's tools, behind a URL of its own; never that URL.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpServer)]
pub(crate) struct McpServerBody {
    /// Its id.
    #[schema(example = "mcp_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Its name.
    #[schema(example = "Support agent")]
    name: String,
    /// The connected account whose tools it shows.
    #[schema(example = "cac_4f8Q2mXc7ZrT1bVw9KpL")]
    integrated_account_id: String,
    /// What it shows and how.
    #[schema(value_type = McpServerConfig)]
    config: Value,
    /// When it ends; null: not by itself.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Id of who made it.
    #[schema(required)]
    created_by: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<&McpServer> for McpServerBody {
    fn from(server: &McpServer) -> Self {
        // A row that an earlier version wrote is shown as it is.
        let config = match ServerConfig::of_row(&server.config) {
            Ok(config) => config.shown(),
            Err(_) => serde_json::from_str(&server.config).unwrap_or_default(),
        };
        Self {
            id: server.id.to_string(),
            name: server.name.clone(),
            integrated_account_id: server.connected_account_id.to_string(),
            config,
            expires_at: server.expires_at,
            created_by: server.base.created_by.clone(),
            created_at: server.base.created_at,
            updated_at: server.base.updated_at,
        }
    }
}

/// A server as a change leaves it, and what there is to say of that.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedMcpServer)]
pub(crate) struct WarnedServerBody {
    #[serde(flatten)]
    pub(crate) server: McpServerBody,
    /// What is unwise about it, for people.
    pub(crate) warnings: Vec<String>,
}

/// A server with its URL, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedMcpServer)]
pub(crate) struct IssuedServerBody {
    #[serde(flatten)]
    pub(crate) server: McpServerBody,
    #[serde(flatten)]
    pub(crate) issued: UrlBody,
    /// What is unwise about it, for people; where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>)]
    pub(crate) warnings: Option<Vec<String>>,
}

/// The URL of a server, and what is made of it.
#[derive(Serialize, ToSchema)]
#[schema(as = McpServerUrl)]
pub(crate) struct UrlBody {
    /// What to paste, and where, by the client: `chatgpt`, `claude`, `claude-desktop`, `cursor`, `vscode`.
    pub(crate) client_config: BTreeMap<String, ClientConfig>,
    /// The secret in the URL, which is also taken as a bearer at `/mcp`.
    #[schema(example = "clvmcp_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX")]
    pub(crate) token: String,
    /// Where the server is.
    #[schema(
        example = "https://keys.example.com/mcp/clvmcp_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
    )]
    pub(crate) url: String,
}
