//! What a tool takes in memory, about: enough to bound what is kept.

use serde_json::Value;

use crate::tool::Tool;

/// What a member takes beside its name and value: the texts' and maps' own fields, hashes and slack.
const MEMBER: usize = 64;

/// The bytes of a tool.
pub(super) fn of_tool(tool: &Tool) -> usize {
    let schemas = &tool.schemas;
    let input = of_value(&schemas.input);
    let others = [&schemas.response, &schemas.body].into_iter().flatten();
    let others: usize = others.map(of_value).sum();
    // The check of arguments is made of the input schema, and takes about as much again.
    size_of::<Tool>() + tool.description.len() + 2 * input + of_value(&schemas.query) + others
}

fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(of_value).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| MEMBER + name.len() + of_value(member))
            .sum(),
        _ => 0,
    };
    size_of::<Value>() + inside
}
