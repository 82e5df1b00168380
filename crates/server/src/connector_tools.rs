//! `claviger connector tools`: which tools a connector yields, for whoever writes one.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use claviger_gateway::gateway::BUILT_IN;
use claviger_gateway::openapi::Document;
use claviger_gateway::profile::SchemaProfile;
use claviger_gateway::{Catalogue, Connector, Tool};
use serde_json::{Value, json};

/// What stands for the document of this program's own API.
const BUILT_IN_DOCUMENT: &str = "builtin:auth-api";

/// The tools of the connector in `file`, or of the built-in one.
pub(crate) fn catalogue(file: Option<&Path>) -> Result<Catalogue> {
    let (text, shown) = match file {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            (text, path.display().to_string())
        }
        None => (BUILT_IN.to_owned(), "the built-in connector".to_owned()),
    };
    let connector = Connector::parse(&text).context(shown.clone())?;
    let document = document(&connector, file).context(shown.clone())?;
    Catalogue::compile(&connector, &document).context(shown)
}

/// The connector's OpenAPI document; a path is read as seen from the connector's own file.
fn document(connector: &Connector, file: Option<&Path>) -> Result<Document> {
    let place = &connector.file().openapi;
    let bytes = if place == BUILT_IN_DOCUMENT {
        claviger_api::document().to_string().into_bytes()
    } else if place.contains("://") {
        bail!("openapi is {place}, and documents are read from files: download it beside this one");
    } else {
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        let path = folder.join(place);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?
    };
    Ok(Document::parse(&bytes)?)
}

/// The tools for people: a line each, then what is none and why.
pub(crate) fn as_text(catalogue: &Catalogue) -> String {
    let tools = catalogue.tools();
    let count = match tools.len() {
        1 => "1 tool".to_owned(),
        many => format!("{many} tools"),
    };
    let mut text = format!("{}: {count}\n\n", catalogue.label());
    let width = tools.iter().map(|tool| tool.name.len()).max().unwrap_or(0);
    for tool in tools {
        let effect = if tool.read_only { "read " } else { "write" };
        let required = tool.required.join(", ");
        let line = format!("{:width$}  {effect}  {required}", tool.name);
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

/// The tools for programs.
pub(crate) fn as_json(catalogue: &Catalogue) -> Value {
    let left_out = catalogue.left_out().iter();
    let left_out: Vec<_> = left_out
        .map(|one| json!({"operation": one.operation, "reason": one.reason}))
        .collect();
    let tools: Vec<_> = catalogue.tools().iter().map(|tool| show(tool)).collect();
    json!({"connector": catalogue.slug(), "tools": tools, "left_out": left_out})
}

fn show(tool: &Tool) -> Value {
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
        "input_schema": SchemaProfile::default().shape(&tool.schemas.input),
    })
}
