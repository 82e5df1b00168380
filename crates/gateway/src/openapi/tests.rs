//! Documents of several versions, and what is wrong with others.

use std::fmt::Write as _;

use serde_json::json;

use super::*;

fn document(paths: &Value) -> Result<Document, DocumentError> {
    let text = json!({ "openapi": "3.1.0", "info": { "title": "Tea" }, "paths": paths });
    Document::parse(text.to_string().as_bytes())
}

fn fault(text: &[u8]) -> (DocumentFault, Option<(u64, u64)>) {
    let fault = Document::parse(text).unwrap_err();
    let place = fault.position.map(|place| (place.line, place.column));
    (fault.kind, place)
}

#[test]
fn other_versions_and_other_texts_are_refused() {
    assert_eq!(fault(b"{"), (DocumentFault::NotJson, Some((1, 1))));
    for other in [
        r#"{"swagger": "1.2", "paths": {}}"#,
        r#"{"openapi": "3.2.0", "paths": {}}"#,
        "openapi: 3.01\npaths: {}",
        "[]",
        "",
    ] {
        let (kind, _) = fault(other.as_bytes());
        assert!(
            matches!(kind, DocumentFault::Version | DocumentFault::NotYaml),
            "{other}: {kind:?}"
        );
    }
    let without = br#"{"openapi": "3.1.0"}"#;
    assert_eq!(fault(without), (DocumentFault::NoPaths, None));
}

#[test]
fn yaml_is_read_as_json_is() {
    let text = "openapi: 3.0.1\ninfo: { title: Tea, version: 1 }\npaths:\n  /pots:\n    get:\n      \
        operationId: pots\n      responses:\n        200:\n          content:\n            \
        application/json: { schema: { type: string } }\n";
    let read = Document::parse(text.as_bytes()).unwrap();
    let pots = read.by_id("pots").unwrap();
    assert_eq!(
        pots.response.as_deref(),
        Some(&json!({ "type": "string" })),
        "a status is a name, also where it is written as a number"
    );
}

#[test]
fn words_that_were_truth_values_once_are_texts() {
    let text = "openapi: 3.0.1\npaths:\n  /places:\n    get:\n      operationId: on\n      parameters:\n      \
        - { name: y, in: query, required: true, schema: { type: string, enum: [NO, SE, off] } }\n";
    let read = Document::parse(text.as_bytes()).unwrap();
    let [y] = read.by_id("on").unwrap().parameters.as_slice() else {
        panic!("there is one parameter");
    };
    assert!(y.name == "y" && y.required);
    assert_eq!(y.schema["enum"], json!(["NO", "SE", "off"]));
}

#[test]
fn faults_have_a_place_and_quote_nothing() {
    let cases: [(&str, DocumentFault); 5] = [
        ("openapi: 3.0.0\npaths:\n  /x: {\n", DocumentFault::NotYaml),
        (
            "openapi: 3.0.0\npaths: {}\npaths: {}\n",
            DocumentFault::DuplicateKey,
        ),
        (
            "{\"openapi\": \"3.0.0\",\n  \"secret\"\n}",
            DocumentFault::NotJson,
        ),
        (
            "openapi: 3.0.0\npaths:\n  /a: { $ref: 'https://secret.example/x' }\n",
            DocumentFault::OutsideReference,
        ),
        (
            "openapi: 3.0.0\npaths:\n  /a: { $ref: '#/secret' }\n",
            DocumentFault::LostReference,
        ),
    ];
    for (text, kind) in cases {
        let error = Document::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind, kind, "{text}");
        assert!(error.position.is_some(), "{text}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn an_alias_bomb_ends_and_no_alias_is_taken_from_others() {
    let mut bomb = String::from("openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        writeln!(bomb, "a{level}: &a{level} [{before}]").unwrap();
    }
    let (kind, _) = fault(bomb.as_bytes());
    // Whichever of the reader's bounds it meets first.
    let ended = [
        DocumentFault::Alias,
        DocumentFault::NotYaml,
        DocumentFault::TooLarge,
    ];
    assert!(ended.contains(&kind), "{kind:?}");

    let one = "openapi: 3.0.0\nx: &x { a: 1 }\ny: *x\npaths: {}\n";
    assert!(Document::parse(one.as_bytes()).is_ok());
    let others = Bounds {
        aliases: false,
        has_time: &|| true,
    };
    let refused = Document::read(one.as_bytes(), &others).unwrap_err();
    assert_eq!(refused.kind, DocumentFault::Alias);
}

#[test]
fn what_is_large_deep_or_slow_is_named() {
    let deep = |open: &str, close: &str, times: usize| {
        format!(
            "{{\"openapi\": \"3.0.0\", \"paths\": {{}}, \"x\": {}1{}}}",
            open.repeat(times),
            close.repeat(times)
        )
    };
    assert!(Document::parse(deep("[", "]", 63).as_bytes()).is_ok());
    for times in [64, 200, 1_000_000] {
        let text = deep("[", "]", times);
        assert_eq!(fault(text.as_bytes()).0, DocumentFault::TooDeep, "{times}");
        let text = format!("x: {}1{}", "[".repeat(times), "]".repeat(times));
        let (kind, _) = fault(text.as_bytes());
        // Its parser has an end of its own, which is a fault of syntax to it.
        let is_named =
            kind == DocumentFault::TooDeep || (times > 200 && kind == DocumentFault::NotYaml);
        assert!(is_named, "{times}: {kind:?}");
    }
    let large = " ".repeat(LARGEST + 1);
    assert_eq!(fault(large.as_bytes()).0, DocumentFault::TooLarge);
    let late = Bounds {
        aliases: false,
        has_time: &|| false,
    };
    for text in ["{\"openapi\": \"3.0.0\", \"paths\": {}}", "openapi: 3.0.0"] {
        let late = Document::read(text.as_bytes(), &late).unwrap_err();
        assert_eq!(late.kind, DocumentFault::TooSlow, "{text}");
    }
    let nul = br#"{"openapi": "3.0.0", "paths": {"\u0000": {}}}"#;
    assert_eq!(fault(nul).0, DocumentFault::Nul);
}

#[test]
fn ten_megabytes_of_garbage_are_refused_by_name() {
    let size = 10 * 1_024 * 1_024;
    let noise: Vec<u8> = (0..size)
        .map(|at| u8::try_from(at * at % 251).unwrap())
        .collect();
    let braces = vec![b'{'; size];
    let brackets = vec![b'['; size];
    let text = vec![b'a'; size];
    let lines = b"a: b\n".repeat(size / 5);
    let dashes = b"- ".repeat(size / 2);
    for garbage in [noise, braces, brackets, text, lines, dashes] {
        let shown = String::from_utf8_lossy(&garbage[..8]).into_owned();
        let fault = Document::parse(&garbage).unwrap_err();
        assert_ne!(fault.kind, DocumentFault::NoPaths, "{shown}");
    }
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
    for (reference, kind) in [
        ("other.json#/x", DocumentFault::OutsideReference),
        ("http://x/y", DocumentFault::OutsideReference),
        ("file:///etc/passwd", DocumentFault::OutsideReference),
        ("#/components/parameters/None", DocumentFault::LostReference),
    ] {
        let read = document(&json!({ "/": { "get": { "parameters": [{ "$ref": reference }] } } }));
        assert_eq!(read.unwrap_err().kind, kind);
    }
    let in_schema = document(&json!({ "/": { "get": { "responses": { "200": {
        "content": { "application/json": { "schema": { "items": { "$ref": "http://x/y" } } } },
    } } } } }));
    assert_eq!(in_schema.unwrap_err().kind, DocumentFault::OutsideReference);
    // A name is a name where data stands.
    let data = document(&json!({ "/": { "get": { "x-a": { "$ref": "http://x/y" } } } }));
    assert!(data.is_ok());
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
