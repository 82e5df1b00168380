//! An OpenAPI document, read as far as tools need it: operations with their path and query parameters,
//! JSON bodies and answers. Versions 3.0 and 3.1 are read as they are, Swagger 2.0 after `swagger` has
//! given it their shape. Schemas stay JSON; [`schema`] makes of them what clients accept.

pub mod schema;

mod fault;
mod members;
mod operation;
mod swagger;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use fault::{DocumentError, DocumentFault, Position};
pub use text::Bounds;
pub(crate) use text::{options as yaml_options, read as read_value};

/// How many bytes a document may have.
pub const LARGEST: usize = 32 * 1_024 * 1_024;
/// How deep it may be nested.
const DEEPEST: usize = 64;
/// How many operations are read: several times what the largest published documents have.
pub(crate) const MOST_OPERATIONS: usize = 20_000;
/// How many parameters an operation may have.
pub(crate) const MOST_PARAMETERS: usize = 500;
/// The longest URL of a server that is looked at.
const LONGEST_URL: usize = 2_000;
/// How many references may lead to the next before something else stands there.
const LONGEST_CHAIN: usize = 32;

/// A document and its operations.
#[derive(Debug)]
pub struct Document {
    root: Value,
    operations: Vec<Operation>,
    by_id: HashMap<String, usize>,
    by_shape: HashMap<(http::Method, String), usize>,
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
    /// Its body, in JSON or as a form.
    pub body: Option<Body>,
    /// Whether a call needs a body, or says what it has to say in one, of a kind that tools cannot send.
    pub needs_other_body: bool,
    /// The schema of its first successful JSON answer.
    pub response: Option<Arc<Value>>,
    /// Whether it is marked deprecated.
    pub deprecated: bool,
}

/// How lists and objects are written in a query, in OpenAPI's words: style and explode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryStyle {
    /// `form`, exploded: the name is there once for each item, and members stand under their own names.
    #[default]
    Exploded,
    /// Not exploded: items, or names and values in turns, with that between them.
    Joined(char),
    /// `deepObject`: members stand under `name[member]`.
    Deep,
    /// As JSON.
    Json,
    /// As forms that say no more have it: items under the same name, and what has members as JSON.
    Form,
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
    pub schema: Arc<Value>,
    /// How it is written in a query.
    pub style: QueryStyle,
}

/// A request body.
#[derive(Debug, Clone)]
pub struct Body {
    /// Whether a call needs it.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// Its schema, references and all.
    pub schema: Arc<Value>,
    /// Of a form, how members are written whose style the document names; `None` for JSON.
    pub form: Option<HashMap<String, QueryStyle>>,
}

impl Document {
    /// Reads a document of whoever runs the program.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::read(bytes, &Bounds::OWN)
    }

    /// Reads a document within bounds.
    pub fn read(bytes: &[u8], bounds: &Bounds<'_>) -> Result<Self, DocumentError> {
        Self::read_part(bytes, bytes, bounds)
    }

    /// Reads a document that was a part of `whole`, in which faults have their places.
    pub(crate) fn read_part(
        bytes: &[u8],
        whole: &[u8],
        bounds: &Bounds<'_>,
    ) -> Result<Self, DocumentError> {
        let mut root = text::read(bytes, bounds)?;
        match version(&root) {
            Version::Three => {}
            Version::Two => swagger::convert(&mut root),
            Version::Other => return Err(DocumentFault::Version.into()),
        }
        let operations = check_references(&root)
            .and_then(|()| operation::read_all(&root, bounds))
            .map_err(|fault| fault.located(whole))?;
        let (mut by_id, mut by_shape) = (HashMap::new(), HashMap::new());
        for (at, operation) in operations.iter().enumerate() {
            if let Some(id) = &operation.id {
                by_id.entry(id.clone()).or_insert(at);
            }
            let shape = (operation.verb.clone(), path_shape(&operation.path));
            by_shape.entry(shape).or_insert(at);
        }
        Ok(Self {
            operations,
            by_id,
            by_shape,
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

    /// What the document calls the API.
    pub fn title(&self) -> Option<&str> {
        text(self.root.get("info")?, "title")
    }

    /// Where the API is, when the document says so: the first server that is a whole URL, its variables at their
    /// defaults.
    pub fn server(&self) -> Option<String> {
        let mut whole = self.servers().filter(|url| {
            (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['{', '}'])
        });
        whole.next()
    }

    /// Under which path the API is, when the document says that alone.
    pub(crate) fn server_path(&self) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        self.servers().find(|url| {
            let is_path = url.len() > 1 && url.starts_with('/') && !url.contains("//");
            is_path && url.chars().all(is_plain) && !url.contains("/.")
        })
    }

    fn servers(&self) -> impl Iterator<Item = String> {
        let servers = self.root.get("servers").and_then(Value::as_array);
        servers.into_iter().flatten().filter_map(|server| {
            let variables = server.get("variables").and_then(Value::as_object);
            let is_short = |text: &&str| text.len() <= LONGEST_URL;
            let mut url = text(server, "url").filter(is_short)?.to_owned();
            for (name, variable) in variables.into_iter().flatten() {
                if let Some(default) = text(variable, "default").filter(is_short) {
                    url = url.replace(&format!("{{{name}}}"), default);
                }
                // What multiplies ends here.
                url = Some(url).filter(|url| is_short(&url.as_str()))?;
            }
            Some(url.trim_end_matches('/').to_owned())
        })
    }

    /// The ways in which the document says that callers show who they are.
    pub(crate) fn security_schemes(&self) -> Option<&Map<String, Value>> {
        let schemes = self.root.get("components")?.get("securitySchemes")?;
        schemes.as_object()
    }

    /// SHA-256 of the document's bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The operation of that `operationId`.
    pub fn by_id(&self, id: &str) -> Option<&Operation> {
        self.by_id.get(id).map(|at| &self.operations[*at])
    }

    /// The operation of that verb whose path has the same shape: the same fixed segments, and
    /// parameters, whatever their names, in the same places.
    pub fn by_shape(&self, verb: &http::Method, path: &str) -> Option<&Operation> {
        let shape = (verb.clone(), path_shape(path));
        self.by_shape.get(&shape).map(|at| &self.operations[*at])
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

/// What a reference leads to, within the document.
fn pointed<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if !pointer.contains('%') {
        return root.pointer(pointer);
    }
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8();
    root.pointer(&decoded.ok()?)
}

fn resolve<'a>(root: &'a Value, mut value: &'a Value) -> Result<&'a Value, Unread<'a>> {
    for _ in 0..LONGEST_CHAIN {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return Ok(value);
        };
        match pointed(root, reference) {
            Some(next) => value = next,
            None => return Err(Unread::Reference(DocumentFault::LostReference, reference)),
        }
    }
    let reference = value.get("$ref").and_then(Value::as_str);
    Err(Unread::Reference(
        DocumentFault::LostReference,
        reference.unwrap_or_default(),
    ))
}

/// A fault whose place has not been looked up yet.
enum Unread<'a> {
    Fault(DocumentError),
    /// A reference, by its text.
    Reference(DocumentFault, &'a str),
}

impl Unread<'_> {
    fn located(&self, text: &[u8]) -> DocumentError {
        match self {
            Self::Fault(fault) => *fault,
            Self::Reference(kind, reference) => {
                let wanted = reference.as_bytes();
                let at = (!wanted.is_empty())
                    .then(|| text.windows(wanted.len()).position(|here| here == wanted))
                    .flatten();
                kind.at(at.map(|at| Position::of(text, at)))
            }
        }
    }
}

impl From<DocumentFault> for Unread<'_> {
    fn from(kind: DocumentFault) -> Self {
        Self::Fault(kind.into())
    }
}

impl From<DocumentError> for Unread<'_> {
    fn from(fault: DocumentError) -> Self {
        Self::Fault(fault)
    }
}

enum Version {
    Two,
    Three,
    Other,
}

/// A version that is written without quotes is a number.
fn version(root: &Value) -> Version {
    let shown = |member: &str| match root.get(member) {
        Some(Value::String(version)) => version.trim().to_owned(),
        Some(Value::Number(version)) => version.to_string(),
        _ => String::new(),
    };
    let three = shown("openapi");
    let is = |version: &str| three == version || three.starts_with(&format!("{version}."));
    if is("3.0") || is("3.1") {
        Version::Three
    } else if matches!(shown("swagger").as_str(), "2.0" | "2") {
        Version::Two
    } else {
        Version::Other
    }
}

/// Members whose values are data, in which a `$ref` is a name like any other.
const DATA: [&str; 5] = ["example", "examples", "default", "enum", "const"];

/// Refuses references out of the document wherever they stand: nothing is ever fetched for one.
fn check_references(value: &Value) -> Result<(), Unread<'_>> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_references),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            if DATA.contains(&name.as_str()) || name.starts_with("x-") {
                return Ok(());
            }
            match member {
                Value::String(reference) if name == "$ref" && !reference.starts_with('#') => Err(
                    Unread::Reference(DocumentFault::OutsideReference, reference),
                ),
                other => check_references(other),
            }
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
