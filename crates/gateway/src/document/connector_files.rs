//! The published schema of connector files, as bodies have it.

use serde_json::{Value, json};

use super::reference_to;
use crate::connector::schema;

/// Puts the published schema of connector files in its place, each of its parts under a name of its own.
pub(super) fn add(schemas: &mut Value) {
    let Value::Object(mut file) = schema() else {
        unreachable!("the schema of a file is an object")
    };
    file.shift_remove("$schema");
    let parts = file.shift_remove("$defs").unwrap_or_default();
    let mut file = Value::Object(file);
    file["properties"]["openapi"] = json!({
        "type": ["object", "string"],
        "description": "The OpenAPI document itself: as an object, or as a text of JSON or YAML.",
    });
    file["properties"]["base_url"]["description"] =
        "Where calls go, with templates over `context`: begins with `https://` or `http://`."
            .into();
    file["description"] = "A connector file with its OpenAPI document in it.".into();
    let mut change = file.clone();
    change["title"] = "Changes to a Claviger connector".into();
    change["description"] =
        "Members of a connector file that are to be otherwise; null takes one out.".into();
    if let Some(change) = change.as_object_mut() {
        change.shift_remove("required");
    }
    let members = change["properties"].as_object_mut().into_iter().flatten();
    for (_, member) in members {
        let Some(whole) = member.as_object_mut() else {
            continue;
        };
        let description = whole.shift_remove("description");
        *member = json!({ "description": description, "anyOf": [member, { "type": "null" }] });
    }
    let parts = parts.as_object().cloned().unwrap_or_default();
    let files = [("File".to_owned(), file), ("Change".to_owned(), change)];
    for (name, mut part) in parts.into_iter().chain(files) {
        rename_references(&mut part);
        schemas[format!("Connector{name}")] = part;
    }
}

fn rename_references(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = reference_to(&format!("Connector{name}"));
            }
            members.values_mut().for_each(rename_references);
        }
        Value::Array(items) => items.iter_mut().for_each(rename_references),
        _ => {}
    }
}
