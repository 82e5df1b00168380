//! Bodies about MCP servers.

use utoipa::ToSchema;

/// An MCP server to be made.
#[derive(ToSchema)]
pub(crate) struct NewMcpServer {
    /// Its name: 1 to 255 characters; the connector's label when it is not given.
    #[schema(example = "Support agent")]
    name: Option<String>,
    /// What it shows and how; all tools when it is not given.
    config: Option<McpServerConfigInput>,
    /// When it ends: at least 60 seconds ahead, and not later than the access key that makes it, which ends it when
    /// this is not given.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What of an MCP server can be changed.
#[derive(ToSchema)]
pub(crate) struct McpServerChange {
    /// Its name: 1 to 255 characters.
    #[schema(example = "Support agent")]
    name: Option<String>,
    /// What it shows and how: the members that are to be otherwise; null takes one out.
    config: Option<McpServerConfigInput>,
    /// When it ends: at least 60 seconds ahead; null: with the access key that makes this change, if that ends.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What an MCP server is to show and how.
#[derive(ToSchema)]
struct McpServerConfigInput {
    /// Only tools of these methods: `read`, `write`, `custom`, or exact names; all when it is not given.
    #[schema(example = json!(["read"]))]
    methods: Option<Vec<String>>,
    /// Only tools with one of these tags; all when it is not given.
    #[schema(example = json!(["projects"]))]
    tags: Option<Vec<String>>,
    /// Whether the URL alone does not suffice: an access key with `mcp:use` goes beside it.
    require_api_token_auth: Option<bool>,
    /// Whether tools are listed, or found by a few tools that list, describe and call them; `all` when it is not given.
    tool_exposure: Option<ToolExposureName>,
    /// How tools are named; `full` when it is not given.
    name_style: Option<NameStyleName>,
    /// How schemas are written; `default` when it is not given.
    schema_profile: Option<SchemaProfileName>,
    /// Whether secrets leave results as they are, or sealed; `reveal` when it is not given.
    secrets: Option<SecretsName>,
    /// Calls that may be begun in a minute.
    #[schema(minimum = 1, maximum = 10_000_000)]
    calls_per_minute: Option<u32>,
    /// Calls that may be under way at once.
    #[schema(minimum = 1, maximum = 10_000)]
    calls_in_flight: Option<u32>,
    /// KiB of a result, at most.
    #[schema(minimum = 4, maximum = 8_192)]
    result_kib: Option<u32>,
}

/// What an MCP server shows and how.
#[derive(ToSchema)]
pub(crate) struct McpServerConfig {
    /// Only tools of these methods; not there: all.
    #[schema(required = false, example = json!(["read"]))]
    methods: Vec<String>,
    /// Only tools with one of these tags; not there: all.
    #[schema(required = false, example = json!(["projects"]))]
    tags: Vec<String>,
    /// Whether the URL alone does not suffice: an access key with `mcp:use` goes beside it.
    require_api_token_auth: bool,
    /// How tools are named.
    name_style: NameStyleName,
    /// How schemas are written.
    schema_profile: SchemaProfileName,
    /// Whether tools are listed, or found.
    tool_exposure: ToolExposureName,
    /// Whether secrets leave results as they are, or sealed.
    secrets: SecretsName,
    /// Calls that may be begun in a minute.
    calls_per_minute: u32,
    /// Calls that may be under way at once.
    calls_in_flight: u32,
    /// KiB of a result, at most.
    result_kib: u32,
}

/// Whether a server lists its tools.
#[derive(ToSchema)]
#[schema(as = ToolExposure, rename_all = "snake_case")]
enum ToolExposureName {
    /// All that its filter leaves.
    All,
    /// Only the tools that find them, and call them.
    Discovery,
}

/// How tools are named.
#[derive(ToSchema)]
#[schema(as = NameStyle, rename_all = "snake_case")]
pub(crate) enum NameStyleName {
    /// With verb and prefix: `list_all_the_auth_api_projects`.
    Full,
    /// Resource and method only: `projects_list`.
    Short,
}

/// How schemas are written.
#[derive(ToSchema)]
#[schema(as = SchemaProfile, rename_all = "snake_case")]
pub(crate) enum SchemaProfileName {
    /// As the strictest client accepts them.
    Default,
    /// With every property required, and null for none.
    OpenaiStrict,
}

/// How secrets leave results.
#[derive(ToSchema)]
#[schema(as = SecretsForm, rename_all = "snake_case")]
enum SecretsName {
    /// As they are.
    Reveal,
    /// As handles that a person opens.
    Seal,
}
