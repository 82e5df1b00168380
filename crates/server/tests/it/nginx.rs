//! The example for nginx, with Debian's nginx before a backend that tells what it was sent.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process;
use std::thread;

use claviger_testkit::Program;
use claviger_testkit::nginx::Nginx;
use claviger_testkit::program::answer;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;

/// Where nginx listens: an address of this process, so that it need not look for a free port.
fn own_address() -> String {
    let [_, a, b, c] = process::id().to_be_bytes();
    format!("127.{}.{b}.{c}:8080", a | 0x40)
}

/// A backend that answers each request with its head, as JSON. It ends with the process.
fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(stream.read_line(&mut head).unwrap(), 0);
            }
            let body = Value::from(head).to_string();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// The example with the addresses of this test, and no other change.
fn example(claviger: &str, backend: &str, nginx: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../contrib/nginx/claviger-forward-auth.conf");
    let mut text = fs::read_to_string(file).unwrap();
    for (theirs, ours) in [
        ("127.0.0.1:8420", claviger),
        ("127.0.0.1:3000", backend),
        ("127.0.0.1:8080", nginx),
    ] {
        assert!(text.contains(theirs), "{theirs}");
        text = text.replace(theirs, ours);
    }
    text
}

fn request(address: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let headers = headers.concat();
    let text =
        format!("GET /orders HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

fn asked(address: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (status, body) = answer(request(address, headers)).unwrap();
    (status, body.as_str().unwrap_or_default().to_owned())
}

#[test]
fn nginx_lets_through_whose_key_may_pass_and_tells_the_backend_whose_it_is() {
    let scratch = tempdir().unwrap();
    let flags = ["--trusted-proxies", "127.0.0.1"];
    let program = Program::start(CLAVIGER, &scratch.path().join("data"), &flags).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let verifier = bootstrap["verifierKey"].as_str().unwrap();
    let key = |members: Value| {
        let mut body = json!({"name": "A key"});
        body.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let (status, key) = program.call("POST /api-keys", owner, &body).unwrap();
        assert_eq!(status, 201, "{key}");
        key["key"].as_str().unwrap().to_owned()
    };
    fs::write(
        scratch.path().join("claviger-access-key.conf"),
        format!("proxy_set_header X-Claviger-Access-Key \"{verifier}\";\n"),
    )
    .unwrap();
    let address = own_address();
    let conf = example(&program.address().unwrap(), &backend(), &address);
    let _nginx = Nginx::start(scratch.path(), &conf).unwrap();

    let live = key(json!({"customAccountId": "acme", "rateLimit": 3}));
    let bearer = format!("Bearer {live}");
    let forged = [
        ("authorization", bearer.as_str()),
        ("x-claviger-account-id", "somebody-else"),
        ("x-claviger-user-id", "root"),
        ("x-claviger-access-key", "live_access_forged"),
    ];
    let (status, head) = asked(&address, &forged);
    assert_eq!(status, 200, "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("x-claviger-account-id: acme\r\n"), "{head}");
    for absent in ["somebody-else", "root", "live_", "x-claviger-user-id"] {
        assert!(!head.contains(absent), "{absent}: {head}");
    }

    assert_eq!(asked(&address, &[]).0, 401);
    assert_eq!(asked(&address, &[("x-api-key", "live_typed")]).0, 401);

    // Locked to where nginx sees the client, and to where the client only says that it is.
    let here = key(json!({"allowedIps": ["127.0.0.0/8"]}));
    let there = key(json!({"allowedIps": ["203.0.113.0/24"]}));
    let claims = ("x-forwarded-for", "203.0.113.7");
    assert_eq!(asked(&address, &[("x-api-key", &here), claims]).0, 200);
    assert_eq!(asked(&address, &[("x-api-key", &there), claims]).0, 403);

    for _ in 0..2 {
        assert_eq!(asked(&address, &[("x-api-key", &live)]).0, 200);
    }
    let mut refused = String::new();
    let mut stream = request(&address, &[("x-api-key", &live)]);
    stream.read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("Retry-After: "), "{refused}");

    // Nobody is let through while it is not known who may pass.
    program.kill().unwrap();
    assert_eq!(asked(&address, &[("x-api-key", &here)]).0, 503);
}
