//! Imports, while a server has no room.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use claviger_testkit::program::{command, run_to_end};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{complaint, refused};
use crate::CLAVIGER;

/// A server that answers each request with the next of these, and then ends.
fn answering(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&stream);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

/// Reads a request to its end.
fn read_request(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

fn answer(status: &str, head: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n{body}"
    )
}

fn no_room(head: &str) -> String {
    let body = json!({"statusCode": 503, "message": "Other imports are under way"});
    answer("503 Service Unavailable", head, &body)
}

#[test]
fn an_import_waits_for_as_long_as_the_server_says_and_tells_so() {
    let made = answer("201 Created", "", &json!([{"status": "created"}]));
    let scratch = tempdir().unwrap();
    fs::write(
        scratch.path().join("keys.csv"),
        "name,key\none,a-key-of-one\n",
    )
    .unwrap();
    let import = |answers| {
        let mut command = command(CLAVIGER, ["keys", "import", "keys.csv", "--json"]);
        command
            .current_dir(scratch.path())
            .env("CLAVIGER_URL", answering(answers))
            .env("CLAVIGER_ACCESS_KEY", "ours");
        run_to_end(command)
    };
    let waited = import(vec![
        no_room("retry-after: 1\r\n"),
        no_room("retry-after: 0\r\n"),
        made.clone(),
    ]);
    assert_eq!(waited.status.code(), Some(0), "{}", complaint(&waited));
    let summary: Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!(
        (&summary["created"], &summary["rows"]),
        (&json!(1), &json!(1))
    );
    // Once, however often it was to come again.
    let said = complaint(&waited);
    assert_eq!(said.matches("waiting: Other imports").count(), 1, "{said}");
    // So it does where the access key is over its own limit.
    let over = json!({"statusCode": 429, "message": "Too many requests"});
    let over = answer("429 Too Many Requests", "retry-after: 1\r\n", &over);
    let waited = import(vec![over, made.clone()]);
    assert_eq!(waited.status.code(), Some(0), "{}", complaint(&waited));
    let said = complaint(&waited);
    assert!(said.contains("waiting: Too many requests"), "{said}");
    // One that wants to be left alone for long, or does not say for how long, is.
    let tomorrow = refused(
        &import(vec![no_room("retry-after: 86400\r\n"), made.clone()]),
        1,
    );
    assert!(tomorrow.contains("run this again later"), "{tomorrow}");
    let unsaid = refused(&import(vec![no_room(""), made]), 1);
    assert!(unsaid.contains("Other imports are under way"), "{unsaid}");
}
