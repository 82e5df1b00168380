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
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut told = claviger_api::document().clone();
    claviger_edge::document::tell_needs(&mut told);
    // Beside the gateway's, which has its own tests.
    for part in ["/paths", "/components/schemas", "/components/responses"] {
        let own = told.pointer(part).unwrap().as_object();
        for (name, described) in own.unwrap() {
            assert_eq!(
                &served.pointer(part).unwrap()[name],
                described,
                "{part} {name}"
            );
        }
    }
    for member in ["openapi", "security"] {
        assert_eq!(served[member], claviger_api::document()[member]);
    }
}

/// What an operation answers with that status, wherever that is described.
fn response<'a>(operation: &'a Value, status: &str) -> &'a Value {
    let response = &operation["responses"][status];
    match response["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.trim_start_matches('#');
            let found = claviger_api::document().pointer(pointer);
            found.unwrap_or_else(|| panic!("{reference} is not there"))
        }
        None => response,
    }
}

#[test]
fn every_refusal_is_described_in_both_forms() {
    for (_, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        let is_open = operation.get("security").is_some();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut parameters = parameters.map(|one| one["in"].as_str().unwrap());
        let has_body = operation.get("requestBody").is_some();
        let mut statuses = vec!["403", "404", "429", "500", "503"];
        statuses.extend((!is_open).then_some("401"));
        statuses.extend(has_body.then_some("413"));
        statuses.extend((has_body || parameters.any(|place| place != "path")).then_some("400"));
        for status in statuses {
            let content = &response(operation, status)["content"];
            for (kind, schema) in [
                ("application/json", "Error"),
                ("application/problem+json", "Problem"),
            ] {
                let expected = format!("#/components/schemas/{schema}");
                assert_eq!(content[kind]["schema"]["$ref"], expected, "{id} {status}");
            }
        }
    }
}

#[test]
fn what_can_be_repeated_takes_an_idempotency_key() {
    let mut repeatable: Vec<_> = operations()
        .filter(|(_, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters
                .into_iter()
                .any(|one| one["name"] == "Idempotency-Key" && one["required"] == false)
        })
        .map(|(_, operation)| {
            for status in ["409", "422"] {
                assert!(response(operation, status)["description"].is_string());
            }
            operation["operationId"].as_str().unwrap()
        })
        .collect();
    repeatable.sort_unstable();
    let expected = [
        "createAccessKey",
        "createAccount",
        "createAccountUser",
        "createApiKey",
        "createInvitation",
        "createProject",
        "createTenant",
        "createWebhook",
        "importApiKeys",
        "rotateAccessKey",
        "rotateApiKey",
        "rotateWebhookSecret",
    ];
    assert_eq!(repeatable, expected);
}

#[test]
fn an_answer_is_described_as_the_json_that_it_is() {
    for (_, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            // What a lone `true` would be described as.
            let plain = &response["content"]["text/plain"];
            assert!(plain.is_null(), "{}: {status}", operation["operationId"]);
        }
    }
    // Metadata is any JSON, and comes back as it is.
    let schemas = &claviger_api::document()["components"]["schemas"];
    let metadata = &schemas["ApiKey"]["properties"]["customMetaData"];
    assert!(metadata["type"].is_null(), "{metadata}");
}
