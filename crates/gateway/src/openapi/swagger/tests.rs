//! Documents of version 2.0, read as if they were of version 3.

use serde_json::{Value, json};

use crate::openapi::schema::Strictly;
use crate::openapi::{Document, QueryStyle};

const TEA: &str = r##"
swagger: "2.0"
info: { title: Tea, version: "1" }
host: tea.example
basePath: /v1/
schemes: [http, https]
consumes: [application/json]
securityDefinitions:
  key: { type: apiKey, in: header, name: X-Key }
  login: { type: basic }
  machine:
    type: oauth2
    flow: application
    tokenUrl: https://tea.example/token
    scopes: { brew: Brews }
parameters:
  full: { name: full, in: query, type: boolean, description: All of it }
  pot: { name: pot, in: body, required: true, schema: { $ref: "#/definitions/Pot" } }
responses:
  Pot: { description: A pot, schema: { $ref: "#/definitions/Pot" } }
paths:
  /pots/{id}:
    parameters:
      - { name: id, in: path, required: true, type: integer, format: int64 }
    get:
      operationId: get
      parameters:
        - $ref: "#/parameters/full"
        - { name: colours, in: query, type: array, items: { type: string }, collectionFormat: multi }
      responses: { 200: { $ref: "#/responses/Pot" } }
    patch:
      operationId: change
      parameters: [{ $ref: "#/parameters/pot" }]
      responses: { 200: { schema: { $ref: "#/definitions/Pot" } } }
    post:
      operationId: pour
      consumes: [application/x-www-form-urlencoded]
      parameters:
        - { name: cups, in: formData, type: integer, required: true }
        - { name: of, in: formData, type: array, items: { type: string }, collectionFormat: pipes }
        - { name: to, in: formData, type: array, items: { type: string }, collectionFormat: multi }
      responses: { 204: { description: Done } }
    delete:
      operationId: read_in
      consumes: [text/plain]
      parameters: [{ name: words, in: body, required: true, schema: { type: string } }]
definitions:
  Pot:
    type: object
    required: [name]
    properties:
      name: { type: string, description: What it is called }
      lid: { type: string, x-nullable: true }
"##;

fn tea() -> Document {
    Document::parse(TEA.as_bytes()).unwrap()
}

#[test]
fn parameters_get_schemas_and_share_the_path_items() {
    let document = tea();
    let get = document.by_id("get").unwrap();
    let read: Vec<_> = get
        .parameters
        .iter()
        .map(|one| (one.name.as_str(), one.in_path, (*one.schema).clone()))
        .collect();
    let colours = json!({ "type": "array", "items": { "type": "string" } });
    assert_eq!(
        read,
        [
            ("full", false, json!({ "type": "boolean" })),
            ("colours", false, colours),
            ("id", true, json!({ "type": "integer", "format": "int64" })),
        ]
    );
    let styles: Vec<_> = get.parameters.iter().map(|one| one.style).collect();
    let expected = [
        QueryStyle::Exploded,
        QueryStyle::Exploded,
        QueryStyle::Exploded,
    ];
    assert_eq!(styles, expected, "`multi` is there once for each item");
    assert_eq!(get.parameters[0].description.as_deref(), Some("All of it"));
}

#[test]
fn bodies_and_answers_lead_to_the_definitions() {
    let document = tea();
    let change = document.by_id("change").unwrap();
    let body = change.body.as_ref().unwrap();
    assert!(body.required);
    let made = Strictly::new(&document).make(&body.schema);
    let properties = Value::Object(made.properties().unwrap().clone());
    assert_eq!(properties["name"]["description"], "What it is called");
    assert_eq!(properties["lid"]["type"], json!(["string", "null"]));
    for id in ["get", "change"] {
        let response = document.by_id(id).unwrap().response.clone();
        assert_eq!(*response.unwrap(), json!({ "$ref": "#/definitions/Pot" }));
    }
}

#[test]
fn bodies_that_are_no_json_are_no_arguments() {
    let document = tea();
    let operation = document.by_id("read_in").unwrap();
    assert!(operation.body.is_none() && operation.needs_other_body);
}

#[test]
fn fields_of_a_form_are_a_form_unless_it_has_parts() {
    let document = tea();
    let body = document.by_id("pour").unwrap().body.as_ref().unwrap();
    assert!(body.required);
    assert_eq!(body.schema["required"], json!(["cups"]));
    assert_eq!(body.form.as_ref().unwrap()["of"], QueryStyle::Joined('|'));
    assert!(
        !body.form.as_ref().unwrap().contains_key("to"),
        "there once for each item"
    );
    for (consumes, kind) in [("multipart/form-data", "string"), ("x/y", "file")] {
        let field = json!({ "name": "leaf", "in": "formData", "type": kind });
        let pots = json!({ "post": { "consumes": [consumes], "parameters": [field] } });
        let text = json!({ "swagger": "2.0", "paths": { "/pots": pots } }).to_string();
        let document = Document::parse(text.as_bytes()).unwrap();
        assert!(
            document.operations()[0].needs_other_body,
            "{consumes} {kind}"
        );
    }
}

#[test]
fn hosts_and_credentials_have_their_new_places() {
    let root = &tea().root;
    assert_eq!(root["servers"][0]["url"], "https://tea.example/v1");
    let schemes = &root["components"]["securitySchemes"];
    assert_eq!(schemes["key"]["name"], "X-Key");
    assert_eq!(
        schemes["login"],
        json!({ "type": "http", "scheme": "basic" })
    );
    let flow = &schemes["machine"]["flows"]["clientCredentials"];
    assert_eq!(flow["tokenUrl"], "https://tea.example/token");
}

#[test]
fn broken_documents_are_read_as_far_as_they_go() {
    for paths in [
        json!({ "/a": { "get": { "parameters": "none", "responses": [] } } }),
        json!({ "/a": { "post": { "parameters": [{ "in": "formData" }, 7, null] } } }),
        json!({ "/a": { "post": { "parameters": [{ "$ref": "#/parameters/x" }] } } }),
        json!({ "/a": [1], "/b": null }),
    ] {
        let text = json!({ "swagger": "2.0", "paths": paths, "parameters": [], "host": 3 });
        // Whatever comes of it, it is an answer.
        drop(Document::parse(text.to_string().as_bytes()));
    }
}
