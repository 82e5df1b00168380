//! Resources of a connector whose file names none: they follow from the document's paths and verbs.

use std::collections::{HashMap, HashSet};

use http::Method;
use indexmap::IndexMap;

use crate::connector::file::MethodEntry;
use crate::openapi::{Document, Operation};

/// Names that mean something to filters or to tools, which no custom method may have.
const TAKEN: [&str; 11] = [
    "list", "get", "create", "update", "delete", "read", "write", "custom", "post", "put", "patch",
];
/// The longest name of a method; longer ones would leave nothing of a tool's name.
const LONGEST: usize = 60;

/// One derived method.
pub(super) struct Derived<'a> {
    pub(super) resource: String,
    pub(super) method: String,
    pub(super) operation: &'a Operation,
    pub(super) entry: MethodEntry,
}

/// The methods of a document, those of a resource together.
pub(super) fn derive(document: &Document) -> Vec<Derived<'_>> {
    let operations = document.operations();
    let shared = shared_segments(operations);
    let patched: HashSet<&str> = operations
        .iter()
        .filter(|operation| operation.verb == Method::PATCH)
        .map(|operation| operation.path.as_str())
        .collect();
    let mut resources: IndexMap<String, Vec<Derived<'_>>> = IndexMap::new();
    let mut taken: HashMap<String, HashSet<String>> = HashMap::new();
    for operation in operations {
        let resource = resource_name(&operation.path, shared);
        let taken = taken.entry(resource.clone()).or_default();
        // Of two ways to change the same thing, the one that changes what is given is the update.
        let is_second = operation.verb == Method::PUT && patched.contains(operation.path.as_str());
        let method = standard(operation)
            .filter(|method| !is_second && !taken.contains(*method))
            .map_or_else(|| custom(operation, taken), str::to_owned);
        taken.insert(method.clone());
        let undescribed = operation.description.is_none() && operation.summary.is_none();
        let entry = MethodEntry {
            description: undescribed.then(|| format!("{} {}", operation.verb, operation.path)),
            ..MethodEntry::default()
        };
        resources
            .entry(resource.clone())
            .or_default()
            .push(Derived {
                resource,
                method,
                operation,
                entry,
            });
    }
    resources.into_values().flatten().collect()
}

fn is_parameter(segment: &str) -> bool {
    segment.contains('{')
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// How many fixed segments all paths begin with, as long as each of them goes on with another.
fn shared_segments(operations: &[Operation]) -> usize {
    let mut shared: Option<Vec<&str>> = None;
    for operation in operations {
        let mut own: Vec<&str> = segments(&operation.path)
            .take_while(|segment| !is_parameter(segment))
            .collect();
        let fixed = segments(&operation.path).filter(|segment| !is_parameter(segment));
        own.truncate(fixed.count().saturating_sub(1));
        let alike = match &shared {
            None => own.len(),
            Some(before) => before.iter().zip(&own).take_while(|(a, b)| a == b).count(),
        };
        own.truncate(alike);
        shared = Some(own);
    }
    shared.map_or(0, |shared| shared.len())
}

fn resource_name(path: &str, shared: usize) -> String {
    let fixed = segments(path)
        .filter(|segment| !is_parameter(segment))
        .skip(shared);
    let name = fixed.map(ascii).collect::<Vec<_>>().join("_");
    if name.is_empty() {
        "root".to_owned()
    } else {
        name
    }
}

fn ascii(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

/// The standard method of a verb on one item, or on all.
fn standard(operation: &Operation) -> Option<&'static str> {
    let of_item = segments(&operation.path).last().is_some_and(is_parameter);
    match (of_item, operation.verb.as_str()) {
        (true, "GET") => Some("get"),
        (true, "PATCH" | "PUT") => Some("update"),
        (true, "DELETE") => Some("delete"),
        (false, "GET") => Some("list"),
        (false, "POST") => Some("create"),
        _ => None,
    }
}

/// A name of the operation's own that no other method of the resource has.
fn custom(operation: &Operation, taken: &HashSet<String>) -> String {
    let verb = operation.verb.as_str().to_ascii_lowercase();
    let mut name = match &operation.id {
        Some(id) => ascii(id),
        None => format!("{verb}_{}", resource_name(&operation.path, 0)),
    };
    if TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
        name = format!("{verb}_{name}");
    }
    name.truncate(LONGEST);
    let mut candidate = name.clone();
    let mut number = 2;
    while taken.contains(&candidate) {
        candidate = format!("{name}_{number}");
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn derived(paths: &Value) -> Vec<String> {
        let text = json!({ "openapi": "3.1.0", "paths": paths }).to_string();
        let document = Document::parse(text.as_bytes()).unwrap();
        let methods = derive(&document);
        methods
            .iter()
            .map(|one| format!("{} {} = {}", one.resource, one.method, one.operation.verb))
            .collect()
    }

    #[test]
    fn paths_and_verbs_say_what_a_method_is() {
        let found = derived(&json!({
            "/api/v1/pots": { "get": {}, "post": {}, "delete": { "operationId": "pots/clear all" } },
            "/api/v1/pots/{id}": { "get": {}, "put": { "operationId": "swap" }, "patch": {}, "delete": {} },
            "/api/v1/pots/{id}/lids/{lid}": { "put": {}, "post": { "operationId": "turn" } },
            "/api/v1/tea-bags/{id}/steep": { "post": {}, "head": {} }
        }));
        assert_eq!(
            found,
            [
                "pots list = GET",
                "pots create = POST",
                "pots pots_clear_all = DELETE",
                "pots get = GET",
                "pots swap = PUT",
                "pots update = PATCH",
                "pots delete = DELETE",
                "pots_lids turn = POST",
                "pots_lids update = PUT",
                "tea-bags_steep create = POST",
                "tea-bags_steep head_api_v1_tea-bags_steep = HEAD",
            ]
        );
    }

    #[test]
    fn what_all_paths_share_leaves_each_a_name() {
        let only = json!({ "/api/pots": { "get": {} }, "/api/pots/{id}": { "get": {} } });
        assert_eq!(derived(&only), ["pots list = GET", "pots get = GET"]);
        let root = json!({ "/": { "get": {} }, "/{id}": { "get": {} }, "/api/x": { "get": {} } });
        assert_eq!(
            derived(&root),
            ["root list = GET", "root get = GET", "api_x list = GET"]
        );
    }

    #[test]
    fn a_second_operation_on_a_method_has_its_own_name() {
        let found = derived(&json!({
            "/pots/{id}": { "get": { "operationId": "one" } },
            "/pots/by/{name}": { "get": {} },
            "/pots/{a}/{b}": { "get": { "operationId": "two" } },
            "/pots/{a}/{b}/{c}": { "get": { "operationId": "two" } },
            "/pots/{a}/{b}/{c}/{d}": { "get": { "operationId": "List" } }
        }));
        assert_eq!(
            found,
            [
                "pots get = GET",
                "pots two = GET",
                "pots two_2 = GET",
                "pots get_List = GET",
                "pots_by get = GET",
            ]
        );
    }
}
