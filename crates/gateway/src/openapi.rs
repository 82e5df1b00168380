//! An OpenAPI 3.x document, read as far as tools need it: operations with their path and query
//! parameters, JSON bodies and answers. Schemas stay JSON; [`schema`] makes of them what clients accept.

pub mod schema;

use std::collections::HashSet;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON.
    #[error("the OpenAPI document is not JSON: line {} column {}", .0.line(), .0.column())]
    NotJson(#[source] serde_json::Error),
    /// It is of another kind or version.
    #[error("the OpenAPI document says `{0}`; version 3.0 or 3.1 is needed")]
    Version(String),
    /// It has no `paths`.
    #[error("the OpenAPI document has no `paths`")]
    NoPaths,
    /// A reference leads out of the document or to nothing.
    #[error("the OpenAPI document has a reference to `{0}`, which is not in it")]
    Reference(String),
}

/// A document and its operations.
#[derive(Debug)]
pub struct Document {
    root: Value,
    operations: Vec<Operation>,
    digest: [u8; 32],
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The HTTP verb.
    pub verb: http::Method,
    /// The path template as the document writes it.
    pub path: String,
    /// Its `operationId`.
    pub id: Option<String>,
    /// Its short description.
    pub summary: Option<String>,
    /// Its long description.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its path and query parameters; those in headers and cookies are no arguments.
    pub parameters: Vec<Parameter>,
    /// Its JSON body.
    pub body: Option<Body>,
    /// The schema of its first successful JSON answer.
    pub response: Option<Value>,
    /// Whether it is marked deprecated.
    pub deprecated: bool,
}

/// A path or query parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether it stands in the path.
    pub in_path: bool,
    /// Whether a call needs it.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// Its schema, references and all.
    pub schema: Value,
}

/// A request body.
#[derive(Debug, Clone)]
pub struct Body {
    /// Whether a call needs it.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// Its schema, references and all.
    pub schema: Value,
}

const VERBS: [(&str, http::Method); 5] = [
    ("get", http::Method::GET),
    ("post", http::Method::POST),
    ("put", http::Method::PUT),
    ("patch", http::Method::PATCH),
    ("delete", http::Method::DELETE),
];

impl Document {
    /// Reads a JSON document.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let root: Value = serde_json::from_slice(bytes).map_err(DocumentError::NotJson)?;
        let version = root
            .get("openapi")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !(version.starts_with("3.0") || version.starts_with("3.1")) {
            return Err(DocumentError::Version(version.to_owned()));
        }
        let paths = root
            .get("paths")
            .and_then(Value::as_object)
            .ok_or(DocumentError::NoPaths)?;
        let mut operations = Vec::new();
        for (path, item) in paths {
            let item = resolve(&root, item)?;
            let shared = read_parameters(&root, item.get("parameters"))?;
            for (name, verb) in VERBS {
                if let Some(operation) = item.get(name) {
                    operations.push(read_operation(&root, verb, path, operation, &shared)?);
                }
            }
        }
        Ok(Self {
            operations,
            root,
            digest: Sha256::digest(bytes).into(),
        })
    }

    /// All operations, in the document's order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What the document says the API is: its description, else its title.
    pub fn about(&self) -> Option<&str> {
        let info = self.root.get("info")?;
        text(info, "description").or_else(|| text(info, "title"))
    }

    /// SHA-256 of the document's bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The operation of that `operationId`.
    pub fn by_id(&self, id: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|operation| operation.id.as_deref() == Some(id))
    }

    /// The operation of that verb whose path has the same shape: the same fixed segments, and
    /// parameters, whatever their names, in the same places.
    pub fn by_shape(&self, verb: &http::Method, path: &str) -> Option<&Operation> {
        let shape = path_shape(path);
        self.operations
            .iter()
            .find(|operation| operation.verb == *verb && path_shape(&operation.path) == shape)
    }

    /// Follows references until something else stands there; one that leads nowhere is `None`.
    pub(crate) fn follow<'a>(&'a self, value: &'a Value) -> Option<&'a Value> {
        resolve(&self.root, value).ok()
    }
}

/// A path with every parameter's name taken out.
pub(crate) fn path_shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut in_name = false;
    for character in path.chars() {
        match character {
            '{' => {
                in_name = true;
                shape.push('{');
            }
            '}' => {
                in_name = false;
                shape.push('}');
            }
            _ if in_name => {}
            _ => shape.push(character),
        }
    }
    shape
}

/// The names of a path's parameters, in order.
pub(crate) fn path_parameters(path: &str) -> Vec<&str> {
    path.split('{')
        .skip(1)
        .filter_map(|piece| piece.split_once('}').map(|(name, _)| name))
        .collect()
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value
        .get(member)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn is_true(value: &Value, member: &str) -> bool {
    value.get(member).and_then(Value::as_bool).unwrap_or(false)
}

fn resolve<'a>(root: &'a Value, mut value: &'a Value) -> Result<&'a Value, DocumentError> {
    let mut seen = HashSet::new();
    while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        match target {
            Some(next) if seen.insert(reference) => value = next,
            _ => return Err(DocumentError::Reference(reference.to_owned())),
        }
    }
    Ok(value)
}

fn read_operation(
    root: &Value,
    verb: http::Method,
    path: &str,
    operation: &Value,
    shared: &[Parameter],
) -> Result<Operation, DocumentError> {
    let mut parameters = read_parameters(root, operation.get("parameters"))?;
    for parameter in shared {
        let own = parameters
            .iter()
            .any(|known| known.name == parameter.name && known.in_path == parameter.in_path);
        if !own {
            parameters.push(parameter.clone());
        }
    }
    let tags = operation.get("tags").and_then(Value::as_array);
    Ok(Operation {
        verb,
        path: path.to_owned(),
        id: text(operation, "operationId").map(str::to_owned),
        summary: text(operation, "summary").map(str::to_owned),
        description: text(operation, "description").map(str::to_owned),
        tags: tags
            .map(|tags| {
                tags.iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
        parameters,
        body: operation
            .get("requestBody")
            .map(|body| read_body(root, body))
            .transpose()?
            .flatten(),
        response: operation
            .get("responses")
            .and_then(Value::as_object)
            .map(|responses| read_response(root, responses))
            .transpose()?
            .flatten(),
        deprecated: is_true(operation, "deprecated"),
    })
}

fn read_parameters(root: &Value, list: Option<&Value>) -> Result<Vec<Parameter>, DocumentError> {
    let mut parameters = Vec::new();
    for entry in list.and_then(Value::as_array).into_iter().flatten() {
        let entry = resolve(root, entry)?;
        let place = text(entry, "in").unwrap_or_default();
        let (Some(name), "path" | "query") = (text(entry, "name"), place) else {
            continue;
        };
        parameters.push(Parameter {
            name: name.to_owned(),
            in_path: place == "path",
            required: place == "path" || is_true(entry, "required"),
            description: text(entry, "description").map(str::to_owned),
            schema: entry
                .get("schema")
                .or_else(|| json_content(entry))
                .cloned()
                .unwrap_or_else(|| Value::Object(Map::new())),
        });
    }
    Ok(parameters)
}

fn read_body(root: &Value, body: &Value) -> Result<Option<Body>, DocumentError> {
    let body = resolve(root, body)?;
    Ok(json_content(body).map(|schema| Body {
        required: is_true(body, "required"),
        description: text(body, "description").map(str::to_owned),
        schema: schema.clone(),
    }))
}

fn read_response(
    root: &Value,
    responses: &Map<String, Value>,
) -> Result<Option<Value>, DocumentError> {
    for (_, response) in responses
        .iter()
        .filter(|(status, _)| status.starts_with('2'))
    {
        if let Some(schema) = json_content(resolve(root, response)?) {
            return Ok(Some(schema.clone()));
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(paths: &Value) -> Result<Document, DocumentError> {
        let text = json!({ "openapi": "3.1.0", "info": { "title": "Tea" }, "paths": paths });
        Document::parse(text.to_string().as_bytes())
    }

    #[test]
    fn other_versions_and_other_texts_are_refused() {
        assert!(matches!(
            Document::parse(b"{"),
            Err(DocumentError::NotJson(_))
        ));
        let swagger = br#"{"swagger": "2.0", "paths": {}}"#;
        assert!(matches!(
            Document::parse(swagger),
            Err(DocumentError::Version(_))
        ));
        assert!(matches!(
            Document::parse(br#"{"openapi": "3.1.0"}"#),
            Err(DocumentError::NoPaths)
        ));
    }

    #[test]
    fn parameters_of_the_path_item_are_shared_and_overridden() {
        let read = document(&json!({ "/pots/{id}": {
            "parameters": [
                { "name": "id", "in": "path", "description": "shared" },
                { "name": "full", "in": "query" },
                { "name": "x-trace", "in": "header" }
            ],
            "get": { "parameters": [{ "name": "id", "in": "path", "description": "own" }] }
        } }))
        .unwrap();
        let parameters = &read.operations()[0].parameters;
        let names: Vec<_> = parameters
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        assert_eq!(names, ["id", "full"]);
        assert_eq!(parameters[0].description.as_deref(), Some("own"));
        assert!(parameters[0].required && !parameters[1].required);
    }

    #[test]
    fn a_reference_out_of_the_document_is_a_fault() {
        for reference in [
            "other.json#/x",
            "http://x/y",
            "#/components/parameters/None",
        ] {
            let read =
                document(&json!({ "/": { "get": { "parameters": [{ "$ref": reference }] } } }));
            assert!(matches!(read, Err(DocumentError::Reference(named)) if named == reference));
        }
    }

    #[test]
    fn references_in_a_circle_end() {
        let text = json!({
            "openapi": "3.1.0",
            "paths": { "/": { "get": { "parameters": [{ "$ref": "#/a" }] } } },
            "a": { "$ref": "#/b" }, "b": { "$ref": "#/a" }
        });
        assert!(Document::parse(text.to_string().as_bytes()).is_err());
    }

    #[test]
    fn operations_are_found_by_shape_whatever_their_parameters_are_called() {
        let read = document(&json!({
            "/pots/{id}": { "get": { "operationId": "one" } },
            "/pots/{pot}/lid": { "get": { "operationId": "lid" } }
        }))
        .unwrap();
        let found = |path| {
            read.by_shape(&http::Method::GET, path)
                .and_then(|op| op.id.clone())
        };
        assert_eq!(found("/pots/{key}").as_deref(), Some("one"));
        assert_eq!(found("/pots/{key}/lid").as_deref(), Some("lid"));
        assert_eq!(found("/pots/key"), None);
        assert_eq!(path_parameters("/a/{b}/c/{d}"), ["b", "d"]);
    }
}
