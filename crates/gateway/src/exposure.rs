//! What one server shows of a catalogue: the tools that its filter leaves, under the names and schemas
//! it asked for, and the bytes of `tools/list`, made once for each era.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::catalogue::Catalogue;
use crate::catalogue::filter::{Filter, FilterError};
use crate::nearest::nearest;
use crate::profile::SchemaProfile;
use crate::search::Index;
use crate::tool::Tool;

/// How tools are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum NameStyle {
    /// With verb and prefix: `list_all_the_auth_api_projects`.
    #[default]
    Full,
    /// Resource and method only: `projects_list`.
    Short,
}

impl NameStyle {
    /// Reads a style's name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "short" => Some(Self::Short),
            _ => None,
        }
    }

    /// The style's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
        }
    }
}

/// Whether a server lists its tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ToolExposure {
    /// All that its filter leaves.
    #[default]
    All,
    /// Only the tools that find them, and call them.
    Discovery,
}

impl ToolExposure {
    /// Reads its name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::All),
            "discovery" => Some(Self::Discovery),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Discovery => "discovery",
        }
    }
}

/// What a server shows and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Choices {
    /// Which tools.
    pub filter: Filter,
    /// Under which names.
    pub name_style: NameStyle,
    /// With which schemas.
    pub profile: SchemaProfile,
    /// Whether they are listed.
    pub tool_exposure: ToolExposure,
}

/// What a client tells its model of a server that lists only the tools that find the others.
const FINDING: &str = "Find the tool for a task with `search_tools`, read what it is called with by \
    `get_tool_schema`, and call it through `call_tool`.";

/// The tools of one server.
#[derive(Debug)]
pub struct Exposure {
    catalogue: Arc<Catalogue>,
    choices: Choices,
    tools: Vec<Arc<Tool>>,
    by_name: HashMap<String, usize>,
    index: OnceLock<Index>,
    pub(crate) earlier_list: OnceLock<Bytes>,
    pub(crate) current_list: OnceLock<Bytes>,
}

impl Exposure {
    /// Chooses from a catalogue.
    pub fn new(catalogue: Arc<Catalogue>, choices: Choices) -> Result<Self, FilterError> {
        let tools = choices.filter.select(catalogue.tools())?;
        let by_name = tools
            .iter()
            .enumerate()
            .map(|(index, tool)| (tool.named(choices.name_style).to_owned(), index))
            .collect();
        Ok(Self {
            catalogue,
            choices,
            tools,
            by_name,
            index: OnceLock::new(),
            earlier_list: OnceLock::new(),
            current_list: OnceLock::new(),
        })
    }

    /// What it takes beside its catalogue, about: the texts of its lists, once for each era.
    fn bytes(&self) -> usize {
        let all = self.catalogue.tools().len().max(1);
        self.catalogue.bytes() / 2 * self.tools.len() / all
    }

    /// The catalogue chosen from.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The tools, in their order.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The profile of the schemas.
    pub fn profile(&self) -> SchemaProfile {
        self.choices.profile
    }

    /// Whether tools are found, and not listed.
    pub(crate) fn is_discovery(&self) -> bool {
        self.choices.tool_exposure == ToolExposure::Discovery
    }

    /// The words of the tools.
    pub(crate) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.tools))
    }

    /// The name that a tool is shown under.
    pub(crate) fn name_of<'a>(&self, tool: &'a Tool) -> &'a str {
        tool.named(self.choices.name_style)
    }

    /// The tool of that name.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.by_name.get(name).map(|index| &self.tools[*index])
    }

    /// The exposed name most like one that is not exposed.
    pub fn nearest(&self, wanted: &str) -> Option<&str> {
        nearest(
            wanted,
            self.tools
                .iter()
                .map(|tool| tool.named(self.choices.name_style)),
        )
    }

    /// The tools as the protocol lists them.
    pub fn listed(&self) -> Vec<Value> {
        self.tools.iter().map(|tool| self.entry(tool)).collect()
    }

    /// One tool as the protocol lists it.
    pub(crate) fn entry(&self, tool: &Tool) -> Value {
        let description = if tool.deprecated {
            format!("Deprecated. {}", tool.description)
        } else {
            tool.description.clone()
        };
        json!({
            "name": tool.named(self.choices.name_style),
            "title": tool.annotations.title,
            "description": description,
            "inputSchema": self.choices.profile.shape(&tool.schemas.input),
            "annotations": tool.annotations,
        })
    }

    /// What a client tells its model at the start: what the API is, where ids come from, what time it is.
    pub fn instructions(&self, now: Timestamp) -> String {
        let label = self.catalogue.label();
        let about = self
            .catalogue
            .about()
            .map(|about| format!(" {about}"))
            .unwrap_or_default();
        let finding = if self.is_discovery() {
            format!("{FINDING} ")
        } else {
            String::new()
        };
        format!(
            "Tools for {label}.{about}\n\n{finding}Ids come from the tools that list and from what the tools that create \
             answer; never make one up. A list answers {} items unless `limit` says otherwise; pass `next_cursor` \
             back as received for more. An answer is in `result`. A failed call says in `message` what to change, \
             and in `retry_after_s` how long to wait. The server's time at the start of this conversation: \
             {now}.",
            crate::page::DEFAULT_LIMIT
        )
    }
}

impl Tool {
    /// Its name in that style.
    pub(crate) fn named(&self, style: NameStyle) -> &str {
        match style {
            NameStyle::Full => &self.name,
            NameStyle::Short => &self.short_name,
        }
    }
}

/// How many exposures are kept; past it all are forgotten, since choosing again is cheap.
const KEPT: usize = 1_024;
/// How many bytes they and what they hold may take together, about.
const LARGEST: usize = 256 * 1_024 * 1_024;

/// Exposures by catalogue version and choices, each made once however many servers share it.
#[derive(Debug, Default)]
pub struct Exposures {
    known: Mutex<HashMap<(String, Choices), Arc<Exposure>>>,
}

impl Exposures {
    /// The exposure of these choices, made now if they are new.
    pub fn of(
        &self,
        catalogue: &Arc<Catalogue>,
        choices: &Choices,
    ) -> Result<Arc<Exposure>, FilterError> {
        let key = (catalogue.version().to_owned(), choices.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exposure) = known.get(&key) {
            return Ok(Arc::clone(exposure));
        }
        let exposure = Arc::new(Exposure::new(Arc::clone(catalogue), choices.clone())?);
        if known.len() >= KEPT || weight(known.values()) + exposure.bytes() > LARGEST {
            known.clear();
        }
        known.insert(key, Arc::clone(&exposure));
        Ok(exposure)
    }
}

/// What exposures take, with each catalogue that they hold once.
fn weight<'a>(exposures: impl Iterator<Item = &'a Arc<Exposure>>) -> usize {
    let mut counted = HashSet::new();
    exposures
        .map(|exposure| {
            let is_new = counted.insert(Arc::as_ptr(&exposure.catalogue));
            let catalogue = exposure.catalogue.bytes();
            exposure.bytes() + if is_new { catalogue } else { 0 }
        })
        .sum()
}
