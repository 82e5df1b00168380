//! Unions and intersections: `allOf` becomes one object, `oneOf` and `anyOf` become the least that
//! still says what may stand there.

use serde_json::{Map, Value, json};

use super::{Document, Renames, Strict, Strictly, end, own_words, typed};

/// How many values the parts of an intersection may have together, texts counting by their length.
const LARGEST: usize = 50_000;

/// What is left of a weight after a value; `None` when it weighs more.
fn weigh(value: &Value, left: usize) -> Option<usize> {
    let left = left.checked_sub(1)?;
    match value {
        Value::String(text) => left.checked_sub(text.len() / 16),
        Value::Array(items) => items.iter().try_fold(left, |left, item| weigh(item, left)),
        Value::Object(members) => members
            .values()
            .try_fold(left, |left, member| weigh(member, left)),
        _ => Some(left),
    }
}

/// One schema in place of an `allOf`: the members of all parts, the first to name one deciding. Parts
/// that are intersections themselves leave theirs to the next round.
pub(super) fn merge_all_of(
    document: &Document,
    source: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let parts = source.get("allOf").and_then(Value::as_array)?;
    let parts: Vec<_> = parts
        .iter()
        .filter_map(|part| document.follow(part).and_then(Value::as_object))
        .collect();
    let mut left = LARGEST;
    for part in std::iter::once(&source).chain(&parts) {
        left = part
            .iter()
            .try_fold(left, |left, (_, member)| weigh(member, left))?;
    }
    let mut merged = source.clone();
    merged.remove("allOf");
    for part in parts {
        for (member, value) in part {
            match (merged.get_mut(member), value) {
                (Some(Value::Object(known)), Value::Object(more)) if member == "properties" => {
                    for (name, schema) in more {
                        known.entry(name.clone()).or_insert_with(|| schema.clone());
                    }
                }
                (Some(Value::Array(known)), Value::Array(more))
                    if member == "required" || member == "allOf" =>
                {
                    known.extend(more.iter().cloned());
                }
                (Some(_), _) => {}
                (None, value) => {
                    merged.insert(member.clone(), value.clone());
                }
            }
        }
    }
    Some(merged)
}

/// The strict form of a `oneOf` or `anyOf`; `None` when there is none, or when it only adds conditions
/// to properties that are listed beside it.
pub(super) fn make_any_of(
    strictly: &mut Strictly<'_>,
    source: &Map<String, Value>,
) -> Option<Strict> {
    if source.contains_key("properties") {
        return None;
    }
    let variants = ["oneOf", "anyOf"]
        .iter()
        .find_map(|keyword| source.get(*keyword).and_then(Value::as_array))?;
    let is_null = |variant: &&Value| variant.get("type") == Some(&Value::from("null"));
    let nullable = variants.iter().any(|variant| is_null(&variant))
        || source.get("nullable") == Some(&Value::Bool(true));
    let others: Vec<&Value> = variants
        .iter()
        .filter(|variant| !is_null(variant))
        .collect();
    if others.len() > strictly.budget {
        return Some(end());
    }
    let mut made = match others.as_slice() {
        [] => return Some(typed("null".into(), Map::new())),
        [only] => strictly.make(only),
        several => {
            let made: Vec<Strict> = several
                .iter()
                .map(|variant| strictly.make(variant))
                .collect();
            one_of_texts(&made)
                .or_else(|| one_of_objects(&made))
                .unwrap_or_else(|| any_of(made))
        }
    };
    if let Some(words) = own_words(source) {
        made.schema.insert("description".to_owned(), words.into());
    }
    if nullable {
        make_nullable(&mut made.schema);
    }
    Some(made)
}

/// Lets a schema be null as well.
pub(crate) fn make_nullable(schema: &mut Map<String, Value>) {
    if let Some(variants) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        let null = json!({ "type": "null" });
        if !variants.contains(&null) {
            variants.push(null);
        }
        return;
    }
    let null = Value::from("null");
    match schema.get_mut("type") {
        Some(Value::Array(kinds)) if !kinds.contains(&null) => kinds.push(null),
        Some(kind @ Value::String(_)) if *kind != null => *kind = json!([kind.clone(), "null"]),
        _ => {}
    }
}

/// Several lists of texts are one.
fn one_of_texts(variants: &[Strict]) -> Option<Strict> {
    let mut texts = Vec::new();
    for variant in variants {
        if variant.schema.get("type") != Some(&Value::from("string")) {
            return None;
        }
        texts.extend(variant.schema.get("enum")?.as_array()?.iter().cloned());
    }
    let mut schema = Map::new();
    schema.insert("enum".to_owned(), Value::Array(texts));
    Some(typed("string".into(), schema))
}

/// Several objects are one whose required properties are those that all require.
fn one_of_objects(variants: &[Strict]) -> Option<Strict> {
    let mut properties = Map::new();
    let mut renames = Renames::default();
    for variant in variants {
        for (name, schema) in variant.properties()? {
            properties
                .entry(name.clone())
                .or_insert_with(|| schema.clone());
        }
        renames.merge(variant.renames.clone());
    }
    let required: Vec<Value> = variants
        .first()?
        .required()
        .filter(|name| {
            variants
                .iter()
                .all(|other| other.required().any(|known| known == *name))
        })
        .map(Value::from)
        .collect();
    let mut schema = Map::new();
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    let mut made = typed("object".into(), schema);
    made.renames = renames;
    Some(made)
}

fn any_of(variants: Vec<Strict>) -> Strict {
    let mut renames = Renames::default();
    let mut schemas = Vec::new();
    for variant in variants {
        renames.merge(variant.renames);
        schemas.push(Value::Object(variant.schema));
    }
    let mut schema = Map::new();
    schema.insert("anyOf".to_owned(), Value::Array(schemas));
    Strict { schema, renames }
}
