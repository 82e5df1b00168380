use serde_json::{Map, Value, json};

use super::*;
use crate::catalogue::Catalogue;
use crate::connector::Connector;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::mcp::ToolOutcome;
use crate::openapi::Document;

struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[test]
fn a_handle_opens_only_where_it_was_made_and_for_fifteen_minutes() {
    let key = HandleKey::new([1; 32]);
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let content = Content {
        resource: "api_keys".to_owned(),
        method: "create".to_owned(),
        field: "key".to_owned(),
        expires_at: now.plus_seconds(SECONDS).as_micros(),
        secret: "live_secret".to_owned(),
    };
    let (account, elsewhere) = (Id::from_trusted("acc_one"), Id::from_trusted("acc_two"));
    let (connected, beside) = (Id::from_trusted("cac_one"), Id::from_trusted("cac_two"));
    let server = Id::from_suffix(&"A".repeat(20));
    let other = Id::from_suffix(&"B".repeat(20));
    let own = Bound {
        account: &account,
        connected: &connected,
        server: &server,
    };
    let handle = key.seal(own, &content, &Sevens);
    assert!(handle.starts_with(PREFIX) && !handle.contains("live_secret"));
    assert_eq!(server_of(&handle), Some(server.clone()));
    let opened = key.open(own, &handle, now).unwrap();
    assert_eq!(opened.plain.expose(), "live_secret");
    assert_eq!(opened.field, "api_keys.create.key");

    let at = |seconds| key.open(own, &handle, now.plus_seconds(seconds));
    assert!(at(SECONDS - 1).is_some() && at(SECONDS).is_none());
    for foreign in [
        Bound {
            server: &other,
            ..own
        },
        Bound {
            connected: &beside,
            ..own
        },
        Bound {
            account: &elsewhere,
            ..own
        },
    ] {
        assert!(key.open(foreign, &handle, now).is_none());
    }
    let of_another_program = HandleKey::new([2; 32]);
    assert!(of_another_program.open(own, &handle, now).is_none());
    for broken in [
        "",
        "sealed_mcp_x",
        "sealed_mcp_x.AAAA",
        &handle[..handle.len() - 1],
    ] {
        assert!(key.open(own, broken, now).is_none(), "{broken}");
    }
}

#[test]
fn a_secret_is_hidden_whatever_it_is_and_once() {
    const FILE: &str = "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\nbase_url: local\n\
        resources: { pots: { methods: { get: { http: \"GET /pots/{id}\", \
        secret_fields: [login, pin, codes, one.key], sealed_fields: [pin], masked_fields: [token] } } } }\n";
    let document = json!({ "openapi": "3.1.0", "info": { "title": "Tea" }, "paths": { "/pots/{id}": {
        "get": { "description": "A pot.", "parameters": [{ "name": "id", "in": "path" }] } } } });
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    let catalogue = Catalogue::compile(&Connector::parse(FILE).unwrap(), &document).unwrap();
    let (account, connected) = (Id::from_trusted("acc_one"), Id::from_trusted("cac_one"));
    let server = Id::from_suffix(&"A".repeat(20));
    let key = HandleKey::new([1; 32]);
    let bound = Bound {
        account: &account,
        connected: &connected,
        server: &server,
    };
    let hiding = Hiding {
        tool: &catalogue.tools()[0],
        key: &key,
        bound: Some(bound),
        seals_all: true,
        public_url: "https://keys.example.com",
        now: Timestamp::from_micros(1_800_000_000_000_000),
        random: &Sevens,
    };
    let secret = |text: &str| format!("canary-{text}");
    let answered = json!({
        "login": { "user": secret("user"), "password": secret("password") }, "pin": secret("pin"),
        "codes": [secret("one"), secret("two")], "one": { "key": secret("key"), "name": "shown" },
        "token": { "access": secret("access") },
    });
    let hidden = |result: Value| {
        let outcome = ToolOutcome {
            status: http::StatusCode::OK,
            envelope: Map::from_iter([("result".to_owned(), result)]),
            limits: Limits::default(),
            passed: None,
        };
        Value::Object(hiding.hide(Ok(outcome)).unwrap().envelope)
    };
    let shown = hidden(answered.clone()).to_string();
    assert!(!shown.contains("canary"), "{shown}");
    let envelope: Value = serde_json::from_str(&shown).unwrap();
    let result = &envelope["result"];
    for sealed in [&result["pin"], &result["one"]["key"]] {
        let handle = sealed["sealed"].as_str().unwrap();
        let opened = key.open(bound, handle, hiding.now).unwrap();
        assert!(opened.plain.expose().starts_with("canary-"), "{shown}");
    }
    assert_eq!(result["one"]["name"], "shown");
    for masked in ["login", "codes", "token"] {
        assert_eq!(result[masked], "***", "{shown}");
    }
    // What comes instead of an object may be the secret itself.
    for instead in [
        json!(secret("text")),
        json!([secret("item")]),
        json!([[secret("deep")]]),
    ] {
        let shown = hidden(instead).to_string();
        assert!(!shown.contains("canary"), "{shown}");
    }
    let mut failure = Failure::refused(http::StatusCode::CONFLICT, "taken", "taken");
    failure.raw_response = Some(answered);
    let failure = hiding.hide(Err(Box::new(failure))).unwrap_err();
    let shown = Value::Object(failure.body()).to_string();
    assert!(
        !shown.contains("canary") && shown.contains("shown"),
        "{shown}"
    );
}
