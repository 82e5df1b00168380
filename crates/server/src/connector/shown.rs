//! Tools and faults as the program prints them.

use std::fmt::Write;

use claviger_gateway::connector::Fault;
use claviger_gateway::profile::SchemaProfile;
use claviger_gateway::{Catalogue, Tool};
use serde_json::{Value, json};

/// How many tools there are, and how many operations are none.
pub(super) fn summary(catalogue: &Catalogue) -> String {
    let tools = match catalogue.tools().len() {
        1 => "1 tool".to_owned(),
        many => format!("{many} tools"),
    };
    match catalogue.left_out().len() {
        0 => tools,
        1 => format!("{tools}, 1 operation left out"),
        many => format!("{tools}, {many} operations left out"),
    }
}

/// What follows a file's name: the place, where there is one, and what is wrong.
pub(super) fn fault(fault: &Fault) -> String {
    match (fault.line, fault.column) {
        (Some(line), Some(column)) => format!(":{line}:{column}: {}", fault.message),
        _ => format!(": {}", fault.message),
    }
}

/// The tools for people: a line each, then what is none and why.
pub(super) fn as_text(catalogue: &Catalogue) -> String {
    let tools = catalogue.tools();
    let count = match tools.len() {
        1 => "1 tool".to_owned(),
        many => format!("{many} tools"),
    };
    let mut text = format!("{}: {count}\n\n", catalogue.label());
    let heading = ["TOOL", "EFFECT", "TAGS", "NEEDS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heading)
        .chain(tools.iter().map(|tool| row(tool)))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (of_names, of_tags) = (width(0), width(2));
    for [name, effect, tags, needs] in &rows {
        let line = format!("{name:of_names$}  {effect:6}  {tags:of_tags$}  {needs}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a string cannot fail");
    }
    if !catalogue.left_out().is_empty() {
        text.push_str("\nNo tools:\n\n");
    }
    for left_out in catalogue.left_out() {
        writeln!(text, "{}: {}", left_out.operation, left_out.reason)
            .expect("writing to a string cannot fail");
    }
    text
}

fn row(tool: &Tool) -> [String; 4] {
    let effect = if tool.read_only { "read" } else { "write" };
    [
        tool.name.clone(),
        effect.to_owned(),
        tool.tags.join(", "),
        tool.required.join(", "),
    ]
}

/// The tools for programs.
pub(super) fn as_json(catalogue: &Catalogue, profile: SchemaProfile) -> Value {
    let left_out = catalogue.left_out().iter();
    let left_out: Vec<_> = left_out
        .map(|one| json!({"operation": one.operation, "reason": one.reason}))
        .collect();
    let tools: Vec<_> = catalogue
        .tools()
        .iter()
        .map(|tool| show(tool, profile))
        .collect();
    json!({"connector": catalogue.slug(), "tools": tools, "left_out": left_out})
}

fn show(tool: &Tool, profile: SchemaProfile) -> Value {
    json!({
        "name": tool.name,
        "resource": tool.resource,
        "method": tool.method,
        "description": tool.description,
        "tags": tool.tags,
        "read_only": tool.read_only,
        "required": tool.required,
        "secret_fields": tool.secret_fields,
        "annotations": tool.annotations,
        "input_schema": profile.shape(&tool.schemas.input),
    })
}
