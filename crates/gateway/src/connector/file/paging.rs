//! How an upstream's lists are paged, and how it tells of its rate limit.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::connector::value_path::ValuePath;

/// How a list is paged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
    /// The number of a page.
    Page {
        /// The query parameter for how many a page has, where there is one.
        #[serde(default)]
        limit: Option<String>,
        /// The query parameter for the page's number.
        page: String,
        /// The number of the first page.
        #[serde(default = "one")]
        first: u64,
        /// The response header that counts all there are.
        #[serde(default)]
        total_header: Option<String>,
    },
    /// A text from one answer that asks for the next.
    Cursor {
        /// The query parameter for how many to answer, where there is one.
        #[serde(default)]
        limit: Option<String>,
        /// The query parameter for the cursor.
        cursor: String,
        /// Where in an answer the cursor of the next page is; absent, null or empty: there is none.
        #[schemars(with = "String")]
        next: ValuePath,
    },
    /// A `Link` header whose `rel="next"` is the next page's URL.
    LinkHeader {
        /// The query parameter for how many to answer, where there is one.
        #[serde(default)]
        limit: Option<String>,
    },
    /// A `Range` header, answered by a `Content-Range`.
    Range {
        /// The unit that ranges are of.
        #[serde(default = "items")]
        unit: String,
    },
}

fn one() -> u64 {
    1
}

fn items() -> String {
    "items".to_owned()
}

impl PaginationEntry {
    /// The query parameters that say which page is asked for; no tool has them as arguments.
    pub(crate) fn parameters(&self) -> Vec<&str> {
        match self {
            Self::None | Self::Range { .. } => Vec::new(),
            Self::Offset { limit, offset, .. } => vec![limit, offset],
            Self::Page { limit, page, .. } => {
                limit.iter().chain([page]).map(String::as_str).collect()
            }
            Self::Cursor { limit, cursor, .. } => {
                limit.iter().chain([cursor]).map(String::as_str).collect()
            }
            Self::LinkHeader { limit } => limit.iter().map(String::as_str).collect(),
        }
    }
}

/// The names of the rate-limit headers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
