//! The operations of a document that has the shape of version 3.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Body, Bounds, DocumentFault, MOST_OPERATIONS, MOST_PARAMETERS, Operation, Parameter,
    QueryStyle, Unread, is_true, resolve, text,
};

const VERBS: [(&str, http::Method); 7] = [
    ("get", http::Method::GET),
    ("post", http::Method::POST),
    ("put", http::Method::PUT),
    ("patch", http::Method::PATCH),
    ("delete", http::Method::DELETE),
    ("head", http::Method::HEAD),
    ("options", http::Method::OPTIONS),
];

/// All operations, in the document's order.
pub(super) fn read_all<'a>(
    root: &'a Value,
    bounds: &Bounds<'_>,
) -> Result<Vec<Operation>, Unread<'a>> {
    let paths = root
        .get("paths")
        .and_then(Value::as_object)
        .ok_or(DocumentFault::NoPaths)?;
    let mut reading = Reading {
        root,
        schemas: HashMap::new(),
    };
    let mut operations = Vec::new();
    for (path, item) in paths {
        bounds.check_time()?;
        let item = resolve(root, item)?;
        let shared = reading.parameters(item.get("parameters"))?;
        for (name, verb) in VERBS {
            let Some(operation) = item.get(name) else {
                continue;
            };
            if operations.len() == MOST_OPERATIONS {
                return Err(DocumentFault::TooManyOperations.into());
            }
            operations.push(reading.operation(verb, path, operation, &shared)?);
        }
    }
    Ok(operations)
}

struct Reading<'a> {
    root: &'a Value,
    /// Schemas by where they stand: one that many operations refer to is kept once.
    schemas: HashMap<usize, Arc<Value>>,
}

impl<'a> Reading<'a> {
    fn schema(&mut self, schema: &'a Value) -> Arc<Value> {
        let place = std::ptr::from_ref(schema).addr();
        let kept = self.schemas.entry(place);
        Arc::clone(kept.or_insert_with(|| Arc::new(schema.clone())))
    }

    fn operation(
        &mut self,
        verb: http::Method,
        path: &str,
        operation: &'a Value,
        shared: &[Parameter],
    ) -> Result<Operation, Unread<'a>> {
        let mut parameters = self.parameters(operation.get("parameters"))?;
        for parameter in shared {
            let own = parameters
                .iter()
                .any(|known| known.name == parameter.name && known.in_path == parameter.in_path);
            if !own {
                parameters.push(parameter.clone());
            }
        }
        let tags = operation.get("tags").and_then(Value::as_array);
        let (body, needs_other_body) = match operation.get("requestBody") {
            Some(body) => self.body(body)?,
            None => (None, false),
        };
        Ok(Operation {
            verb,
            path: path.to_owned(),
            id: text(operation, "operationId").map(str::to_owned),
            summary: text(operation, "summary").map(str::to_owned),
            description: text(operation, "description").map(str::to_owned),
            tags: tags
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            parameters,
            body,
            needs_other_body,
            response: match operation.get("responses").and_then(Value::as_object) {
                Some(responses) => self.response(responses)?,
                None => None,
            },
            deprecated: is_true(operation, "deprecated"),
        })
    }

    fn parameters(&mut self, list: Option<&'a Value>) -> Result<Vec<Parameter>, Unread<'a>> {
        let mut parameters = Vec::new();
        let entries = list
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        if entries.len() > MOST_PARAMETERS {
            return Err(DocumentFault::TooManyParameters.into());
        }
        for entry in entries {
            let entry = resolve(self.root, entry)?;
            let place = text(entry, "in").unwrap_or_default();
            let (Some(name), "path" | "query") = (text(entry, "name"), place) else {
                continue;
            };
            let schema = entry.get("schema").or_else(|| json_content(entry));
            parameters.push(Parameter {
                name: name.to_owned(),
                in_path: place == "path",
                required: place == "path" || is_true(entry, "required"),
                description: text(entry, "description").map(str::to_owned),
                schema: match schema {
                    Some(schema) => self.schema(schema),
                    None => Arc::new(Value::Object(Map::new())),
                },
                style: query_style(entry),
            });
        }
        Ok(parameters)
    }

    /// The body, and whether one is needed that is of another kind.
    fn body(&mut self, body: &'a Value) -> Result<(Option<Body>, bool), Unread<'a>> {
        let body = resolve(self.root, body)?;
        let required = is_true(body, "required");
        let form = form_content(body);
        let Some(schema) = json_content(body).or_else(|| form?.get("schema")) else {
            // What is said in parts is said in them alone, whether the document requires them or not.
            return Ok((None, required || is_of_parts(body)));
        };
        let is_json = json_content(body).is_some();
        let body = Body {
            required,
            description: text(body, "description").map(str::to_owned),
            schema: self.schema(schema),
            form: form.filter(|_| !is_json).map(form_styles),
        };
        Ok((Some(body), false))
    }

    fn response(
        &mut self,
        responses: &'a Map<String, Value>,
    ) -> Result<Option<Arc<Value>>, Unread<'a>> {
        for (_, response) in responses
            .iter()
            .filter(|(status, _)| status.starts_with('2'))
        {
            if let Some(schema) = json_content(resolve(self.root, response)?) {
                return Ok(Some(self.schema(schema)));
            }
        }
        Ok(None)
    }
}

fn query_style(parameter: &Value) -> QueryStyle {
    if parameter.get("schema").is_none() {
        return QueryStyle::Json;
    }
    style(parameter)
}

/// The style that a parameter names, or a member of a form.
fn style(named: &Value) -> QueryStyle {
    let exploded = named.get("explode").and_then(Value::as_bool);
    match text(named, "style").unwrap_or("form") {
        "deepObject" => QueryStyle::Deep,
        "form" if exploded == Some(false) => QueryStyle::Joined(','),
        "spaceDelimited" if exploded != Some(true) => QueryStyle::Joined(' '),
        "pipeDelimited" if exploded != Some(true) => QueryStyle::Joined('|'),
        _ => QueryStyle::Exploded,
    }
}

/// Whether a body is of several parts, such as files, and nothing else.
fn is_of_parts(body: &Value) -> bool {
    let content = body.get("content").and_then(Value::as_object);
    content.is_some_and(|content| {
        let is_of_parts = |kind: &String| kind.to_ascii_lowercase().starts_with("multipart/");
        !content.is_empty() && content.keys().all(is_of_parts)
    })
}

/// What a body says of itself as a URL-encoded form.
fn form_content(body: &Value) -> Option<&Value> {
    let mut content = body.get("content")?.as_object()?.iter();
    let form = content.find(|(kind, _)| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    form.map(|(_, media)| media)
}

/// The members of a form whose style the document names. Those that would stand in it under names of their own
/// are written as if it named none.
fn form_styles(form: &Value) -> HashMap<String, QueryStyle> {
    let encodings = form.get("encoding").and_then(Value::as_object);
    let named = encodings.into_iter().flatten().filter(|(_, encoding)| {
        encoding.get("style").is_some() || encoding.get("explode").is_some()
    });
    let styles = named.map(|(name, encoding)| (name.clone(), style(encoding)));
    styles
        .filter(|(_, style)| *style != QueryStyle::Exploded)
        .collect()
}

/// The schema of the JSON media type, `application/json` or one that is built on it.
fn json_content(holder: &Value) -> Option<&Value> {
    let content = holder.get("content")?.as_object()?;
    let (_, media) = content.iter().find(|(kind, _)| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json")
    })?;
    media.get("schema")
}
