//! From a connector and a document to tools. Every fault of the file against the document is told, not
//! only the first.

use std::collections::{HashMap, HashSet};

use http::Method;
use serde_json::{Map, Value};

use super::flat::{self, Flat};
use super::{LeftOut, UNDESCRIBED, hints, name};
use crate::argument::ArgumentCheck;
use crate::connector::file::{MethodEntry, ResourceEntry};
use crate::connector::{Connector, Fault, Faults};
use crate::openapi::{Document, Operation, path_shape};
use crate::request::{PathTemplate, Plan};
use crate::tool::Tool;
use claviger_domain::plain_text;

pub(super) fn compile(
    connector: &Connector,
    document: &Document,
) -> Result<(Vec<Tool>, Vec<LeftOut>), Faults> {
    let mut compiling = Compiling {
        connector,
        document,
        tools: Vec::new(),
        left_out: Vec::new(),
        used: HashSet::new(),
        faults: Vec::new(),
    };
    for (resource, entry) in &connector.file().resources {
        for (method, method_entry) in &entry.methods {
            compiling.add(resource, entry, method, method_entry);
        }
    }
    compiling.check_names();
    if !compiling.faults.is_empty() {
        return Err(Faults(compiling.faults));
    }
    compiling.note_unused();
    Ok((compiling.tools, compiling.left_out))
}

struct Compiling<'a> {
    connector: &'a Connector,
    document: &'a Document,
    tools: Vec<Tool>,
    left_out: Vec<LeftOut>,
    used: HashSet<(Method, String)>,
    faults: Vec<Fault>,
}

impl Compiling<'_> {
    fn add(
        &mut self,
        resource: &str,
        resource_entry: &ResourceEntry,
        method: &str,
        entry: &MethodEntry,
    ) {
        let place = entry
            .http
            .as_ref()
            .or(entry.operation.as_ref())
            .map(|source| source.referenced);
        let fault = |message: String| {
            Fault::perhaps_at(
                place.as_ref(),
                format!("method `{method}` of `{resource}`: {message}"),
            )
        };
        let (operation, path) = match find(self.document, entry) {
            Ok(found) => found,
            Err(message) => return self.faults.push(fault(message)),
        };
        self.used
            .insert((operation.verb.clone(), path_shape(&operation.path)));
        let words = entry
            .description
            .as_ref()
            .or(operation.description.as_ref());
        let Some(description) = words.or(operation.summary.as_ref()) else {
            self.left_out.push(left_out(operation, UNDESCRIBED));
            return;
        };
        let file = self.connector.file();
        let pagination = entry.pagination.as_ref().unwrap_or(&file.pagination);
        let source = flat::Source {
            document: self.document,
            operation,
            path: &path,
            method,
            entry,
            pagination,
        };
        let flat = flat::flatten(&source);
        let mut problems = flat.faults.clone();
        let check = ArgumentCheck::new(&flat.schemas.input);
        let template = PathTemplate::parse(&path);
        if let Err(problem) = &check {
            problems.push(format!("its schema cannot be compiled: {problem}"));
        }
        if template.is_none() {
            problems.push(format!("`{path}` is no path template"));
        }
        self.faults.extend(problems.into_iter().map(fault));
        let (Ok(check), Some(template)) = (check, template) else {
            return;
        };
        let read_only = entry.read_only.unwrap_or(operation.verb == Method::GET);
        let singular = resource_entry.singular.as_deref().unwrap_or(resource);
        let subject = hints::Subject {
            resource,
            singular,
            method,
            operation,
            read_only,
            is_local: self.connector.is_local(),
        };
        let tool = Tool {
            name: name::full(&file.tool_prefix.value, resource, singular, method),
            short_name: name::short(resource, method),
            resource: resource.to_owned(),
            method: method.to_owned(),
            description: plain_text::flowing(description),
            tags: tags(entry, resource_entry, operation),
            read_only,
            deprecated: entry.deprecated.unwrap_or(operation.deprecated),
            annotations: hints::annotations(&subject, &entry.annotations),
            required: flat.required.clone(),
            secret_fields: entry.secret_fields.clone(),
            accepts_sealed: entry.accepts_sealed.clone(),
            pagination: pagination.clone(),
            check,
            plan: plan(operation, template, entry, &flat),
            schemas: flat.schemas,
        };
        self.tools.push(tool);
    }

    /// Two tools of one name could not be told apart.
    fn check_names(&mut self) {
        let mut seen: HashMap<&str, &Tool> = HashMap::new();
        for (name, tool) in self
            .tools
            .iter()
            .map(|tool| (tool.name.as_str(), tool))
            .chain(
                self.tools
                    .iter()
                    .map(|tool| (tool.short_name.as_str(), tool)),
            )
        {
            match seen.insert(name, tool) {
                Some(other) if !std::ptr::eq(other, tool) => {
                    self.faults.push(Fault::without_place(format!(
                        "`{}` of `{}` and `{}` of `{}` are both named `{name}`",
                        other.method, other.resource, tool.method, tool.resource
                    )));
                }
                _ => {}
            }
        }
    }

    fn note_unused(&mut self) {
        for operation in self.document.operations() {
            if !self
                .used
                .contains(&(operation.verb.clone(), path_shape(&operation.path)))
            {
                self.left_out
                    .push(left_out(operation, "the connector does not name it"));
            }
        }
    }
}

/// The operation of a method, and its path with the parameters named as the file names them.
fn find<'a>(
    document: &'a Document,
    entry: &MethodEntry,
) -> Result<(&'a Operation, String), String> {
    if let Some(id) = &entry.operation {
        return document
            .by_id(&id.value)
            .map(|operation| (operation, operation.path.clone()))
            .ok_or_else(|| format!("the document has no operation `{}`", id.value));
    }
    let http = entry
        .http
        .as_ref()
        .map(|http| http.value.trim())
        .unwrap_or_default();
    let (verb, path) = http
        .split_once(' ')
        .and_then(|(verb, path)| Some((Method::from_bytes(verb.as_bytes()).ok()?, path.trim())))
        .ok_or_else(|| format!("`{http}` is not a verb and a path"))?;
    document
        .by_shape(&verb, path)
        .map(|operation| (operation, path.to_owned()))
        .ok_or_else(|| format!("the document has no `{http}`"))
}

fn left_out(operation: &Operation, reason: &'static str) -> LeftOut {
    LeftOut {
        operation: format!("{} {}", operation.verb, operation.path),
        reason,
    }
}

/// The method's own tags, else the resource's, else the document's in the form of a resource name.
fn tags(entry: &MethodEntry, resource: &ResourceEntry, operation: &Operation) -> Vec<String> {
    let own = entry.tags.as_ref().or(resource.tags.as_ref());
    own.cloned().unwrap_or_else(|| {
        let words = |tag: &String| {
            let words = tag
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty());
            words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
        };
        operation
            .tags
            .iter()
            .map(words)
            .filter(|tag| !tag.is_empty())
            .collect()
    })
}

fn plan(operation: &Operation, path: PathTemplate, entry: &MethodEntry, flat: &Flat) -> Plan {
    let mut fixed_query = Vec::new();
    let mut fixed_body = Map::new();
    let sends_body = operation.body.is_some();
    let in_query = |name: &str| {
        operation
            .parameters
            .iter()
            .any(|known| !known.in_path && known.name == name)
    };
    for (name, value) in &entry.fixed {
        if sends_body && !in_query(name) {
            fixed_body.insert(name.clone(), value.clone());
        } else {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            fixed_query.push((name.clone(), text));
        }
    }
    Plan {
        verb: operation.verb.clone(),
        path,
        arguments: flat.arguments.clone(),
        fixed_query,
        fixed_body,
        needs_body: needs_body(operation),
    }
}

/// A required body is sent also when every one of its members is left out.
fn needs_body(operation: &Operation) -> bool {
    let body = operation.body.as_ref();
    body.is_some_and(|body| body.required && body.schema != Value::Bool(true))
}
