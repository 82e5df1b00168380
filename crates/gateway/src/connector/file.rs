//! The members of a connector file, as they are written. Unknown ones are refused, so that a misspelt
//! member is a fault and not a silent default.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{MessageFormatter, Options, Spanned, UserMessageFormatter};

use super::fault::{Fault, Faults};
use claviger_domain::plain_text;

/// A text with its place in the file.
pub type Placed = Spanned<String>;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorFile {
    /// The connector's name in URLs.
    pub slug: Placed,
    /// The product's name for people.
    pub label: String,
    /// What kind of product it is.
    #[serde(default)]
    pub category: Option<String>,
    /// What stands between a tool name's verb and its resource.
    pub tool_prefix: Placed,
    /// Where the OpenAPI document is: `builtin:auth-api`, or a path.
    pub openapi: String,
    /// Where calls go; `local` is The Auth API of this instance.
    pub base_url: String,
    /// How lists are paged, unless a method says otherwise.
    #[serde(default)]
    pub pagination: PaginationEntry,
    /// Which headers tell of a rate limit.
    #[serde(default)]
    pub rate_limit: RateLimitEntry,
    /// Resources by name.
    pub resources: IndexMap<String, ResourceEntry>,
}

/// One resource.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodEntry {
    /// The operation by its `operationId`.
    #[serde(default)]
    pub operation: Option<Placed>,
    /// The operation by verb and path; parameters are matched by place, and named as written here.
    #[serde(default)]
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
    /// Arguments that are required although the operation does not ask for them.
    #[serde(default)]
    pub required: Vec<String>,
    /// Members of the answer that hold a secret.
    #[serde(default)]
    pub secret_fields: Vec<String>,
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
#[derive(Debug, Clone, Default, Deserialize)]
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

/// How a list is paged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "style", rename_all = "snake_case", deny_unknown_fields)]
pub enum PaginationEntry {
    /// The upstream answers all at once; pages are cut here.
    #[default]
    None,
    /// A number of items to skip and a number to answer.
    Offset {
        /// The query parameter for how many to answer.
        limit: String,
        /// The query parameter for how many to skip.
        offset: String,
        /// The response header that counts all there are.
        #[serde(default)]
        total_header: Option<String>,
    },
}

/// The names of the rate-limit headers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitEntry {
    /// Requests allowed in a window.
    #[serde(default)]
    pub limit: Option<String>,
    /// Requests left.
    #[serde(default)]
    pub remaining: Option<String>,
    /// When the window ends.
    #[serde(default)]
    pub reset: Option<String>,
    /// How `reset` is written.
    #[serde(default)]
    pub reset_format: ResetFormat,
    /// Seconds to wait, or a date.
    #[serde(default)]
    pub retry_after: Option<String>,
}

/// How the end of a window is written in a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetFormat {
    /// Seconds from now.
    #[default]
    Seconds,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// An ISO-8601 instant.
    Iso,
}

/// Hints about a tool that replace the derived ones.
#[derive(Debug, Clone, Default, Deserialize)]
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
        serde_saphyr::from_str_with_options(text, reading_options()).map_err(|error| {
            let error = error.without_snippet();
            let place = error.location();
            let message = plain_text::clean(&UserMessageFormatter.format_message(error));
            Faults(vec![Fault::perhaps_at(place.as_ref(), message)])
        })
    }
}

/// Aliases are refused: nobody needs them in such a file, and they are how a small one becomes large.
fn reading_options() -> Options {
    let mut options = Options::default();
    options.alias_limits.max_total_replayed_events = 0;
    options.with_snippet = false;
    options
}
