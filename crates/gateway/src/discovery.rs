//! Tools that find tools: for servers with more of them than a model chooses from well. What is called
//! through `call_tool` is the same call as without it, with the same filter, rights and log.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use crate::argument::{ArgumentCheck, ArgumentFaults};
use crate::exposure::Exposure;
use crate::failure::Failure;
use crate::looking::Question;
use crate::own_answer::{Answering, OwnAnswer};
use crate::profile::{SchemaProfile, without_placeholders};

/// Finds tools by words.
const SEARCH: &str = "search_tools";
/// Tells what a tool is called with.
const SCHEMA: &str = "get_tool_schema";
/// Calls a tool.
const CALL: &str = "call_tool";

/// Tools in one answer of a search.
const FOUND: u64 = 10;
const MOST_FOUND: u64 = 25;
const LONGEST_QUESTION: usize = 500;

/// One of the tools that find tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finder {
    Search,
    Schema,
    Call,
}

/// What a call through one of these comes to.
pub(crate) enum Meant {
    /// The call of a tool by that name.
    Call(String, Map<String, Value>),
    /// An answer.
    Answer(OwnAnswer),
}

impl Finder {
    const ALL: [Self; 3] = [Self::Search, Self::Schema, Self::Call];

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|finder| finder.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Search => SEARCH,
            Self::Schema => SCHEMA,
            Self::Call => CALL,
        }
    }

    /// Its arguments, which a log may name.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Search => &["query", "limit"],
            Self::Schema => &["name"],
            Self::Call => &["name", "arguments"],
        }
    }

    fn schema(self) -> Value {
        let name = json!({ "type": "string", "description": "The tool's name, as search_tools answers it." });
        let (properties, required) = match self {
            Self::Search => {
                let query = json!({
                    "type": "string", "maxLength": LONGEST_QUESTION,
                    "description": "What the tool should do, in a few words, such as \"revoke api key\".",
                });
                let limit = json!({
                    "type": "integer", "minimum": 1, "maximum": MOST_FOUND,
                    "description": format!("How many tools to answer, {FOUND} if it is left out."),
                });
                (json!({ "query": query, "limit": limit }), vec!["query"])
            }
            Self::Schema => (json!({ "name": name }), vec!["name"]),
            Self::Call => {
                let arguments = json!({
                    "type": "object", "additionalProperties": true,
                    "description": "The tool's arguments, as get_tool_schema describes them.",
                });
                (
                    json!({ "name": name, "arguments": arguments }),
                    vec!["name"],
                )
            }
        };
        json!({ "type": "object", "properties": properties, "required": required })
    }

    fn entry(self, exposure: &Exposure) -> Value {
        let tools = exposure.tools();
        let all = |is: fn(&crate::tool::Annotations) -> bool| {
            tools.iter().all(|tool| is(&tool.annotations))
        };
        let label = exposure.catalogue().label();
        let (title, description) = match self {
            Self::Search => (
                "Search tools",
                format!(
                    "Finds tools for {label} by words in their names, titles, tags and descriptions; {} tools are \
                     there. Answers the best first.",
                    tools.len()
                ),
            ),
            Self::Schema => (
                "Describe a tool",
                "Answers a tool's whole description and the schema of its arguments. Read it before the first \
                 call of a tool."
                    .to_owned(),
            ),
            Self::Call => (
                "Call a tool",
                "Calls a tool by its name with its arguments, and answers what it answers.".to_owned(),
            ),
        };
        let is_call = self == Self::Call;
        json!({
            "name": self.name(),
            "title": title,
            "description": description,
            "inputSchema": exposure.profile().shape(&self.schema()),
            // What may be called tells what a call may do.
            "annotations": {
                "title": title,
                "readOnlyHint": !is_call || all(|tool| tool.read_only_hint),
                "destructiveHint": is_call && !all(|tool| !tool.destructive_hint),
                "idempotentHint": !is_call || all(|tool| tool.idempotent_hint),
                "openWorldHint": is_call && !all(|tool| !tool.open_world_hint),
            },
        })
    }

    /// What a call of it comes to.
    pub(crate) fn read(self, exposure: &Arc<Exposure>, arguments: &Map<String, Value>) -> Meant {
        let answered = |answer: Answering| {
            Meant::Answer(OwnAnswer {
                name: self.name().to_owned(),
                answer,
                arguments: self.arguments(),
                about: None,
            })
        };
        let looked = |question| answered(Answering::Looked(Arc::clone(exposure), question));
        let given = match self.checked(exposure.profile(), arguments) {
            Ok(given) => given,
            Err(failure) => return answered(Answering::Refusal(failure)),
        };
        let text = |member: &str| given[member].as_str().unwrap_or_default();
        match self {
            Self::Search => {
                let limit = given.get("limit").and_then(Value::as_u64).unwrap_or(FOUND);
                looked(Question::Find(text("query").to_owned(), limit))
            }
            Self::Schema => looked(Question::Describe(text("name").to_owned())),
            Self::Call => match given.get("arguments") {
                Some(Value::Object(arguments)) => {
                    Meant::Call(text("name").to_owned(), arguments.clone())
                }
                _ => Meant::Call(text("name").to_owned(), Map::new()),
            },
        }
    }

    fn checked(
        self,
        profile: SchemaProfile,
        arguments: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Box<Failure>> {
        let mut given = arguments.clone();
        if profile == SchemaProfile::OpenaiStrict {
            given = without_placeholders(&self.schema(), given).map_err(refused)?;
        }
        // A null is what was not given.
        given.retain(|_, value| !value.is_null());
        self.check().check(&given).map_err(refused)?;
        Ok(given)
    }

    /// The check of its arguments, made once: what is called is read before it is let in.
    fn check(self) -> &'static ArgumentCheck {
        static CHECKS: LazyLock<[ArgumentCheck; 3]> = LazyLock::new(|| {
            let check = |finder: Finder| ArgumentCheck::new(&finder.schema());
            Finder::ALL.map(|finder| check(finder).expect("these schemas are constant"))
        });
        &CHECKS[self as usize]
    }
}

fn refused(faults: ArgumentFaults) -> Box<Failure> {
    Box::new(faults.into())
}

/// What a server lists: its tools, or in their place those that find them.
pub(crate) fn listed(exposure: &Exposure) -> Vec<Value> {
    if !exposure.is_discovery() {
        return exposure.listed();
    }
    Finder::ALL
        .iter()
        .map(|finder| finder.entry(exposure))
        .collect()
}
