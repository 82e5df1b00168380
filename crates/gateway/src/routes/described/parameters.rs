//! Parameters of queries.

use std::collections::HashMap;

use utoipa::IntoParams;

use super::servers::{NameStyleName, SchemaProfileName};

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// How much a page has, at most 1000; 50 when it is not given.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next_cursor` of another page of this list, as it was received; empty: the first page.
    next_cursor: Option<String>,
}

/// Which connected accounts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountFilters {
    /// Only those of this tenant.
    tenant_id: Option<String>,
    /// Only those of this connector, by its slug.
    integration: Option<String>,
    /// Only those of this status: `connecting`, `active`, `needs_reauth` or `validation_error`.
    status: Option<String>,
}

/// Whose connector, client or setting.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountParameter {
    /// The account; the caller's own when it is not given.
    account_id: Option<String>,
}

/// Which tools, and how they are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ToolParameters {
    /// Only tools of these methods: `read`, `write`, `custom`, or exact names, joined by commas or repeated.
    methods: Option<String>,
    /// Only tools with one of these tags, joined by commas or repeated.
    tags: Option<String>,
    /// `false` answers none: what has no description is no tool.
    has_description: Option<bool>,
    /// How they are named; `full` when it is not given.
    #[param(inline)]
    name_style: Option<NameStyleName>,
    /// How their schemas are written; `default` when it is not given.
    #[param(inline)]
    schema_profile: Option<SchemaProfileName>,
}

/// For which client.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClientParameter {
    /// The client: `chatgpt`, `claude`, `claude-desktop`, `cursor` or `vscode`; all of them when it is not given.
    #[param(example = "vscode")]
    client: Option<String>,
}

/// Which calls.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallFilters {
    /// Only calls by this door: `mcp` or `proxy`.
    #[param(example = "mcp")]
    log_type: Option<String>,
    /// Only calls that began after then, such as `2034-11-04T17:00:00Z`.
    #[param(rename = "created_at[gt]", format = DateTime)]
    after: Option<String>,
    /// Only calls that began before then.
    #[param(rename = "created_at[lt]", format = DateTime)]
    before: Option<String>,
    /// Only calls through this MCP server.
    mcp_server_id: Option<String>,
    /// Only calls of this tool.
    tool_name: Option<String>,
    /// Only calls that came to this HTTP status.
    status: Option<i64>,
}

/// With which connected account, and whether in earnest.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProxyParameters {
    /// The connected account with whose credentials the call is made.
    #[param(example = "cac_4f8Q2mXc7ZrT1bVw9KpL")]
    integrated_account_id: String,
    /// `true` answers the request that would be sent, with its credentials masked, and sends nothing.
    dry_run: Option<bool>,
}

/// What a tool is called with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ToolArguments {
    /// Arguments of the tool that go to its path or query, each as a parameter of its own.
    #[param(style = Form, explode)]
    arguments: Option<HashMap<String, String>>,
}

/// What goes on to the upstream.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RestOfQuery {
    /// All other parameters go to the upstream as they are.
    #[param(style = Form, explode)]
    query: Option<HashMap<String, String>>,
}
