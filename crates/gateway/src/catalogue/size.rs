//! What a tool takes in memory, about: enough to bound what is kept.

use serde_json::Value;

use crate::request::Plan;
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
    let schemas = 2 * input + of_value(&schemas.query) + others;
    size_of::<Tool>() + tool.description.len() + schemas + of_plan(&tool.plan)
}

/// What a plan has beside the arguments, which are about as large as their names in the schemas.
fn of_plan(plan: &Plan) -> usize {
    let styles = plan.form.iter().flatten().map(|(name, _)| name.len());
    let fixed = plan.fixed_query.iter();
    let fixed = fixed.map(|(name, value)| name.len() + value.len());
    let reserved = plan.reserved.iter().map(String::len);
    let names = styles.chain(fixed).chain(reserved);
    let body: usize = plan.fixed_body.iter().map(of_member).sum();
    body + names.map(|bytes| MEMBER + bytes).sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(of_value).sum(),
        Value::Object(members) => members.iter().map(of_member).sum(),
        _ => 0,
    };
    size_of::<Value>() + inside
}

fn of_member((name, member): (&String, &Value)) -> usize {
    MEMBER + name.len() + of_value(member)
}
