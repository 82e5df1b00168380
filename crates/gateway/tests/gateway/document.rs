//! The gateway's OpenAPI document: that it has every operation, and that what is answered is what it says.

mod answers;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use claviger_domain::permission::Permission::{ProxyRead, ProxyWrite};
use claviger_testkit::TestResponse;
use serde_json::{Map, Value, json};

use crate::operations::{OPERATIONS, Operation};

static DOCUMENT: LazyLock<Value> = LazyLock::new(claviger_gateway::document);

/// The document's components, in which a member that is not named is a fault.
static STRICT: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    for (_, schema) in components["schemas"].as_object_mut().unwrap() {
        *schema = strict(schema);
    }
    components
});

/// Pages for people, and the paths that only look like something.
const UNDESCRIBED: [&str; 4] = [
    "/.well-known/{*path}",
    "/connect-account",
    "/connect-account/callback/{account}/{integration}",
    "/reveal",
];

fn described(path: &str, method: &str) -> &'static Value {
    &DOCUMENT["paths"][path][method.to_lowercase()]
}

fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let items = DOCUMENT["paths"].as_object().unwrap().iter();
    items.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// What a reference leads to.
fn resolved(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

/// A schema that takes no member that it does not name; what is put together from several is one.
fn strict(schema: &Value) -> Value {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let parts: Vec<&Value> = parts.map(resolved).collect();
    if parts.is_empty() {
        let mut schema = schema.clone();
        if schema["properties"].is_object() && schema["additionalProperties"].is_null() {
            schema["additionalProperties"] = false.into();
        }
        return schema;
    }
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let part = strict(part);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// How an answer is otherwise than the document says.
fn fault(one: &Operation, answer: &TestResponse) -> Option<String> {
    let status = answer.status.as_u16().to_string();
    let responses = &described(one.path, one.method)["responses"];
    let range = format!("{}XX", &status[..1]);
    let mut names = [status.as_str(), &range, "default"].into_iter();
    let Some(response) = names.find_map(|name| responses.get(name)) else {
        return Some(format!("{} has no {status}", one.id));
    };
    let content = &resolved(response)["content"];
    if answer.body.is_null() {
        return content
            .is_object()
            .then(|| format!("{} {status} has no body", one.id));
    }
    let kind = answer.header("content-type").split(';').next().unwrap();
    if content.get(kind).is_none() && content.get("*/*").is_none() {
        return Some(format!("{} {status} is {kind}", one.id));
    }
    // All else is passed on as it is.
    let media = content.get(kind)?;
    let mut schema = media["schema"].clone();
    schema["components"] = STRICT.clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<_> = validator
        .iter_errors(&answer.body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    (!faults.is_empty()).then(|| format!("{} {status}: {faults:?} in {}", one.id, answer.body))
}

#[test]
fn every_operation_of_the_document_is_covered() {
    let described: BTreeSet<_> = operations()
        .map(|(path, method, operation)| {
            let id = operation["operationId"].as_str().unwrap();
            (id, method.to_uppercase(), path)
        })
        .collect();
    let covered: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|one| (one.id, one.method.to_owned(), one.path))
        .collect();
    assert_eq!(described, covered);
}

/// The paths that a router has, as it tells them to whoever debugs it: nothing else tells them.
fn paths_of(router: &axum::Router) -> BTreeSet<String> {
    let told = format!("{router:?}");
    let named = told
        .split("RouteId(")
        .filter_map(|text| text.split_once("): \""));
    let paths = named.map(|(_, path)| path.split('"').next().unwrap().to_owned());
    paths.collect()
}

#[tokio::test]
async fn every_route_is_in_the_document_and_every_path_of_it_has_one() {
    let world = crate::world::World::new().await;
    let mut paths = paths_of(&claviger_gateway::router(&world.app.gateway));
    // Of the fallback that every router has.
    paths.retain(|path| path != "/" && !path.contains("__private"));
    let documented = DOCUMENT["paths"].as_object().unwrap().keys();
    let mut expected: BTreeSet<_> = documented
        .map(|path| path.replace("/custom/{path}", "/custom/{*path}"))
        .collect();
    expected.extend(UNDESCRIBED.map(str::to_owned));
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn every_method_of_a_route_is_in_the_document() {
    let world = crate::world::World::new().await;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        // What takes any method says so of those that a document can name.
        if path.starts_with("/mcp") || path.starts_with("/custom") {
            continue;
        }
        let asked = path.replace(['{', '}'], "");
        let refused = world
            .app
            .request("QUERY", &asked)
            .key(&world.owner)
            .send()
            .await;
        assert_eq!(refused.status, 405, "{path}");
        let allowed: BTreeSet<_> = refused
            .header("allow")
            .split(',')
            .map(str::to_lowercase)
            .collect();
        let mut methods: BTreeSet<_> = item.as_object().unwrap().keys().cloned().collect();
        if methods.contains("get") {
            methods.insert("head".to_owned());
        }
        assert_eq!(allowed, methods, "{path}");
    }
}

#[test]
fn every_operation_says_what_it_is_for_what_it_needs_and_what_it_answers() {
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        let text = |member: &str| operation[member].as_str().unwrap_or_default();
        assert!(
            text("summary").len() > 5 && text("description").len() > 15,
            "{id}"
        );
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{id}");
        let one = OPERATIONS.iter().find(|one| one.id == id).unwrap();
        let (needs, more) = match one.permission {
            // Of a tool without effects the former is enough.
            Some(ProxyWrite) => (Some(ProxyRead), "needs `proxy:write` as well"),
            permission => (permission, ""),
        };
        let said = needs.is_none_or(|needs| {
            text("x-needs").starts_with(&format!("Needs `{}` (", needs.as_str()))
        });
        assert!(said && text("description").contains(more), "{operation}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{id}: {parameter}");
        }
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let name = name.trim_end_matches('}');
            let mut parameters = operation["parameters"].as_array().unwrap().iter();
            let is_it = |one: &Value| one["name"] == name && one["required"] == true;
            assert!(parameters.any(is_it), "{method} {path}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = &resolved(response)["content"];
            assert_eq!(
                content.is_null(),
                ["202", "204"].contains(&status.as_str()),
                "{id} {status}"
            );
            assert!(content["text/plain"].is_null(), "{id} {status}");
            if !status.starts_with('2') {
                // As it is, or as one of two.
                let schema = &content["application/problem+json"]["schema"];
                let is_problem = |form: &Value| form["$ref"] == "#/components/schemas/Problem";
                let mut forms = [schema, &schema["anyOf"][0]].into_iter();
                assert!(forms.any(is_problem), "{id} {status}");
            }
        }
    }
}

#[test]
fn a_server_s_token_goes_beside_an_access_key_or_alone() {
    let security = |path| &described(path, "post")["security"];
    // In a path it is no credential that a document could name.
    let either = json!([{}, { "accessKey": [] }, { "bearer": [] }]);
    assert_eq!(security("/mcp/{token}"), &either);
    let with_key = json!([{ "bearer": [] }, { "bearer": [], "accessKey": [] }]);
    assert_eq!(security("/mcp"), &with_key);
}

#[test]
fn every_member_of_every_schema_is_described() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        // What connector files have is published by itself.
        if name.starts_with("Connector") && name.ends_with("Entry") {
            continue;
        }
        let parts = schema["allOf"].as_array().into_iter().flatten();
        for schema in parts.chain([schema]) {
            for (member, property) in schema["properties"].as_object().into_iter().flatten() {
                let mut forms = vec![property];
                forms.extend(property["oneOf"].as_array().into_iter().flatten());
                let is_described = forms.iter().any(|form| form["description"].is_string());
                assert!(is_described, "{name}.{member}: {property}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_led_to() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&DOCUMENT, &mut found);
    for reference in &found {
        assert!(
            DOCUMENT
                .pointer(reference.trim_start_matches('#'))
                .is_some(),
            "{reference}"
        );
    }
    for name in DOCUMENT["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            found.contains(&*format!("#/components/schemas/{name}")),
            "{name}"
        );
    }
}

#[test]
fn what_can_be_repeated_takes_an_idempotency_key() {
    let repeatable: BTreeSet<_> = operations()
        .filter(|(_, _, operation)| operation["responses"]["422"].is_object())
        .map(|(_, _, operation)| {
            let mut parameters = operation["parameters"].as_array().unwrap().iter();
            assert!(parameters.any(|one| one["name"] == "Idempotency-Key"));
            operation["operationId"].as_str().unwrap()
        })
        .collect();
    let expected = [
        "createConnectedAccount",
        "createLink",
        "createMcpServer",
        "rotateMcpServer",
    ];
    assert_eq!(repeatable, BTreeSet::from(expected));
}
