//! The flat schema of a tool: path and query properties, then body properties, each with its place in
//! the request.

use serde_json::{Map, Value, json};

use crate::connector::file::{MethodEntry, PaginationEntry, PropertyEntry};
use crate::cursor::{CURSOR, LIMIT};
use crate::openapi::schema::{
    LONGEST_WORDS, Strict, Strictly, beginning, describe_name, safe_name,
};
use crate::openapi::{Document, Operation, Parameter, QueryStyle, path_parameters};
use crate::page;
use crate::request::{Argument, Place, Sent};
use crate::tool::Schemas;
use claviger_domain::plain_text;

/// A tool's schemas and the places of its arguments.
pub(super) struct Flat {
    pub(super) schemas: Schemas,
    pub(super) required: Vec<String>,
    pub(super) arguments: Vec<Argument>,
    /// Whether members of an argument stand in the query under names that callers choose.
    pub(super) spreads: bool,
    /// What the file says of arguments that the operation does not have.
    pub(super) faults: Vec<String>,
}

pub(super) struct Source<'a> {
    pub(super) document: &'a Document,
    pub(super) operation: &'a Operation,
    /// The path as the file writes it, whose parameters name the arguments.
    pub(super) path: &'a str,
    pub(super) method: &'a str,
    pub(super) entry: &'a MethodEntry,
    pub(super) pagination: &'a PaginationEntry,
    /// What is sent in the query whatever the arguments are: no argument has such a name.
    pub(super) sent: &'a [String],
}

/// Flattens one operation.
pub(super) fn flatten(source: &Source<'_>) -> Flat {
    let mut building = Building {
        strictly: Strictly::new(source.document),
        properties: Map::new(),
        required: Vec::new(),
        arguments: Vec::new(),
        faults: Vec::new(),
    };
    building.add_path(source);
    building.add_query(source);
    if source.method == "list" {
        building.add_page();
    }
    let query_names: Vec<String> = building.properties.keys().cloned().collect();
    building.add_body(source);
    building.finish(source, &query_names)
}

struct Building<'a> {
    strictly: Strictly<'a>,
    properties: Map<String, Value>,
    required: Vec<String>,
    arguments: Vec<Argument>,
    faults: Vec<String>,
}

impl Building<'_> {
    fn add_path(&mut self, source: &Source<'_>) {
        let theirs = path_parameters(&source.operation.path);
        let ours = path_parameters(source.path);
        let of_one = matches!(source.method, "get" | "update" | "delete");
        let last = ours.len().saturating_sub(1);
        for (index, (their_name, our_name)) in theirs.iter().zip(&ours).enumerate() {
            // What names the one thing that `get`, `update` or `delete` is about is `id`, and nothing else is. Any
            // other method is called with the document's own names.
            let above;
            let wanted = match (of_one, index == last) {
                (true, true) => "id",
                (true, false) if *our_name == "id" => {
                    above = name_above(source.path);
                    above.as_str()
                }
                _ => our_name,
            };
            let known = source
                .operation
                .parameters
                .iter()
                .find(|parameter| parameter.in_path && parameter.name == *their_name);
            let mut schema = match known {
                Some(parameter) => self.parameter_schema(parameter),
                None => self.strictly.make(&json!({ "type": "string" })),
            };
            let words = describe_name(wanted);
            schema
                .schema
                .entry("description")
                .or_insert_with(|| words.into());
            let entry = source.entry.query.get(wanted);
            self.add(wanted, Place::Path, our_name, schema, true, entry);
        }
    }

    fn add_query(&mut self, source: &Source<'_>) {
        let paging = source.pagination.parameters();
        let sent = Sent::of(source.sent.iter());
        let in_path = path_parameters(&source.operation.path);
        for parameter in source
            .operation
            .parameters
            .iter()
            .filter(|parameter| !parameter.in_path)
        {
            let name = parameter.name.as_str();
            let is_page = source.method == "list"
                && (paging.contains(&name) || name == LIMIT || name == CURSOR);
            // Some documents list what is in the path a second time, or a parameter twice.
            let is_there = in_path.contains(&name)
                || self
                    .arguments
                    .iter()
                    .any(|known| known.place == Place::Query && known.upstream == name);
            if is_page || is_there || sent.has(name) {
                continue;
            }
            let schema = self.parameter_schema(parameter);
            let entry = source.entry.query.get(name);
            self.add(name, Place::Query, name, schema, parameter.required, entry);
            self.write_as(name, parameter.style);
        }
    }

    fn parameter_schema(&mut self, parameter: &Parameter) -> Strict {
        let mut made = self.strictly.make(&parameter.schema);
        if let Some(words) = &parameter.description {
            made.schema
                .insert("description".to_owned(), described(words));
        }
        made
    }

    fn add_page(&mut self) {
        let limit = json!({
            "type": "integer", "minimum": 1, "maximum": page::MAX_LIMIT,
            "description": format!("How many items to answer. Default: `{}`.", page::DEFAULT_LIMIT),
        });
        let cursor = json!({
            "type": "string",
            "description": "The `next_cursor` of the previous answer, exactly as received, to go on from there \
                with the same arguments. Leave it out for the first page.",
        });
        for (name, schema) in [(LIMIT, limit), (CURSOR, cursor)] {
            self.properties.insert(name.to_owned(), schema);
            self.arguments.push(Argument {
                name: name.to_owned(),
                place: Place::Page,
                upstream: name.to_owned(),
                renames: crate::openapi::schema::Renames::default(),
                style: QueryStyle::default(),
            });
        }
    }

    fn add_body(&mut self, source: &Source<'_>) {
        let Some(body) = &source.operation.body else {
            return;
        };
        let made = self.strictly.make(&body.schema);
        let Some(properties) = made.properties().cloned() else {
            let mut made = made;
            if let Some(words) = &body.description {
                made.schema
                    .entry("description")
                    .or_insert_with(|| described(words));
            }
            made.schema
                .entry("description")
                .or_insert_with(|| "The request body.".into());
            let entry = source.entry.body.get("body");
            self.add("body", Place::WholeBody, "body", made, body.required, entry);
            return;
        };
        let required: Vec<String> = made.required().map(str::to_owned).collect();
        let sent = Sent::of(source.entry.fixed.keys());
        for (name, schema) in properties {
            let upstream = made.renames.original(&name).to_owned();
            if sent.has(&upstream) {
                continue;
            }
            let taken = self.properties.contains_key(&name);
            let wanted = if taken {
                format!("{name}_body")
            } else {
                name.clone()
            };
            let entry = source.entry.body.get(&upstream);
            let needed = body.required && required.contains(&name);
            let schema = schema.as_object().cloned().unwrap_or_default();
            let property = Strict {
                schema,
                renames: made.renames.inside(&name),
            };
            self.add(&wanted, Place::Body, &upstream, property, needed, entry);
        }
    }

    fn add(
        &mut self,
        wanted: &str,
        place: Place,
        upstream: &str,
        made: Strict,
        required: bool,
        entry: Option<&PropertyEntry>,
    ) {
        let mut schema = made.schema;
        if let Some(entry) = entry {
            if entry.hidden {
                if required {
                    self.faults.push(format!(
                        "`{wanted}` is hidden, and the operation requires it"
                    ));
                }
                return;
            }
            if let Some(words) = &entry.description {
                schema.insert("description".to_owned(), words.trim().into());
            }
            if !entry.values.is_empty() {
                schema.insert("enum".to_owned(), entry.values.clone().into());
            }
        }
        schema
            .entry("description")
            .or_insert_with(|| describe_name(upstream).into());
        let name = safe_name(wanted, |taken| self.properties.contains_key(taken));
        if required {
            self.required.push(name.clone());
        }
        self.properties.insert(name.clone(), Value::Object(schema));
        let upstream = upstream.to_owned();
        self.arguments.push(Argument {
            name,
            place,
            upstream,
            renames: made.renames,
            style: QueryStyle::default(),
        });
    }

    /// Says how the parameter that was added last is written, unless it is hidden.
    fn write_as(&mut self, upstream: &str, style: QueryStyle) {
        let added = self.arguments.last_mut();
        let added = added.filter(|last| last.place == Place::Query && last.upstream == upstream);
        if let Some(added) = added {
            added.style = style;
        }
    }

    /// Whether members of an argument stand in the query under names that callers choose.
    fn spreads(&self) -> bool {
        self.arguments.iter().any(|argument| {
            let kinds: &[&str] = match argument.style {
                QueryStyle::Exploded => &["object"],
                QueryStyle::Deep => &["object", "array"],
                _ => &[],
            };
            let kind = self.properties.get(&argument.name);
            let may_be = match kind.and_then(|schema| schema.get("type")) {
                Some(Value::String(kind)) => kinds.contains(&kind.as_str()),
                // What may be one of two kinds may be null or the other; of more, any.
                Some(Value::Array(of)) if of.len() <= 2 => of
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|kind| kinds.contains(&kind)),
                _ => !kinds.is_empty(),
            };
            argument.place == Place::Query && may_be
        })
    }

    fn finish(mut self, source: &Source<'_>, query_names: &[String]) -> Flat {
        for name in &source.entry.required {
            if !self.properties.contains_key(name) {
                self.faults
                    .push(format!("`required` names `{name}`, which is no argument"));
            } else if !self.required.contains(name) {
                self.required.push(name.clone());
            }
        }
        self.check_entries(source);
        for name in &self.required {
            if let Some(schema) = self.properties.get_mut(name).and_then(Value::as_object_mut) {
                make_required(schema);
            }
        }
        // In the order of the properties, whoever asked for them.
        let required: Vec<String> = self
            .properties
            .keys()
            .filter(|name| self.required.contains(name))
            .cloned()
            .collect();
        let part = |of_query: bool| {
            let properties: Map<String, Value> = self
                .properties
                .iter()
                .filter(|(name, _)| query_names.contains(name) == of_query)
                .map(|(name, schema)| (name.clone(), schema.clone()))
                .collect();
            object(properties, &required)
        };
        let has_body = self.properties.len() > query_names.len();
        let response = source.operation.response.as_ref();
        let schemas = Schemas {
            query: part(true),
            body: has_body.then(|| part(false)),
            input: object(self.properties.clone(), &required),
            response: response
                .map(|schema| Value::Object(Strictly::new(source.document).make(schema).schema)),
        };
        Flat {
            schemas,
            required,
            spreads: self.spreads(),
            arguments: self.arguments,
            faults: self.faults,
        }
    }

    /// Every argument that the file speaks of must be there, or a slip in it would go unseen.
    fn check_entries(&mut self, source: &Source<'_>) {
        let places: [(&str, _, &[Place]); 2] = [
            ("query", &source.entry.query, &[Place::Path, Place::Query]),
            ("body", &source.entry.body, &[Place::Body, Place::WholeBody]),
        ];
        for (member, entries, places) in places {
            for (name, entry) in entries {
                let known = self.arguments.iter().any(|argument| {
                    places.contains(&argument.place)
                        && (argument.name == *name || argument.upstream == *name)
                });
                if !known && !entry.hidden {
                    self.faults.push(format!(
                        "`{member}` names `{name}`, which is no argument there"
                    ));
                }
            }
        }
        for name in &source.entry.accepts_sealed {
            if !self.properties.contains_key(name) {
                self.faults.push(format!(
                    "`accepts_sealed` names `{name}`, which is no argument"
                ));
            }
        }
    }
}

/// A name for the `{id}` of a path that is not of the thing itself: `orgs_id` in `/orgs/{id}/users/{user}`.
fn name_above(path: &str) -> String {
    let before = path.split("{id}").next().unwrap_or_default();
    let segment = before
        .split('/')
        .rfind(|segment| !segment.is_empty() && !segment.contains('{'));
    format!("{}_id", segment.unwrap_or("parent"))
}

/// What the document says of an argument, as one flowing text.
fn described(words: &str) -> Value {
    plain_text::flowing(beginning(words, LONGEST_WORDS)).into()
}

/// Null is no value of an argument that every call needs, however the document was written.
fn make_required(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
}

fn object(properties: Map<String, Value>, required: &[String]) -> Value {
    let required: Vec<&String> = required
        .iter()
        .filter(|name| properties.contains_key(*name))
        .collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    Value::Object(schema)
}
