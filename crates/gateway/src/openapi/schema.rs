//! A schema of the document as the strictest client of tools accepts it: references inlined, unions
//! and formats reduced, names made safe, everything described. What clients refuse and a model can
//! use all the same (defaults, examples, numbers to choose from) moves into the description.

mod names;
mod union;

use serde_json::{Map, Value, json};

use super::{Document, pointed};
use claviger_domain::plain_text;

pub use names::Renames;
pub(crate) use names::{describe_name, safe_name, shortened};
pub(crate) use union::make_nullable;

/// How often one schema may stand inside itself.
const RECURSION: usize = 3;
/// How many schemas one tool may unfold to; past it everything is an open object. Without such an end
/// a few schemas that refer to each other unfold to millions.
const BUDGET: usize = 1_000;
/// How deep schemas may stand in each other.
const DEPTH: usize = 24;
/// How many patterns one tool may have, as a part of that budget: each is compiled.
const PATTERN: usize = BUDGET / 50;
/// What the description of a property is cut to, in bytes.
pub(crate) const LONGEST_WORDS: usize = 2_000;
/// How many values an enumeration may have; a longer one is left to the upstream.
const MOST_VALUES: usize = 1_000;
/// How many numbers to choose from are spoken of.
const MOST_NUMBERS: usize = 100;
/// The longest pattern that is checked here.
const LONGEST_PATTERN: usize = 1_000;
/// The formats that all clients know.
const FORMATS: [&str; 5] = ["date-time", "date", "uuid", "email", "uri"];
/// Every JSON type that needs no further schema. Arrays are left out because clients want their items.
const ANY: [&str; 5] = ["object", "string", "number", "boolean", "null"];

/// A schema made strict, and how to undo its renamed properties.
#[derive(Debug, Clone)]
pub struct Strict {
    /// The schema.
    pub schema: Map<String, Value>,
    /// The renamed properties.
    pub renames: Renames,
}

impl Strict {
    /// The properties, when it is an object that names any.
    pub fn properties(&self) -> Option<&Map<String, Value>> {
        self.schema.get("properties").and_then(Value::as_object)
    }

    /// The names of its required properties.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        let list = self.schema.get("required").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }
}

/// Makes schemas of one document strict, within one budget.
pub struct Strictly<'a> {
    document: &'a Document,
    inside: Vec<String>,
    depth: usize,
    budget: usize,
}

impl<'a> Strictly<'a> {
    /// Starts with a full budget.
    pub fn new(document: &'a Document) -> Self {
        Self {
            document,
            inside: Vec::new(),
            depth: 0,
            budget: BUDGET,
        }
    }

    /// The strict form of a schema.
    pub fn make(&mut self, schema: &Value) -> Strict {
        let Some(left) = self.budget.checked_sub(1) else {
            return end();
        };
        self.budget = left;
        if self.depth == DEPTH {
            return end();
        }
        self.depth += 1;
        let made = self.make_any(schema);
        self.depth -= 1;
        made
    }

    fn make_any(&mut self, schema: &Value) -> Strict {
        let Some(source) = schema.as_object() else {
            return typed(ANY.map(Value::from).to_vec().into(), Map::new());
        };
        if let Some(reference) = source.get("$ref").and_then(Value::as_str) {
            return self.make_reference(reference, source);
        }
        if source.contains_key("allOf") {
            return match union::merge_all_of(self.document, source) {
                Some(merged) => self.make(&Value::Object(merged)),
                None => end(),
            };
        }
        if let Some(made) = union::make_any_of(self, source) {
            return made;
        }
        self.make_plain(source)
    }

    fn make_reference(&mut self, reference: &str, source: &Map<String, Value>) -> Strict {
        let depth = self
            .inside
            .iter()
            .filter(|outer| *outer == reference)
            .count();
        let target = pointed(&self.document.root, reference);
        let target = target.and_then(|target| self.document.follow(target));
        let Some(target) = target.filter(|_| depth < RECURSION) else {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return open_object(&format!(
                "{}, as described where it stands further out.",
                describe_name(name)
            ));
        };
        self.inside.push(reference.to_owned());
        let mut made = self.make(target);
        self.inside.pop();
        if let Some(words) = own_words(source) {
            made.schema.insert("description".to_owned(), words.into());
        }
        made
    }

    fn make_plain(&mut self, source: &Map<String, Value>) -> Strict {
        let (kinds, mut nullable) = kinds_of(source);
        let mut made = Map::new();
        let mut renames = Renames::default();
        let mut notes = Vec::new();
        match kinds.as_slice() {
            [] => {
                return typed(
                    ANY.map(Value::from).to_vec().into(),
                    described(source, &notes),
                );
            }
            [kind] => match kind.as_str() {
                "object" => renames = self.make_object(source, &mut made),
                "array" => renames = self.make_array(source, &mut made),
                "string" => nullable |= self.make_string(source, &mut made),
                "integer" | "number" => {
                    make_number(source, kind == "integer", &mut made, &mut notes);
                }
                _ => {}
            },
            several => {
                let several: Vec<_> = several
                    .iter()
                    .filter(|kind| *kind != "array")
                    .cloned()
                    .map(Value::from)
                    .collect();
                return typed(with_null(several, nullable), described(source, &notes));
            }
        }
        notes.extend(spoken(source));
        let kind = Value::from(kinds[0].as_str());
        let kind = if nullable {
            json!([kind, "null"])
        } else {
            kind
        };
        let mut schema = described(source, &notes);
        schema.extend(made);
        let mut made = typed(kind, schema);
        made.renames = renames;
        made
    }

    fn make_object(
        &mut self,
        source: &Map<String, Value>,
        made: &mut Map<String, Value>,
    ) -> Renames {
        let mut renames = Renames::default();
        let mut properties = Map::new();
        // Where the budget does not reach for all of them, none are named: an open object stays small.
        let known = source
            .get("properties")
            .and_then(Value::as_object)
            .filter(|known| known.len() <= self.budget);
        for (name, schema) in known.into_iter().flatten() {
            if schema.get("readOnly") == Some(&Value::Bool(true)) {
                continue;
            }
            let safe = safe_name(name, |taken| properties.contains_key(taken));
            let mut property = self.make(schema);
            property
                .schema
                .entry("description")
                .or_insert_with(|| describe_name(name).into());
            renames.note(&safe, name, property.renames);
            properties.insert(safe, Value::Object(property.schema));
        }
        if properties.is_empty() {
            let others = source
                .get("additionalProperties")
                .filter(|others| others.is_object());
            let others = others.map_or(Value::Bool(true), |schema| {
                Value::Object(self.make(schema).schema)
            });
            made.insert("additionalProperties".to_owned(), others);
            return renames;
        }
        let required: Vec<Value> = source
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|name| renames.safe(name))
            .filter(|name| properties.contains_key(*name))
            .map(Value::from)
            .collect();
        made.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            made.insert("required".to_owned(), Value::Array(required));
        }
        renames
    }

    fn make_array(
        &mut self,
        source: &Map<String, Value>,
        made: &mut Map<String, Value>,
    ) -> Renames {
        let items = self.make(source.get("items").unwrap_or(&Value::Bool(true)));
        made.insert("items".to_owned(), Value::Object(items.schema));
        copy(source, made, &["minItems", "maxItems"]);
        Renames::of_items(items.renames)
    }

    /// Fills in what a text may be; answers whether null is among its values.
    fn make_string(&mut self, source: &Map<String, Value>, made: &mut Map<String, Value>) -> bool {
        let constant = source.get("const").into_iter();
        let values: Vec<&Value> = source
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .chain(constant)
            .collect();
        let texts: Vec<Value> = values
            .iter()
            .filter(|value| value.is_string())
            .copied()
            .cloned()
            .collect();
        if !texts.is_empty() && texts.len() <= MOST_VALUES {
            made.insert("enum".to_owned(), Value::Array(texts));
        }
        let format = source.get("format").and_then(Value::as_str);
        if let Some(format) = format.filter(|format| FORMATS.contains(format)) {
            made.insert("format".to_owned(), format.into());
        }
        copy(source, made, &["minLength", "maxLength"]);
        let pattern = source.get("pattern").and_then(Value::as_str);
        let pattern = pattern.filter(|pattern| pattern.len() <= LONGEST_PATTERN);
        if let (Some(pattern), Some(left)) = (pattern, self.budget.checked_sub(PATTERN)) {
            self.budget = left;
            if is_linear(pattern) {
                made.insert("pattern".to_owned(), pattern.into());
            }
        }
        values.iter().any(|value| value.is_null())
    }
}

fn end() -> Strict {
    open_object("An object; its members are not described further.")
}

/// An object that says no more than what it is.
pub(crate) fn open_object(description: &str) -> Strict {
    let mut schema = Map::new();
    schema.insert("description".to_owned(), description.into());
    schema.insert("additionalProperties".to_owned(), Value::Bool(true));
    typed("object".into(), schema)
}

fn typed(kind: Value, rest: Map<String, Value>) -> Strict {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), kind);
    schema.extend(rest);
    Strict {
        schema,
        renames: Renames::default(),
    }
}

fn with_null(mut kinds: Vec<Value>, nullable: bool) -> Value {
    if nullable {
        kinds.push("null".into());
    }
    Value::Array(kinds)
}

/// The types a schema allows, without null, and whether null is one of them.
fn kinds_of(source: &Map<String, Value>) -> (Vec<String>, bool) {
    let says_so = |member: &str| source.get(member) == Some(&Value::Bool(true));
    let mut nullable = says_so("nullable") || says_so("x-nullable");
    let mut kinds: Vec<String> = match source.get("type") {
        Some(Value::String(kind)) => vec![kind.clone()],
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => inferred_kind(source)
            .map(str::to_owned)
            .into_iter()
            .collect(),
    };
    kinds.retain(|kind| {
        nullable |= kind == "null";
        kind != "null"
    });
    (kinds, nullable)
}

fn inferred_kind(source: &Map<String, Value>) -> Option<&'static str> {
    if source.contains_key("properties") || source.contains_key("additionalProperties") {
        return Some("object");
    }
    if source.contains_key("items") {
        return Some("array");
    }
    let values = source.get("enum").and_then(Value::as_array);
    let texts = values.is_some_and(|values| values.iter().any(Value::is_string));
    (texts || source.get("const").is_some_and(Value::is_string)).then_some("string")
}

/// Whether a pattern can be checked in linear time. Others are left to the upstream.
fn is_linear(pattern: &str) -> bool {
    let schema = json!({ "pattern": pattern });
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(&schema)
        .is_ok()
}

fn make_number(
    source: &Map<String, Value>,
    whole: bool,
    made: &mut Map<String, Value>,
    notes: &mut Vec<String>,
) {
    copy(source, made, &["minimum", "maximum"]);
    for (exclusive, bound, step, word) in [
        ("exclusiveMinimum", "minimum", 1, "More"),
        ("exclusiveMaximum", "maximum", -1, "Less"),
    ] {
        let Some(limit) = source.get(exclusive).filter(|limit| limit.is_number()) else {
            continue;
        };
        let bounded = limit.as_i64().filter(|_| whole);
        match bounded.and_then(|limit: i64| limit.checked_add(step)) {
            Some(limit) => {
                made.insert(bound.to_owned(), limit.into());
            }
            None => notes.push(format!("{word} than {limit}.")),
        }
    }
    if let Some(values) = source.get("enum").and_then(Value::as_array) {
        let values = values.iter().take(MOST_NUMBERS);
        let values: Vec<_> = values.map(ToString::to_string).collect();
        notes.push(format!("One of {}.", values.join(", ")));
    }
}

fn copy(source: &Map<String, Value>, made: &mut Map<String, Value>, members: &[&str]) {
    for member in members {
        if let Some(value) = source.get(*member).filter(|value| value.is_number()) {
            made.insert((*member).to_owned(), value.clone());
        }
    }
}

/// Defaults and examples, for the description: not every client accepts them as keywords.
fn spoken(source: &Map<String, Value>) -> Vec<String> {
    let scalar = |value: &Value| match value {
        Value::String(text) if text.len() <= 80 => Some(format!("`{}`", plain_text::clean(text))),
        Value::Number(_) | Value::Bool(_) => Some(format!("`{value}`")),
        _ => None,
    };
    let default = source
        .get("default")
        .and_then(scalar)
        .map(|value| format!("Default: {value}."));
    let examples = source
        .get("examples")
        .and_then(Value::as_array)
        .and_then(|all| all.first());
    let example = source.get("example").or(examples).and_then(scalar);
    default
        .into_iter()
        .chain(example.map(|value| format!("Example: {value}.")))
        .collect()
}

/// What a schema says of itself, as one flowing text.
fn own_words(source: &Map<String, Value>) -> Option<String> {
    let own = source
        .get("description")
        .or_else(|| source.get("title"))?
        .as_str()?;
    Some(plain_text::flowing(beginning(own, LONGEST_WORDS))).filter(|text| !text.is_empty())
}

/// So many bytes of a text, or one character less.
pub(crate) fn beginning(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

fn described(source: &Map<String, Value>, notes: &[String]) -> Map<String, Value> {
    let own = own_words(source);
    let words: Vec<String> = own.into_iter().chain(notes.iter().cloned()).collect();
    let mut schema = Map::new();
    if !words.is_empty() {
        schema.insert("description".to_owned(), words.join(" ").into());
    }
    schema
}

#[cfg(test)]
mod tests;
