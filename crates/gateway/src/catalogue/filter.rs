//! Which tools a server shows: by method, by tag. A filter that says something unknown, or that leaves
//! nothing, is an error and not an empty server.

use std::sync::Arc;

use crate::nearest::{listed, nearest};
use crate::tool::Tool;

/// What a server is limited to; an absent list does not limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Groups of methods, or methods by name. One that fits is enough.
    pub(crate) methods: Option<Vec<String>>,
    /// Tags. One that fits is enough.
    pub(crate) tags: Option<Vec<String>>,
}

/// How many values a list may have.
const LONGEST: usize = 100;

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A list that is there and empty.
    #[error("`{0}` is an empty list; leave it out to allow all")]
    Empty(&'static str),
    /// A list that is longer than any choice of tools.
    #[error("`{0}` has more than {LONGEST} values")]
    TooLong(&'static str),
    /// A value that no tool has.
    #[error(
        "`{member}` has the unknown value `{value}`{}; known are {known}",
        .near.as_ref().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
    )]
    Unknown {
        /// `methods` or `tags`.
        member: &'static str,
        /// The value.
        value: String,
        /// The known value most like it.
        near: Option<String>,
        /// The known values.
        known: String,
    },
    /// Known values that fit no tool together.
    #[error(
        "no tool is left: none has one of the `methods` {methods} and one of the `tags` {tags}"
    )]
    NothingLeft {
        /// The methods asked for.
        methods: String,
        /// The tags asked for.
        tags: String,
    },
}

/// What a value of `methods` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    Read,
    Write,
    Custom,
    /// Methods get and list, as the upper-case `GET` of a client that thinks in verbs.
    GetVerb,
    Named(String),
}

const GROUPS: [&str; 3] = ["read", "write", "custom"];
const STANDARD: [&str; 5] = ["list", "get", "create", "update", "delete"];

impl Filter {
    /// Takes the lists, each value once and in one order, so that equal filters are the same.
    pub fn new(
        methods: Option<Vec<String>>,
        tags: Option<Vec<String>>,
    ) -> Result<Self, FilterError> {
        Ok(Self {
            methods: ordered("methods", methods)?,
            tags: ordered("tags", tags)?,
        })
    }

    /// The tools that fit, in their order.
    pub fn select(&self, tools: &[Arc<Tool>]) -> Result<Vec<Arc<Tool>>, FilterError> {
        let methods = self
            .methods
            .as_deref()
            .map(|values| choices(values, tools))
            .transpose()?;
        if let Some(tags) = &self.tags {
            check_tags(tags, tools)?;
        }
        let fits = |tool: &&Arc<Tool>| {
            let by_method = methods
                .as_ref()
                .is_none_or(|choices| choices.iter().any(|one| one.covers(tool)));
            let by_tag = self
                .tags
                .as_ref()
                .is_none_or(|tags| tags.iter().any(|tag| tool.tags.contains(tag)));
            by_method && by_tag
        };
        let left: Vec<_> = tools.iter().filter(fits).cloned().collect();
        if left.is_empty() {
            return Err(FilterError::NothingLeft {
                methods: shown(self.methods.as_ref()),
                tags: shown(self.tags.as_ref()),
            });
        }
        Ok(left)
    }
}

fn ordered(
    member: &'static str,
    values: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, FilterError> {
    let Some(mut values) = values else {
        return Ok(None);
    };
    if values.len() > LONGEST {
        return Err(FilterError::TooLong(member));
    }
    values.sort_unstable();
    values.dedup();
    Ok(Some(values))
}

fn shown(values: Option<&Vec<String>>) -> String {
    values.map_or_else(
        || "(all)".to_owned(),
        |values| listed(values.iter().map(String::as_str)),
    )
}

impl Choice {
    /// An operation with effects is never read, whatever its method is called; what is neither read nor
    /// write is custom.
    fn covers(&self, tool: &Tool) -> bool {
        let method = tool.method.as_str();
        let writes = matches!(method, "create" | "update" | "delete");
        let reads = tool.read_only && !writes;
        match self {
            Self::Read => reads,
            Self::Write => writes,
            Self::Custom => !reads && !writes,
            Self::GetVerb => reads && matches!(method, "get" | "list"),
            Self::Named(name) => method == name,
        }
    }
}

fn choices(values: &[String], tools: &[Arc<Tool>]) -> Result<Vec<Choice>, FilterError> {
    if values.is_empty() {
        return Err(FilterError::Empty("methods"));
    }
    values.iter().map(|value| choice(value, tools)).collect()
}

fn choice(value: &str, tools: &[Arc<Tool>]) -> Result<Choice, FilterError> {
    let is_method =
        |name: &str| STANDARD.contains(&name) || tools.iter().any(|tool| tool.method == name);
    let read = |name: &str| match name {
        "read" => Some(Choice::Read),
        "write" => Some(Choice::Write),
        "custom" => Some(Choice::Custom),
        name if is_method(name) => Some(Choice::Named(name.to_owned())),
        _ => None,
    };
    let is_upper_case =
        value.chars().any(char::is_uppercase) && !value.chars().any(char::is_lowercase);
    // Published documentation writes verbs and groups in capitals: `["GET", "POST", "READ"]`.
    let found = read(value).or_else(|| match value {
        "GET" => Some(Choice::GetVerb),
        "POST" => Some(Choice::Named("create".to_owned())),
        "PUT" | "PATCH" => Some(Choice::Named("update".to_owned())),
        _ if is_upper_case => read(&value.to_lowercase()),
        _ => None,
    });
    found.ok_or_else(|| {
        let mut known: Vec<&str> = GROUPS.into_iter().chain(STANDARD).collect();
        for tool in tools {
            if !known.contains(&tool.method.as_str()) {
                known.push(&tool.method);
            }
        }
        unknown("methods", value, &known)
    })
}

fn check_tags(tags: &[String], tools: &[Arc<Tool>]) -> Result<(), FilterError> {
    if tags.is_empty() {
        return Err(FilterError::Empty("tags"));
    }
    let mut known: Vec<&str> = Vec::new();
    for tag in tools.iter().flat_map(|tool| &tool.tags) {
        if !known.contains(&tag.as_str()) {
            known.push(tag);
        }
    }
    match tags.iter().find(|tag| !known.contains(&tag.as_str())) {
        Some(tag) => Err(unknown("tags", tag, &known)),
        None => Ok(()),
    }
}

fn unknown(member: &'static str, value: &str, known: &[&str]) -> FilterError {
    FilterError::Unknown {
        member,
        value: claviger_domain::plain_text::clean(value)
            .chars()
            .take(64)
            .collect(),
        near: nearest(value, known.iter().copied()).map(str::to_owned),
        known: listed(known.iter().copied()),
    }
}
