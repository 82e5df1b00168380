//! From a connector and a document to tools. Every fault of the file against the document is told, not
//! only the first.

use std::collections::{HashMap, HashSet};

use http::Method;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::derive::derive;
use super::flat::{self, Flat};
use super::{LeftOut, UNDESCRIBED, hints, name, size};
use crate::argument::ArgumentCheck;
use crate::connector::access::Authorization;
use crate::connector::file::{MethodEntry, Placed, ResourceEntry};
use crate::connector::value_path::ValuePath;
use crate::connector::{Connector, Fault, Faults};
use crate::openapi::schema::beginning;
use crate::openapi::{Bounds, Document, Operation, path_shape};
use crate::request::{PathTemplate, Plan, parameters_of};
use crate::tool::Tool;
use claviger_domain::plain_text;

/// How many bytes the tools of one connector may take, about: some ten thousand tools.
const LARGEST: usize = 128 * 1_024 * 1_024;
/// What descriptions of tools are cut to: no client shows a model more.
const LONGEST_DESCRIPTION: usize = 8_000;

pub(super) fn compile(
    connector: &Connector,
    document: &Document,
    bounds: &Bounds<'_>,
) -> Result<Compiled, Faults> {
    let mut compiling = Compiling {
        connector,
        document,
        compiled: Compiled::default(),
        used: HashSet::new(),
        faults: Vec::new(),
    };
    let resources = &connector.file().resources;
    let ended = if resources.is_empty() {
        compiling.add_derived(bounds)
    } else {
        compiling.add_named(resources, bounds)
    };
    if let Err(fault) = ended {
        compiling.faults.push(fault);
    }
    compiling.check_names();
    if !compiling.faults.is_empty() {
        return Err(Faults(compiling.faults));
    }
    compiling.note_unused();
    Ok(compiling.compiled)
}

/// What came of a connector and a document.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) tools: Vec<Tool>,
    pub(super) left_out: Vec<LeftOut>,
    /// What the tools take in memory, about.
    pub(super) bytes: usize,
}

struct Compiling<'a> {
    connector: &'a Connector,
    document: &'a Document,
    compiled: Compiled,
    used: HashSet<(Method, String)>,
    faults: Vec<Fault>,
}

/// A method, and the operation that it is.
struct Subject<'a> {
    resource: &'a str,
    resource_entry: &'a ResourceEntry,
    method: &'a str,
    entry: &'a MethodEntry,
    operation: &'a Operation,
    /// The path as the file writes it, whose parameters name the arguments.
    path: &'a str,
}

impl Compiling<'_> {
    fn add_named(
        &mut self,
        resources: &IndexMap<String, ResourceEntry>,
        bounds: &Bounds<'_>,
    ) -> Result<(), Fault> {
        for (resource, resource_entry) in resources {
            for (method, entry) in &resource_entry.methods {
                match find(self.document, entry) {
                    Ok((operation, path)) => self.add(&Subject {
                        resource,
                        resource_entry,
                        method,
                        entry,
                        operation,
                        path: &path,
                    }),
                    Err(message) => {
                        self.faults.push(about(resource, method, entry, &message));
                    }
                }
                self.check_bounds(bounds)?;
            }
        }
        Ok(())
    }

    fn add_derived(&mut self, bounds: &Bounds<'_>) -> Result<(), Fault> {
        let resource_entry = ResourceEntry::default();
        for derived in derive(self.document) {
            self.add(&Subject {
                resource: &derived.resource,
                resource_entry: &resource_entry,
                method: &derived.method,
                entry: &derived.entry,
                operation: derived.operation,
                path: &derived.operation.path,
            });
            self.check_bounds(bounds)?;
        }
        Ok(())
    }

    fn check_bounds(&self, bounds: &Bounds<'_>) -> Result<(), Fault> {
        let message = if self.compiled.bytes > LARGEST {
            "the tools are larger than what is kept of one connector; name fewer in `resources`"
        } else if (bounds.has_time)() {
            return Ok(());
        } else {
            "making its tools takes too long; name fewer in `resources`"
        };
        Err(Fault::without_place(message.to_owned()))
    }

    fn add(&mut self, subject: &Subject<'_>) {
        let &Subject {
            resource,
            resource_entry,
            method,
            entry,
            operation,
            path,
        } = subject;
        self.used
            .insert((operation.verb.clone(), path_shape(&operation.path)));
        let words = entry
            .description
            .as_ref()
            .or(operation.description.as_ref());
        let Some(description) = words.or(operation.summary.as_ref()) else {
            self.leave_out(operation, UNDESCRIBED);
            return;
        };
        if operation.needs_other_body {
            self.leave_out(operation, "its body is neither JSON nor a URL-encoded form");
            return;
        }
        let file = self.connector.file();
        let pagination = entry.pagination.as_ref().unwrap_or(&file.pagination);
        // Some documents tell operations of one path apart by what is always in the query.
        let (bare_path, always) = path.split_once('?').unwrap_or((path, ""));
        let sent = self.sent_in_query(subject, parameters_of(always));
        let source = flat::Source {
            document: self.document,
            operation,
            path,
            method,
            entry,
            pagination,
            sent: &sent,
        };
        let flat = flat::flatten(&source);
        let problems = flat.faults.iter();
        self.faults
            .extend(problems.map(|problem| about(resource, method, entry, problem)));
        self.check_secrets(subject);
        let template = PathTemplate::parse(bare_path).filter(|_| !always.contains(['{', '#']));
        let Some(template) = template else {
            self.leave_out(operation, "its path is no path template");
            return;
        };
        let Ok(check) = ArgumentCheck::new(&flat.schemas.input) else {
            self.leave_out(operation, "its schema cannot be checked");
            return;
        };
        let read_only = entry.read_only.unwrap_or(operation.verb.is_safe());
        let singular = resource_entry.singular.as_deref().unwrap_or(resource);
        let hinted = hints::Subject {
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
            description: plain_text::flowing(beginning(description, LONGEST_DESCRIPTION)),
            tags: tags(entry, resource_entry, operation),
            read_only,
            deprecated: entry.deprecated.unwrap_or(operation.deprecated),
            annotations: hints::annotations(&hinted, &entry.annotations),
            required: flat.required.clone(),
            secret_fields: entry.secret_fields.clone(),
            sealed_fields: entry.sealed_fields.clone(),
            masked_fields: entry.masked_fields.clone(),
            accepts_sealed: entry.accepts_sealed.clone(),
            response_path: entry.response_path.as_ref().and_then(placed_path),
            map: entry
                .map
                .iter()
                .filter_map(|(name, path)| Some((name.clone(), placed_path(path)?)))
                .collect(),
            pagination: pagination.clone(),
            check,
            plan: self.plan(subject, template, parameters_of(always), &flat, sent),
            schemas: flat.schemas,
        };
        self.compiled.bytes += size::of_tool(&tool);
        self.compiled.tools.push(tool);
    }

    fn plan(
        &self,
        subject: &Subject<'_>,
        path: PathTemplate,
        mut fixed_query: Vec<(String, String)>,
        flat: &Flat,
        sent: Vec<String>,
    ) -> Plan {
        let operation = subject.operation;
        let mut fixed_body = Map::new();
        let sends_body = operation.body.is_some();
        let in_query = |name: &str| {
            operation
                .parameters
                .iter()
                .any(|known| !known.in_path && known.name == name)
        };
        for (name, value) in &subject.entry.fixed {
            if sends_body && !in_query(name) {
                fixed_body.insert(name.clone(), value.clone());
            } else {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                fixed_query.push((name.clone(), text));
            }
        }
        let reserved = if flat.spreads {
            self.reserved(subject, sent)
        } else {
            Vec::new()
        };
        Plan {
            verb: operation.verb.clone(),
            path,
            arguments: flat.arguments.clone(),
            reserved,
            fixed_query,
            fixed_body,
            needs_body: needs_body(operation),
            form: operation.body.as_ref().and_then(|body| body.form.clone()),
        }
    }

    /// What is sent in the query of an operation whatever its arguments are: what its path has there, what the file
    /// fixes, what goes with every call, and credentials.
    fn sent_in_query(&self, subject: &Subject<'_>, always: Vec<(String, String)>) -> Vec<String> {
        let access = self.connector.access();
        let formats = access.formats.values();
        let credentials = formats.filter_map(|format| match &format.authorization {
            Authorization::Query(name, _) => Some(name),
            _ => None,
        });
        let of_calls = access.query.iter().map(|(name, _)| name);
        let others = subject
            .entry
            .fixed
            .keys()
            .chain(of_calls)
            .chain(credentials);
        let always = always.into_iter().map(|(name, _)| name);
        always.chain(others.cloned()).collect()
    }

    /// All names in the query of an operation that have a meaning.
    fn reserved(&self, subject: &Subject<'_>, sent: Vec<String>) -> Vec<String> {
        let pagination = subject.entry.pagination.as_ref();
        let pages = pagination.unwrap_or(&self.connector.file().pagination);
        let pages = pages.parameters().into_iter();
        let pages = pages.filter(|_| subject.method == "list");
        let parameters = subject.operation.parameters.iter();
        let others = parameters.filter(|known| !known.in_path);
        let others = others.map(|known| known.name.as_str());
        let others = pages.chain(others).map(str::to_owned);
        sent.into_iter().chain(others).collect()
    }

    /// A misspelt secret would be shown: what the document lists without it is a fault.
    fn check_secrets(&mut self, subject: &Subject<'_>) {
        let entry = subject.entry;
        let Some(answer) = &subject.operation.response else {
            return;
        };
        let named = entry.secret_fields.iter().chain(&entry.sealed_fields);
        for field in named.chain(&entry.masked_fields) {
            let (first, rest) = field.split_once('.').unwrap_or((field, ""));
            let source = match entry.map.get(first) {
                Some(source) => Some(source.value.as_str()),
                None => entry.map.is_empty().then_some(first),
            };
            let within = entry.response_path.as_ref().map(|path| path.value.as_str());
            let is_there = source.is_some_and(|source| {
                let steps = within.into_iter().chain([source, rest]);
                let steps: Vec<_> = steps.filter(|step| !step.is_empty()).collect();
                self.document.may_have(answer, &steps.join("."))
            });
            if !is_there {
                let problem = format!("answers have no `{field}`, which is named as a secret");
                let fault = about(subject.resource, subject.method, entry, &problem);
                self.faults.push(fault);
            }
        }
    }

    fn leave_out(&mut self, operation: &Operation, reason: &'static str) {
        self.compiled.left_out.push(LeftOut {
            operation: format!("{} {}", operation.verb, operation.path),
            reason,
        });
    }

    /// Two tools of one name could not be told apart. Where the file names them that is a fault of the
    /// file; derived ones have nobody who could name them otherwise, and the later one gets a tail.
    fn check_names(&mut self) {
        let derived = self.connector.file().resources.is_empty();
        let mut seen: HashMap<String, (usize, String)> = HashMap::new();
        for (at, tool) in self.compiled.tools.iter_mut().enumerate() {
            let shown = format!("`{}` of `{}`", tool.method, tool.resource);
            for name in [&mut tool.name, &mut tool.short_name] {
                let other = seen.get(name.as_str()).filter(|(other, _)| *other != at);
                match other {
                    Some(_) if derived => *name = name::with_tail(name, &shown),
                    Some((_, other)) => self.faults.push(Fault::without_place(format!(
                        "{other} and {shown} are both named `{name}`"
                    ))),
                    None => {}
                }
                seen.insert(name.clone(), (at, shown.clone()));
            }
        }
    }

    fn note_unused(&mut self) {
        for operation in self.document.operations() {
            let shape = (operation.verb.clone(), path_shape(&operation.path));
            if !self.used.contains(&shape) {
                self.leave_out(operation, "the connector does not name it");
            }
        }
    }
}

/// A fault of one method, at its place in the file.
fn about(resource: &str, method: &str, entry: &MethodEntry, message: &str) -> Fault {
    let source = entry.http.as_ref().or(entry.operation.as_ref());
    Fault::perhaps_at(
        source.map(|source| &source.referenced),
        format!("method `{method}` of `{resource}`: {message}"),
    )
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

/// A path that the check of the file has found sound.
fn placed_path(path: &Placed) -> Option<ValuePath> {
    ValuePath::parse(&path.value).ok()
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

/// A required body is sent also when every one of its members is left out.
fn needs_body(operation: &Operation) -> bool {
    let body = operation.body.as_ref();
    body.is_some_and(|body| body.required && *body.schema != Value::Bool(true))
}
