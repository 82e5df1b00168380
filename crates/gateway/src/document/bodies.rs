//! What holds for all bodies of the gateway.

use serde_json::Value;

use super::SCHEMAS;

/// Says of bodies what holds for all of the gateway: a member that is not known is refused.
pub(super) fn close(document: &mut Value) {
    let mut open: Vec<String> = Vec::new();
    let operations = document["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    for (_, operation) in operations.filter(|(_, one)| one["tags"][0] != "mcp") {
        references_in(&operation["requestBody"], &mut open);
    }
    let mut at = 0;
    while let Some(name) = open.get(at).cloned() {
        at += 1;
        let schema = &mut document["components"]["schemas"][name];
        references_in(schema, &mut open);
        if schema.get("properties").is_some() {
            schema["additionalProperties"] = false.into();
        }
    }
}

/// Adds the names of schemas that something refers to, each once.
fn references_in(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| reference.strip_prefix(SCHEMAS));
            if let Some(name) = name.filter(|name| !names.iter().any(|known| known == name)) {
                names.push(name.to_owned());
            }
            members
                .values()
                .for_each(|member| references_in(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references_in(item, names)),
        _ => {}
    }
}
