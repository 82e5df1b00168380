//! The OpenAPI document: what agents and generated clients read.

use claviger_testkit::TestApp;
use serde_json::Value;

fn operations() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let items = claviger_api::document()["paths"].as_object();
    items.into_iter().flatten().flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(_, operation)| (path.as_str(), operation))
    })
}

#[test]
fn every_operation_says_what_it_is_for_and_what_it_answers() {
    for (path, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|text| text.len() > 5),
            "{id}"
        );
        assert!(
            operation["description"]
                .as_str()
                .is_some_and(|text| text.len() > 15),
            "{id}"
        );
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{id}");
        let responses = operation["responses"].as_object().unwrap();
        let success = responses.iter().find(|(status, _)| status.starts_with('2'));
        let (status, success) = success.unwrap_or_else(|| panic!("{id} has no success"));
        let has_body = !success["content"].is_null();
        assert_eq!(has_body, status != "204", "{id}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            assert!(parameter["description"].is_string(), "{id}: {name}");
        }
        for name in path.split('/').filter_map(|one| one.strip_prefix('{')) {
            let name = name.trim_end_matches('}');
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(
                parameters
                    .iter()
                    .any(|one| one["name"] == name && one["required"] == true),
                "{id}"
            );
        }
    }
}

#[test]
fn every_member_of_every_schema_is_described() {
    let schemas = claviger_api::document()["components"]["schemas"]
        .as_object()
        .unwrap();
    for (name, schema) in schemas {
        for (member, property) in schema["properties"].as_object().into_iter().flatten() {
            // A member that may be null is described in its first form.
            let mut forms = vec![property];
            forms.extend(property["oneOf"].as_array().into_iter().flatten());
            let is_described = forms.iter().any(|form| form["description"].is_string());
            assert!(is_described, "{name}.{member}: {property}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let app = TestApp::start().await;
    let served = app.request("GET", "/openapi.json").send().await.expect(200);
    assert_eq!(&served, claviger_api::document());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}
