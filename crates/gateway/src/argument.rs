//! Whether the arguments of a call fit its tool: known names, required ones present, values of the
//! right kind. Messages name arguments and what they must be, never what was given.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::nearest::{listed, nearest};

/// How many faults one answer tells.
const TOLD: usize = 8;
/// Arguments of a call, at most: no tool has as many, and each is compared with all that it has.
pub(crate) const MOST: usize = 1_000;

/// Everything that is wrong with the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ArgumentFaults(pub Vec<String>);

impl ArgumentFaults {
    /// More of them than are looked at.
    pub(crate) fn too_many() -> Self {
        Self(vec![format!("more than {MOST} arguments")])
    }
}

/// The check of one tool's arguments, compiled once.
#[derive(Debug, Clone)]
pub struct ArgumentCheck {
    names: Vec<String>,
    required: Vec<String>,
    validator: Validator,
}

impl ArgumentCheck {
    /// Compiles the check of a flat schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            // A text of any format is passed on: upstreams accept more spellings than the standard.
            .should_validate_formats(false)
            .with_pattern_options(PatternOptions::regex())
            .build(&widened(schema))
            .map_err(|error| error.masked().to_string())?;
        let names = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let texts = |list: &Vec<Value>| {
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Ok(Self {
            names: names
                .map(|names| names.keys().cloned().collect())
                .unwrap_or_default(),
            required: required.map(texts).unwrap_or_default(),
            validator,
        })
    }

    /// Checks arguments against the tool's schema.
    pub fn check(&self, arguments: &Map<String, Value>) -> Result<(), ArgumentFaults> {
        if arguments.len() > MOST {
            return Err(ArgumentFaults::too_many());
        }
        let mut faults = Vec::new();
        let unknown = arguments.keys().filter(|name| !self.names.contains(*name));
        faults.extend(unknown.take(TOLD).map(|name| self.unknown(name)));
        for name in self
            .required
            .iter()
            .filter(|name| !arguments.contains_key(*name))
        {
            faults.push(format!("missing argument `{name}`"));
        }
        let instance = Value::Object(arguments.clone());
        for error in self.validator.iter_errors(&instance) {
            let missing_here = matches!(error.kind(), ValidationErrorKind::Required { .. })
                && error.instance_path().as_str().is_empty();
            if !missing_here {
                faults.push(told(&error));
            }
        }
        faults.truncate(TOLD);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(ArgumentFaults(faults))
        }
    }

    fn unknown(&self, name: &str) -> String {
        let shown: String = claviger_domain::plain_text::clean(name)
            .chars()
            .take(64)
            .collect();
        let known = self.names.iter().map(String::as_str);
        let mut message = format!("unknown argument `{shown}`");
        if let Some(near) = nearest(name, known.clone()) {
            write!(message, ", did you mean `{near}`?").expect("writing to a string cannot fail");
        }
        write!(message, " (known arguments: {})", listed(known))
            .expect("writing to a string cannot fail");
        message
    }
}

/// The schema as values are held to it, where that is wider than what is shown: null fits a nullable
/// enumeration, and what may be of many types may be of any.
fn widened(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kinds = members.get("type").and_then(Value::as_array);
            let nullable = kinds.is_some_and(|kinds| kinds.contains(&"null".into()));
            let anything = kinds.is_some_and(|kinds| kinds.len() > 2);
            let mut wide = Map::new();
            for (name, value) in members {
                let value = match (name.as_str(), value) {
                    ("type", Value::Array(_)) if anything => continue,
                    ("enum", Value::Array(values)) if nullable => {
                        let mut values = values.clone();
                        values.push(Value::Null);
                        Value::Array(values)
                    }
                    // Properties are named by anyone, also `type` and `enum`.
                    ("properties", Value::Object(properties)) => Value::Object(
                        properties
                            .iter()
                            .map(|(name, schema)| (name.clone(), widened(schema)))
                            .collect(),
                    ),
                    ("items" | "additionalProperties", schema) => widened(schema),
                    ("anyOf", Value::Array(variants)) => {
                        Value::Array(variants.iter().map(widened).collect())
                    }
                    (_, other) => other.clone(),
                };
                wide.insert(name.clone(), value);
            }
            Value::Object(wide)
        }
        other => other.clone(),
    }
}

fn told(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str();
    let path = path
        .trim_start_matches('/')
        .replace('/', ".")
        .replace("~1", "/")
        .replace("~0", "~");
    let what = match error.kind() {
        ValidationErrorKind::Type { kind } => format!("must be of type {}", type_words(kind)),
        ValidationErrorKind::Enum { options } => {
            format!("must be one of {}", choice_words(options))
        }
        ValidationErrorKind::Required { property } => {
            format!("lacks `{}`", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::MinLength { limit } => {
            format!("must have at least {limit} characters")
        }
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
        ValidationErrorKind::Pattern { pattern } => format!("must match `{pattern}`"),
        other => format!("does not fit the schema's `{}`", other.keyword()),
    };
    format!("argument `{path}` {what}")
}

fn type_words(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => {
            let mut words: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            words.sort_by_key(|word| word == "null");
            words.join(" or ")
        }
    }
}

fn choice_words(options: &Value) -> String {
    listed(
        options
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(arguments: &Value) -> Result<(), String> {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": { "type": "string", "maxLength": 40 },
                "role": { "type": ["string", "null"], "enum": ["owner", "viewer"] },
                "limits": { "type": "object", "required": ["rate"], "properties": {
                    "rate": { "type": ["integer", "null"], "minimum": 1 } } },
                "data": { "type": ["object", "string", "number", "boolean", "null"] },
                "expiry": { "type": "string", "format": "date-time" }
            }
        });
        let check = ArgumentCheck::new(&schema).unwrap();
        check
            .check(arguments.as_object().unwrap())
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn fitting_arguments_pass() {
        check(&json!({ "id": "x" })).unwrap();
        check(&json!({ "id": "x", "role": null, "limits": { "rate": null }, "data": [1] }))
            .unwrap();
        check(&json!({ "id": "x", "expiry": "2050-01-01" })).unwrap();
    }

    #[test]
    fn an_unknown_argument_names_the_nearest_and_the_known() {
        assert_eq!(
            check(&json!({ "id": "x", "limit": 1 })).unwrap_err(),
            "unknown argument `limit`, did you mean `limits`? \
             (known arguments: `id`, `role`, `limits`, `data`, `expiry`)"
        );
    }

    #[test]
    fn faults_say_what_must_be_and_not_what_was() {
        assert_eq!(check(&json!({})).unwrap_err(), "missing argument `id`");
        assert_eq!(
            check(&json!({ "id": 7, "role": "king", "limits": { "rate": "many" } })).unwrap_err(),
            "argument `id` must be of type string; \
             argument `role` must be one of `owner`, `viewer`; \
             argument `limits.rate` must be of type integer or null"
        );
        assert_eq!(
            check(&json!({ "id": "x", "limits": {} })).unwrap_err(),
            "argument `limits` lacks `rate`"
        );
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let many: Map<String, Value> = (0..500).map(|n| (format!("n{n}"), json!(1))).collect();
        let told = check(&Value::Object(many)).unwrap_err();
        assert_eq!(told.matches("unknown argument").count(), TOLD);
        let flood: Map<String, Value> = (0..=MOST).map(|n| (format!("n{n}"), json!(1))).collect();
        let told = check(&Value::Object(flood)).unwrap_err();
        assert_eq!(told, "more than 1000 arguments");
    }
}
