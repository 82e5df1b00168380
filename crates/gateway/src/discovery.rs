//! Tools that find tools: for servers with more of them than a model chooses from well. What is called
//! through `call_tool` is the same call as without it, with the same filter, rights and log.

use std::sync::Arc;

use claviger_domain::plain_text;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::argument::{ArgumentCheck, ArgumentFaults};
use crate::exposure::Exposure;
use crate::failure::Failure;
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
/// How much of a description a search shows.
const SHOWN: usize = 240;
/// Tags that a search which finds nothing names.
const TAGS_TOLD: usize = 40;
const LONGEST_QUESTION: usize = 500;

/// One of the tools that find tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finder {
    Search,
    Schema,
    Call,
}

/// What is looked for among the tools of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// Tools by words, and so many of them.
    Find(String, u64),
    /// The tool of that name, to be described.
    Describe(String),
    /// The tool that a name which no tool has is most like.
    Nearest(String),
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
        let schema = self.schema();
        let mut given = arguments.clone();
        if profile == SchemaProfile::OpenaiStrict {
            given = without_placeholders(&schema, given).map_err(refused)?;
        }
        // A null is what was not given.
        given.retain(|_, value| !value.is_null());
        let check = ArgumentCheck::new(&schema).expect("these schemas are constant");
        check.check(&given).map_err(refused)?;
        Ok(given)
    }
}

impl Question {
    pub(crate) fn answer(&self, exposure: &Exposure) -> Result<Map<String, Value>, Box<Failure>> {
        match self {
            Self::Find(words, limit) => Ok(found(exposure, words, *limit)),
            Self::Describe(name) => described(exposure, name),
            Self::Nearest(name) => Err(unknown_tool(exposure, name)),
        }
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

/// How to find the tool that somebody calls by its own name, or that is not there.
const HINT: &str = "find a tool with `search_tools` and call it through `call_tool`";

fn found(exposure: &Exposure, question: &str, limit: u64) -> Map<String, Value> {
    let tools = exposure.tools();
    let places = exposure.index().find(question);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown = places.iter().take(most).map(|place| {
        let tool = &tools[*place];
        json!({
            "name": exposure.name_of(tool),
            "title": tool.annotations.title,
            "description": cut(&tool.description),
            "tags": tool.tags,
            "required": tool.required,
            "read_only": tool.read_only,
        })
    });
    let shown: Vec<Value> = shown.collect();
    let mut answer = Map::new();
    answer.insert("result_count".to_owned(), shown.len().into());
    answer.insert("matched".to_owned(), places.len().into());
    if shown.is_empty() {
        let mut tags: Vec<&str> = tools
            .iter()
            .flat_map(|tool| &tool.tags)
            .map(String::as_str)
            .collect();
        tags.sort_unstable();
        tags.dedup();
        tags.truncate(TAGS_TOLD);
        answer.insert("known_tags".to_owned(), json!(tags));
    }
    answer.insert("result".to_owned(), Value::Array(shown));
    answer
}

fn described(exposure: &Exposure, name: &str) -> Result<Map<String, Value>, Box<Failure>> {
    let Some(tool) = exposure.tool(name) else {
        return Err(no_such_tool(exposure, name));
    };
    let mut answer = Map::new();
    answer.insert("result".to_owned(), exposure.entry(tool));
    Ok(answer)
}

/// Clients read a protocol error, models read a result: so a wrong name is told as a result.
fn unknown_tool(exposure: &Exposure, name: &str) -> Box<Failure> {
    let near = match exposure.nearest(name) {
        Some(near) if exposure.is_discovery() => format!("the nearest is `{near}`; {HINT}"),
        Some(near) => format!("did you mean `{near}`?"),
        None if exposure.is_discovery() => HINT.to_owned(),
        None => "ask `tools/list` for the tools there are".to_owned(),
    };
    is_not_there(name, &near)
}

fn no_such_tool(exposure: &Exposure, name: &str) -> Box<Failure> {
    let near = exposure
        .nearest(name)
        .map(|near| format!("did you mean `{near}`?"));
    let near = near.unwrap_or_else(|| "find one with `search_tools`".to_owned());
    is_not_there(name, &near)
}

/// A name as it may be shown.
pub(crate) fn shown(name: &str) -> String {
    plain_text::clean(name).chars().take(100).collect()
}

fn is_not_there(name: &str, near: &str) -> Box<Failure> {
    let message = format!("there is no tool `{}`; {near}", shown(name));
    let failure = Failure::refused(StatusCode::NOT_FOUND, "unknown_tool", message);
    Box::new(failure)
}

/// The beginning of a text, to a whole word.
fn cut(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(SHOWN) else {
        return text.to_owned();
    };
    let begun = &text[..end];
    let whole = begun
        .rfind(char::is_whitespace)
        .map_or(begun, |space| &begun[..space]);
    format!("{} …", whole.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_description_ends_with_a_whole_word() {
        assert_eq!(cut("short"), "short");
        let long = "wörd ".repeat(100);
        let told = cut(&long);
        assert!(
            told.ends_with("wörd …") && told.chars().count() <= SHOWN + 2,
            "{told}"
        );
    }
}
