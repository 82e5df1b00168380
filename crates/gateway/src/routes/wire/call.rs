//! A logged call as answers have it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::time::Timestamp;
use claviger_store::call_log::Call;
use serde::Serialize;
use utoipa::ToSchema;

/// A call of a tool; never the values of its arguments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub(crate) struct CallBody {
    /// Its id.
    #[schema(example = "cal_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// `mcp` or `proxy`.
    #[schema(example = "mcp")]
    log_type: String,
    /// The connected account whose tool was called.
    #[schema(example = "cac_4f8Q2mXc7ZrT1bVw9KpL")]
    integrated_account_id: String,
    /// The MCP server through which it came; null: through the proxy.
    #[schema(required)]
    mcp_server_id: Option<String>,
    /// The tool's name.
    #[schema(example = "list_all_the_auth_api_projects")]
    tool_name: String,
    /// The tool's resource.
    #[schema(example = "projects")]
    resource: String,
    /// The tool's method.
    #[schema(example = "list")]
    method: String,
    /// The calling program, in its own words.
    #[schema(required)]
    client_name: Option<String>,
    /// That program's version.
    #[schema(required)]
    client_version: Option<String>,
    /// Whether it was only told what would be sent.
    is_dry_run: bool,
    /// The HTTP status that it came to.
    #[schema(example = 200)]
    status: i64,
    /// The HTTP status that the upstream answered; null where it was not asked.
    #[schema(required)]
    upstream_status: Option<i64>,
    /// How long it took.
    duration_ms: i64,
    /// How long the upstream took of that.
    #[schema(required)]
    upstream_duration_ms: Option<i64>,
    /// The request that it came with.
    #[schema(example = "req_4f8Q2mXc7ZrT1bVw9KpL")]
    request_id: String,
    /// The names of its arguments.
    argument_names: Vec<String>,
    /// A keyed digest of the arguments' values: the same values have the same.
    arguments_digest: String,
}

impl From<&Call> for CallBody {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id.to_string(),
            created_at: call.at,
            log_type: call.log_type.clone(),
            integrated_account_id: call.connected_account_id.to_string(),
            mcp_server_id: call.mcp_server_id.clone(),
            tool_name: call.tool_name.clone(),
            resource: call.resource.clone(),
            method: call.method.clone(),
            client_name: call.client_name.clone(),
            client_version: call.client_version.clone(),
            is_dry_run: call.is_dry_run,
            status: call.status,
            upstream_status: call.upstream_status,
            duration_ms: milliseconds(call.duration_us),
            upstream_duration_ms: call.upstream_duration_us.map(milliseconds),
            request_id: call.request_id.clone(),
            argument_names: serde_json::from_str(&call.argument_names).unwrap_or_default(),
            arguments_digest: URL_SAFE_NO_PAD.encode(&call.arguments_digest),
        }
    }
}

fn milliseconds(micros: i64) -> i64 {
    Timestamp::from_micros(micros).as_millis()
}
