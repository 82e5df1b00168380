//! The ways in which a check can be answered, from its bytes alone, by hyper, by the route: nobody can
//! tell which it was.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use claviger_testkit::Program;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;

/// Who answered, which only shows in what a test looks for: the order of fields, and those for web pages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Bytes,
    Hyper,
    Route,
}

/// What an answer says, but for what each answer has of its own.
#[derive(Debug, PartialEq)]
struct Said {
    line: String,
    fields: BTreeMap<String, String>,
    body: Value,
}

/// Sends a request over a connection of its own. The connection is closed by the second one.
fn ask(address: &str, target: &str, fields: &str) -> (By, Said) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n\
         GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let by = if head.contains("access-control-allow-origin") {
        By::Route
    } else if lines.clone().next().unwrap().starts_with("content-length") {
        By::Bytes
    } else {
        By::Hyper
    };
    let mut fields: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = fields["content-length"].parse().unwrap();
    let (body, next) = rest.split_at(length);
    assert!(next.starts_with("HTTP/1.1 200"), "{text}");
    let mut body: Value = serde_json::from_str(body).unwrap();
    let members = body.as_object_mut().unwrap();
    for own in ["lastUsedAt", "firstUsedAt", "requestId"] {
        members.remove(own);
    }
    if let Some(quota) = members.get_mut("quota").and_then(Value::as_object_mut) {
        quota.remove("used");
    }
    for (name, value) in &mut fields {
        let is_own = name.starts_with("ratelimit-") || name.starts_with("retry-after");
        if is_own || ["date", "x-request-id", "content-length"].contains(&name.as_str()) {
            assert!(!value.is_empty());
            value.clear();
        }
    }
    // For web pages, which send an origin; the route does not look whether one is there.
    fields.retain(|name, _| !name.starts_with("access-control-") && name != "vary");
    (by, Said { line, fields, body })
}

#[test]
fn a_check_is_answered_alike_whichever_way_it_goes() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let address = bootstrap["url"].as_str().unwrap();
    let address = address.strip_prefix("http://").unwrap();
    let make = |settings: Value| {
        let mut body = json!({"name": "A \"key\"\u{e9}", "projectId": bootstrap["projectId"]});
        for (name, value) in settings.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, made) = program.call("POST /api-keys", owner, &body).unwrap();
        assert_eq!(status, 201, "{made}");
        made
    };
    let text = |made: &Value| made["key"].as_str().unwrap().to_owned();
    let metered = make(json!({
        "rateLimitConfigs": {"rateLimit": 1_000, "rateLimitTtl": 60},
        "customMetaData": {"plan": "pro"}, "quota": {"limit": 1_000, "period": "day"},
    }));
    let used_up = make(json!({"rateLimitConfigs": {"rateLimit": 1, "rateLimitTtl": 600}}));
    let locked = make(json!({"allowedDomains": ["example.com"]}));
    let revoked = make(json!({}));
    let line = format!("DELETE /api-keys/{}", revoked["id"].as_str().unwrap());
    assert_eq!(program.call(&line, owner, &Value::Null).unwrap().0, 200);
    let line = format!("POST /api-keys/auth/{}", text(&used_up));
    program.call(&line, owner, &Value::Null).unwrap();

    let verifier = bootstrap["verifierKey"].as_str().unwrap();
    let limited = json!({"name": "A caller", "role": "verifier", "rateLimit": 1,
        "rateLimitTtl": 600, "projectId": bootstrap["projectId"]});
    let (_, limited) = program.call("POST /access-keys", owner, &limited).unwrap();
    let limited = text(&limited);

    let mut unknown = text(&metered);
    unknown.replace_range(10..12, "00");
    for (key, caller, more, status) in [
        (text(&metered), verifier, "", "200 OK"),
        (
            text(&metered),
            verifier,
            "x-project-id: prj_0000000000000000\r\n",
            "404 Not Found",
        ),
        (text(&used_up), verifier, "", "429 Too Many Requests"),
        (text(&locked), verifier, "", "403 Forbidden"),
        (
            text(&locked),
            verifier,
            "X-Origin-Domain: https://EXAMPLE.com/path\r\n",
            "200 OK",
        ),
        (text(&revoked), verifier, "", "404 Not Found"),
        (unknown.clone(), verifier, "", "404 Not Found"),
        (text(&metered), &limited, "", "429 Too Many Requests"),
        (text(&metered), "live_access_nobody", "", "401 Unauthorized"),
    ] {
        for accept in ["", "accept: application/problem+json\r\n"] {
            let target = format!("/api-keys/auth/{key}");
            let fields = format!("x-api-key: {caller}\r\n{more}{accept}");
            // What is not in memory yet is looked up first.
            ask(address, &target, &fields);
            let (by, by_bytes) = ask(address, &target, &fields);
            // Nothing is remembered of a caller who is nobody, and of a key with a typing error.
            let is_known = key != unknown && caller.len() > 64;
            assert_eq!(
                by,
                if is_known { By::Bytes } else { By::Route },
                "{by_bytes:?}"
            );
            assert_eq!(by_bytes.line, format!("HTTP/1.1 {status}"), "{by_bytes:?}");
            // A length of nothing, written in another way than everybody does.
            let (by, by_hyper) = ask(address, &target, &format!("{fields}content-length: 00\r\n"));
            assert_eq!(by, if is_known { By::Hyper } else { By::Route });
            assert_eq!(by_bytes, by_hyper);
            let (by, by_route) = ask(address, &format!("{target}?"), &fields);
            assert_eq!(by, By::Route);
            assert_eq!(by_bytes, by_route);
        }
    }
}
