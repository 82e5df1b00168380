//! What there is among the tools of a server: looked for by words, by name, or as what is most like a name.

use claviger_domain::plain_text;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::exposure::Exposure;
use crate::failure::Failure;

/// How much of a description a search shows.
const SHOWN: usize = 240;
/// Tags that a search which finds nothing names.
const TAGS_TOLD: usize = 40;
/// How to find the tool that somebody calls by its own name, or that is not there.
const HINT: &str = "find a tool with `search_tools` and call it through `call_tool`";

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

impl Question {
    pub(crate) fn answer(&self, exposure: &Exposure) -> Result<Map<String, Value>, Box<Failure>> {
        match self {
            Self::Find(words, limit) => Ok(found(exposure, words, *limit)),
            Self::Describe(name) => described(exposure, name),
            Self::Nearest(name) => Err(unknown_tool(exposure, name)),
        }
    }
}

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
