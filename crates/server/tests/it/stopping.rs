//! Stopping: nothing that was begun is lost.

use std::io::Write;

use claviger_testkit::Program;
use claviger_testkit::program::{answer, request};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;

#[test]
fn a_call_in_flight_is_finished() {
    let scratch = tempdir().unwrap();
    let mut program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let body = json!({"name": "A key", "projectId": bootstrap["projectId"]});
    let text = request(
        "POST /api-keys",
        bootstrap["accessKey"].as_str().unwrap(),
        &body,
    );
    // With `expect`, the program says when it waits for the body: the call is in flight then.
    let text = text.replacen("\r\n", "\r\nexpect: 100-continue\r\n", 1);
    let (head, rest) = text.split_at(text.len() - 5);
    let mut stream = program.connect().unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    std::io::Read::read_exact(&mut stream, &mut interim).unwrap();

    program.terminate().unwrap();
    program.wait_for_log("stopping").unwrap();
    stream.write_all(rest.as_bytes()).unwrap();
    let (status, made) = answer(stream).unwrap();
    assert_eq!(status, 201, "{made}");
    let (code, said) = program.wait().unwrap();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn an_idle_connection_does_not_hold_it_up() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let idle = program.connect().unwrap();
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("cut off"), "{said}");
    drop(idle);
}

#[test]
fn what_was_counted_is_written() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let body = json!({"name": "A key", "projectId": bootstrap["projectId"]});
    let (_, made) = program.call("POST /api-keys", owner, &body).unwrap();
    let question = json!({"key": made["key"]});
    let (_, checked) = program
        .call("POST /api-keys/verify", owner, &question)
        .unwrap();
    assert_eq!(checked["valid"], true, "{checked}");
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");

    let later = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let line = format!("GET /api-keys/{}", made["id"].as_str().unwrap());
    let (_, found) = later.call(&line, owner, &Value::Null).unwrap();
    assert!(found["lastUsedAt"].is_string(), "{found}");
}
