//! OpenAPI documents of all versions, JSON and YAML: read, made into tools, and into a connector file.
#![no_main]

use std::collections::HashSet;

use claviger_gateway::connector::connector_file;
use claviger_gateway::openapi::{Bounds, Document};
use claviger_gateway::profile::SchemaProfile;
use claviger_gateway::{Catalogue, Connector};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let bounds = Bounds {
        aliases: false,
        has_time: &|| true,
    };
    let document = match Document::read(data, &bounds) {
        Ok(document) => document,
        Err(fault) => {
            // A place and a reason: nothing of the document, however it was written.
            assert!(fault.to_string().len() < 200, "{fault}");
            return;
        }
    };
    let file = connector_file(&document, "document.json");
    let connector = Connector::parse(&file).expect("what is written is read again");
    let catalogue = match Catalogue::compile_within(&connector, &document, &bounds) {
        Ok(catalogue) => catalogue,
        Err(faults) => {
            // Derived resources have nobody who could mend them, but for their size.
            assert!(faults.to_string().contains("larger"), "{faults}");
            return;
        }
    };
    let (tools, left_out) = (catalogue.tools(), catalogue.left_out());
    assert_eq!(tools.len() + left_out.len(), document.operations().len());
    let mut names = HashSet::new();
    for tool in tools {
        assert!(is_name(&tool.name, "_-") && names.insert(&tool.name), "{}", tool.name);
        for profile in [SchemaProfile::Default, SchemaProfile::OpenaiStrict] {
            let schema = profile.shape(&tool.schemas.input);
            assert_eq!(schema["type"], "object");
            assert!(schema.get("anyOf").is_none());
            accepted(&schema);
        }
    }
});

fn is_name(name: &str, others: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

/// What the strictest client accepts, at every depth.
fn accepted(schema: &Value) {
    let members = schema.as_object().expect("a schema is an object");
    for refused in ["$ref", "oneOf", "allOf", "not", "const", "nullable"] {
        assert!(!members.contains_key(refused), "{schema}");
    }
    assert!(members.contains_key("type") || members.contains_key("anyOf"), "{schema}");
    for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
        assert!(is_name(name, "_.-"), "{name}");
        assert!(property["description"].is_string(), "{property}");
        accepted(property);
    }
    let variants = members.get("anyOf").and_then(Value::as_array);
    variants.into_iter().flatten().for_each(accepted);
    members.get("items").into_iter().for_each(accepted);
}
