//! Requests as traces, at a collector that stands in for a real one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use claviger_testkit::Program;
use claviger_testkit::program::{answer, request};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Takes what is sent, and gives its URL.
fn collector() -> (String, Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (took, taken) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let took = took.clone();
            thread::spawn(move || take(&stream.unwrap(), &took));
        }
    });
    (url, taken)
}

fn take(stream: &TcpStream, took: &Sender<ExportTraceServiceRequest>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()));
        let length = head
            .iter()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        // Before the answer: who waits for the program's end has it then.
        took.send(ExportTraceServiceRequest::decode(&*body).unwrap())
            .unwrap();
        let mut stream = stream;
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let pairs = attributes.iter().map(|one| {
        let value = one.value.as_ref().and_then(|value| value.value.as_ref());
        let text = match value.unwrap() {
            any_value::Value::StringValue(text) => text.clone(),
            any_value::Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        (one.key.as_str(), text)
    });
    pairs.collect()
}

/// Sends a request that is part of a trace, with those flags.
fn traced(program: &Program, line: &str, key: &str, flags: &str) -> (u16, Value) {
    let text = request(line, key, &Value::Null);
    let header = format!("\r\ntraceparent: 00-{TRACE}-{PARENT}-{flags}\r\n");
    let mut stream = program.connect().unwrap();
    stream
        .write_all(text.replacen("\r\n", &header, 1).as_bytes())
        .unwrap();
    answer(stream).unwrap()
}

fn spans(
    taken: &Receiver<ExportTraceServiceRequest>,
) -> (Vec<ExportTraceServiceRequest>, Vec<Span>) {
    let taken: Vec<_> = taken.try_iter().collect();
    let resources = taken.iter().flat_map(|one| &one.resource_spans);
    let scopes = resources.flat_map(|one| &one.scope_spans);
    let spans = scopes.flat_map(|one| one.spans.clone()).collect();
    (taken, spans)
}

#[test]
fn a_request_is_told_as_a_span_without_its_secrets() {
    let (url, taken) = collector();
    let scratch = tempdir().unwrap();
    let flags = ["--otlp-endpoint", &url, "--log", "warn"];
    let program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let owner = bootstrap["accessKey"].as_str().unwrap();
    let body = json!({"name": "A telling name", "projectId": bootstrap["projectId"]});
    let (status, made) = program.call("POST /api-keys", owner, &body).unwrap();
    assert_eq!(status, 201);
    let line = format!(
        "GET /api-keys/{}?telling=query",
        made["id"].as_str().unwrap()
    );
    assert_eq!(traced(&program, &line, owner, "01").0, 200);
    assert_eq!(traced(&program, &line, owner, "00").0, 200);
    assert_eq!(traced(&program, "GET /telling", owner, "01").0, 404);
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");

    let (all, spans) = spans(&taken);
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    // What was not to be told of is not; neither is what the log's filter would leave out kept.
    assert_eq!(names, ["POST /api-keys", "GET /api-keys/{id}", "GET"]);
    let resource = all[0].resource_spans[0].resource.as_ref().unwrap();
    let resource = texts(&resource.attributes);
    assert_eq!(resource["service.name"], "claviger");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    let [creation, look, nowhere] = &spans[..] else {
        unreachable!()
    };
    assert!(creation.parent_span_id.is_empty());
    let hexadecimal = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    };
    for span in [look, nowhere] {
        assert_eq!(hexadecimal(&span.trace_id), TRACE);
        assert_eq!(hexadecimal(&span.parent_span_id), PARENT);
        assert_eq!(span.kind, 2, "a server's");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    let attributes = texts(&look.attributes);
    let told: Vec<_> = attributes.keys().copied().collect();
    let expected = [
        "claviger.request.id",
        "http.request.method",
        "http.response.status_code",
        "http.route",
    ];
    assert_eq!(told, expected);
    assert_eq!(attributes["http.request.method"], "GET");
    assert_eq!(attributes["http.route"], "/api-keys/{id}");
    assert_eq!(attributes["http.response.status_code"], "200");
    assert!(!texts(&nowhere.attributes).contains_key("http.route"));
    let shown = format!("{all:?}");
    for secret in ["telling", owner, made["id"].as_str().unwrap()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn nothing_is_told_of_a_trace_beyond_the_ratio() {
    let (url, taken) = collector();
    let scratch = tempdir().unwrap();
    let flags = ["--otlp-endpoint", &url, "--traces-ratio", "0"];
    let program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    program.call("GET /", "", &Value::Null).unwrap();
    traced(&program, "GET /", "", "01");
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    assert!(spans(&taken).1.is_empty());
}

#[test]
fn a_collector_that_is_away_holds_nobody_up() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let scratch = tempdir().unwrap();
    let flags = ["--otlp-endpoint", &url];
    let mut program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    for _ in 0..600 {
        let (status, _) = program.call("GET /", "", &Value::Null).unwrap();
        assert_eq!(status, 200);
    }
    let line = program.wait_for_log("the collector is away").unwrap();
    assert!(!line.contains(&url), "{line}");
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    assert!(
        !said.contains("the collector is away"),
        "it is said once: {said}"
    );
}
