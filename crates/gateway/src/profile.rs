//! The schema profile for clients that accept a schema only when every property is required: what may be
//! left out is null there, and what is free in form is JSON text.

use serde_json::{Map, Value, json};

use crate::argument::ArgumentFaults;
use crate::openapi::schema::make_nullable;

/// Which form of schemas a client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SchemaProfile {
    /// What most clients accept.
    #[default]
    Default,
    /// `openai_strict`: every property required and nullable, none besides.
    OpenaiStrict,
}

impl SchemaProfile {
    /// Reads a profile's name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Default),
            "openai_strict" => Some(Self::OpenaiStrict),
            _ => None,
        }
    }

    /// The profile's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::OpenaiStrict => "openai_strict",
        }
    }

    /// A tool's schema in this profile.
    pub fn shape(self, schema: &Value) -> Value {
        match self {
            Self::Default => schema.clone(),
            Self::OpenaiStrict => strict(schema),
        }
    }
}

/// Whether an object's members are not named, or a value may be anything.
fn is_free(schema: &Value) -> bool {
    let kinds = schema.get("type");
    let anything = kinds
        .and_then(Value::as_array)
        .is_some_and(|kinds| kinds.len() > 2);
    let object =
        kinds.is_some_and(|kinds| *kinds == "object" || *kinds == json!(["object", "null"]));
    anything || (object && schema.get("properties").is_none())
}

fn strict(schema: &Value) -> Value {
    let Some(members) = schema.as_object() else {
        return schema.clone();
    };
    if is_free(schema) {
        let words = members
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or("Any value.");
        return json!({ "type": "string", "description": format!("{words} Written as JSON text.") });
    }
    let mut made = members.clone();
    if let Some(properties) = members.get("properties").and_then(Value::as_object) {
        let shaped: Map<String, Value> = properties
            .iter()
            .map(|(name, property)| {
                let mut property = strict(property);
                if let Some(property) = property.as_object_mut() {
                    make_nullable(property);
                }
                (name.clone(), property)
            })
            .collect();
        made.insert("required".to_owned(), shaped.keys().cloned().collect());
        made.insert("properties".to_owned(), Value::Object(shaped));
        made.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if let Some(items) = members.get("items") {
        made.insert("items".to_owned(), strict(items));
    }
    if let Some(variants) = members.get("anyOf").and_then(Value::as_array) {
        made.insert("anyOf".to_owned(), variants.iter().map(strict).collect());
    }
    Value::Object(made)
}

/// Arguments under `openai_strict` as the tool's own schema means them: null is an argument that was not
/// given (so that nobody clears a field by filling in a form), and JSON text is its value.
pub(crate) fn without_placeholders(
    schema: &Value,
    arguments: Map<String, Value>,
) -> Result<Map<String, Value>, ArgumentFaults> {
    let mut faults = Vec::new();
    let arguments = relaxed_members(schema, arguments, "", &mut faults);
    if faults.is_empty() {
        Ok(arguments)
    } else {
        Err(ArgumentFaults(faults))
    }
}

fn relaxed_members(
    schema: &Value,
    members: Map<String, Value>,
    path: &str,
    faults: &mut Vec<String>,
) -> Map<String, Value> {
    let properties = schema.get("properties");
    let mut kept = Map::new();
    for (name, value) in members {
        if value.is_null() {
            continue;
        }
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let value = match properties.and_then(|known| known.get(&name)) {
            Some(schema) => relaxed(schema, value, &path, faults),
            None => value,
        };
        kept.insert(name, value);
    }
    kept
}

fn relaxed(schema: &Value, value: Value, path: &str, faults: &mut Vec<String>) -> Value {
    match value {
        Value::String(text) if is_free(schema) => {
            serde_json::from_str(&text).unwrap_or_else(|_| {
                faults.push(format!("argument `{path}` must be JSON text"));
                Value::Null
            })
        }
        Value::Object(members) if !is_free(schema) => {
            Value::Object(relaxed_members(schema, members, path, faults))
        }
        Value::Array(items) => {
            let inside = schema.get("items").unwrap_or(&Value::Null);
            Value::Array(
                items
                    .into_iter()
                    .map(|item| relaxed(inside, item, path, faults))
                    .collect(),
            )
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({ "type": "object", "required": ["id"], "properties": {
            "id": { "type": "string", "description": "Id." },
            "role": { "type": ["string", "null"], "enum": ["a"], "description": "Role." },
            "data": { "type": "object", "additionalProperties": true, "description": "Data." },
            "limits": { "type": "object", "description": "Limits.", "properties": {
                "rate": { "type": "integer", "description": "Rate." } } }
        } })
    }

    #[test]
    fn every_property_is_required_and_nullable() {
        insta::assert_json_snapshot!(SchemaProfile::OpenaiStrict.shape(&schema()), @r#"
        {
          "type": "object",
          "required": [
            "id",
            "role",
            "data",
            "limits"
          ],
          "properties": {
            "id": {
              "type": [
                "string",
                "null"
              ],
              "description": "Id."
            },
            "role": {
              "type": [
                "string",
                "null"
              ],
              "enum": [
                "a"
              ],
              "description": "Role."
            },
            "data": {
              "type": [
                "string",
                "null"
              ],
              "description": "Data. Written as JSON text."
            },
            "limits": {
              "type": [
                "object",
                "null"
              ],
              "description": "Limits.",
              "properties": {
                "rate": {
                  "type": [
                    "integer",
                    "null"
                  ],
                  "description": "Rate."
                }
              },
              "required": [
                "rate"
              ],
              "additionalProperties": false
            }
          },
          "additionalProperties": false
        }
        "#);
    }

    #[test]
    fn null_is_not_given_and_json_text_is_its_value() {
        let given = json!({
            "id": "x", "role": null, "data": "{\"a\": null}", "limits": { "rate": null }
        });
        let meant = without_placeholders(&schema(), given.as_object().unwrap().clone()).unwrap();
        assert_eq!(
            Value::Object(meant),
            json!({ "id": "x", "data": { "a": null }, "limits": {} })
        );
        let broken = json!({ "data": "{" });
        let faults = without_placeholders(&schema(), broken.as_object().unwrap().clone());
        assert_eq!(
            faults.unwrap_err().to_string(),
            "argument `data` must be JSON text"
        );
    }
}
