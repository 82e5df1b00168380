//! The members of a connector file, as they are written. Unknown ones are refused, so that a misspelt
//! member is a fault and not a silent default.

mod access;
mod paging;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use super::fault::{Fault, Faults};
use crate::openapi::yaml_options;
use claviger_domain::plain_text;

pub use access::{
    AuthorizationEntry, BasicEntry, ClientAuthentication, ErrorsEntry, FailureEntry, FieldEntry,
    FieldKind, Format, FormatEntry, PlacedValueEntry,
};
pub use paging::{PaginationEntry, RateLimitEntry, ResetFormat};

/// A text with its place in the file.
pub type Placed = Spanned<String>;

/// The whole file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorFile {
    /// The connector's name in URLs.
    #[schemars(with = "String")]
    pub slug: Placed,
    /// The product's name for people.
    pub label: String,
    /// What kind of product it is.
    #[serde(default)]
    pub category: Option<String>,
    /// What stands between a tool name's verb and its resource.
    #[schemars(with = "String")]
    pub tool_prefix: Placed,
    /// Where the OpenAPI document is: `builtin:auth-api`, or a path.
    pub openapi: String,
    /// Where calls go, with templates over `context`; `local` is The Auth API of this instance.
    #[schemars(with = "String")]
    pub base_url: Placed,
    /// What is asked for when connecting that is no secret, such as a subdomain.
    #[serde(default)]
    pub context: Vec<FieldEntry>,
    /// In which forms a connected account may have its credentials, and what each asks for.
    #[serde(default)]
    pub credentials: IndexMap<Format, FormatEntry>,
    /// Where the credential goes, unless a format says otherwise.
    #[serde(default)]
    pub authorization: Option<AuthorizationEntry>,
    /// Headers that are sent with every call, as templates.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>")]
    pub headers: IndexMap<String, Placed>,
    /// Parameters that are sent with every call, as templates.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>")]
    pub query: IndexMap<String, Placed>,
    /// How lists are paged, unless a method says otherwise.
    #[serde(default)]
    pub pagination: PaginationEntry,
    /// Which headers tell of a rate limit.
    #[serde(default)]
    pub rate_limit: RateLimitEntry,
    /// How the upstream tells what is wrong.
    #[serde(default)]
    pub errors: ErrorsEntry,
    /// Resources by name; without any, they are derived from the document's paths and verbs.
    #[serde(default)]
    pub resources: IndexMap<String, ResourceEntry>,
}

/// One resource.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceEntry {
    /// The name of one of it, for the tools that act on one; the resource's own name by default.
    #[serde(default)]
    pub singular: Option<String>,
    /// Tags of all its tools, in place of the document's.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Methods by name.
    pub methods: IndexMap<String, MethodEntry>,
}

/// One method: an operation of the document, and what the document cannot know of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodEntry {
    /// The operation by its `operationId`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub operation: Option<Placed>,
    /// The operation by verb and path; parameters are matched by place, and named as written here.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub http: Option<Placed>,
    /// In place of the operation's description.
    #[serde(default)]
    pub description: Option<String>,
    /// In place of the resource's tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Changes to path and query arguments, by argument.
    #[serde(default)]
    pub query: IndexMap<String, PropertyEntry>,
    /// Changes to body arguments, by argument.
    #[serde(default)]
    pub body: IndexMap<String, PropertyEntry>,
    /// Where in the answer the result is, as names joined by dots; the whole answer by default.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub response_path: Option<Placed>,
    /// The members that the result keeps, each with where it is in what was answered; all by default.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>")]
    pub map: IndexMap<String, Placed>,
    /// Arguments that are required although the operation does not ask for them.
    #[serde(default)]
    pub required: Vec<String>,
    /// Members of the answer that hold a secret.
    #[serde(default)]
    pub secret_fields: Vec<String>,
    /// Members of the answer that hold a secret which no model sees, whatever its server says: sealed
    /// through MCP, masked elsewhere.
    #[serde(default)]
    pub sealed_fields: Vec<String>,
    /// Members of the answer that hold a secret which is nobody's but the person's who sent it: masked.
    #[serde(default)]
    pub masked_fields: Vec<String>,
    /// Arguments in which a sealed handle may be opened.
    #[serde(default)]
    pub accepts_sealed: Vec<String>,
    /// Whether the operation is without effect; by default what its verb says.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// Arguments that are always sent, and that no caller can give.
    #[serde(default)]
    pub fixed: IndexMap<String, Value>,
    /// In place of the connector's pagination.
    #[serde(default)]
    pub pagination: Option<PaginationEntry>,
    /// In place of the derived hints.
    #[serde(default)]
    pub annotations: AnnotationsEntry,
    /// Whether the method is on its way out; by default what the document says.
    #[serde(default)]
    pub deprecated: Option<bool>,
}

/// Changes to one argument.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PropertyEntry {
    /// In place of the document's description.
    #[serde(default)]
    pub description: Option<String>,
    /// The values that a vaguely described text can have.
    #[serde(default)]
    pub values: Vec<String>,
    /// Leaves the argument out of the tool.
    #[serde(default)]
    pub hidden: bool,
}

/// Hints about a tool that replace the derived ones.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnotationsEntry {
    /// A title for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether it may end or change what is there.
    #[serde(default)]
    pub destructive: Option<bool>,
    /// Whether doing it twice is as doing it once.
    #[serde(default)]
    pub idempotent: Option<bool>,
    /// Whether it reaches beyond the product itself.
    #[serde(default)]
    pub open_world: Option<bool>,
}

impl ConnectorFile {
    pub(super) fn parse(text: &str) -> Result<Self, Faults> {
        // Aliases are refused: nobody needs them in such a file, and they are how a small one becomes large.
        serde_saphyr::from_str_with_options(text, yaml_options(false)).map_err(|error| {
            let error = error.without_snippet();
            let place = error.location();
            let message = plain_text::clean(&UserMessageFormatter.format_message(error));
            Faults(vec![Fault::perhaps_at(place.as_ref(), message)])
        })
    }
}
