//! The program's numbers, and the board and alerts that are made of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use claviger_domain::key_string::KeyPurpose;
use claviger_domain::role::Role;
use claviger_testkit::{Program, SeededRandom, TestApp};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::CLAVIGER;

async fn scraped(app: &TestApp) -> String {
    let request = app.request("GET", "/metrics");
    let answer = request.key(app.operator_key.expose()).send().await;
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    answer.expect(200).as_str().unwrap().to_owned()
}

/// The number of a sample, written out with its labels.
#[track_caller]
fn number(text: &str, sample: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(sample));
    let value = lines.find_map(|rest| rest.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {sample} in {text}"));
    value.parse().unwrap()
}

#[tokio::test]
async fn metrics_are_for_the_operator() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let ask = async |key: &str| app.request("GET", "/metrics").key(key).send().await;
    app.request("GET", "/metrics").send().await.expect(401);
    ask(tenant.owner()).await.expect(403);
    ask(tenant.key(Role::Verifier)).await.expect(404);
    let far = app
        .request("GET", "/metrics")
        .key(app.operator_key.expose());
    let far = far.header("x-forwarded-for", "203.0.113.7");
    far.send().await.expect(403);
    scraped(&app).await;
}

#[tokio::test]
async fn what_happens_is_counted_where_it_belongs() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({"rateLimit": 2})).await;
    let before = scraped(&app).await;
    let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    for _ in 0..3 {
        let verifier = tenant.project_key(Role::Verifier);
        app.request("POST", &path).key(verifier).send().await;
    }
    for path in ["/nowhere", "/../nowhere"] {
        app.request("GET", path).send().await.expect(404);
    }
    let look = app.request("GET", "/api-keys").key(tenant.owner());
    look.send().await.expect(200);
    let unwritten = number(&scraped(&app).await, "claviger_usage_unwritten");
    app.flush().await;
    let after = scraped(&app).await;
    let grown = |sample: &str| number(&after, sample) - number(&before, sample);
    assert_eq!(
        number(&after, "claviger_checks_total{verdict=\"valid\"}"),
        2
    );
    assert_eq!(grown("claviger_checks_total{verdict=\"rate_limited\"}"), 1);
    let template = "route=\"/api-keys/auth/{key}\"";
    let checks = |status: &str| {
        let labels = format!("{template},method=\"POST\",status=\"{status}\"");
        number(&after, &format!("claviger_http_requests_total{{{labels}}}"))
    };
    assert_eq!((checks("2xx"), checks("4xx")), (2, 1));
    let durations = format!("claviger_http_request_duration_seconds_count{{{template}}}");
    assert_eq!(number(&after, &durations), 3);
    let unmatched = "route=\"unmatched\",method=\"GET\",status=\"4xx\"";
    let unmatched = format!("claviger_http_requests_total{{{unmatched}}}");
    assert_eq!(number(&after, &unmatched), 2);
    // The key was looked for once, and then known.
    assert_eq!(
        grown("claviger_lookups_total{of=\"key\",outcome=\"found\"}"),
        1
    );
    assert_eq!(
        grown("claviger_cache_entries{of=\"key\",kind=\"present\"}"),
        1
    );
    assert_eq!(unwritten, 1);
    assert_eq!(number(&after, "claviger_usage_unwritten"), 0);
    assert_eq!(grown("claviger_usage_rows_total"), 1);
    assert_eq!(grown("claviger_usage_flush_duration_seconds_count"), 1);
    for secret in [&key["key"], &key["id"], &json!(tenant.project.id)] {
        assert!(!after.contains(secret.as_str().unwrap()), "{after}");
    }
    assert!(!after.contains("nowhere"), "{after}");
}

#[tokio::test]
async fn a_guesser_shows() {
    let app = TestApp::start().await;
    // Known from here on: the guesser's network, which is this one, has no budget left at the end.
    scraped(&app).await;
    let random = SeededRandom::new(1);
    for _ in 0..601 {
        let drawn = KeyPurpose::Operator.draw(&random);
        let guess = app.request("GET", "/api-keys").key(drawn.plain.expose());
        guess.send().await;
    }
    let text = scraped(&app).await;
    let guesses = |outcome: &str| {
        let labels = format!("of=\"credential\",outcome=\"{outcome}\"");
        number(&text, &format!("claviger_lookups_total{{{labels}}}"))
    };
    assert_eq!((guesses("absent"), guesses("over_budget")), (600, 1));
}

#[test]
fn they_are_served_to_everybody_on_a_listener_of_their_own() {
    let scratch = tempdir().unwrap();
    let flags = ["--metrics-listen", "127.0.0.1:0"];
    let mut program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    let line = program.wait_for_log("metrics are served").unwrap();
    let address = line.trim().rsplit_once("address=").unwrap().1;
    let asked = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = asked("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(number(&answer, "process_start_time_seconds") > 1_700_000_000);
    assert!(number(&answer, "process_resident_memory_bytes") > 1_000_000);
    assert!(number(&answer, "process_open_fds") > 3);
    // Nothing else is there.
    assert!(asked("/healthz").starts_with("HTTP/1.1 404"));
    let (status, _) = program.call("GET /metrics", "", &Value::Null).unwrap();
    assert_eq!(status, 401);
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
}

/// The words of a text that are names of ours.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|one: char| !one.is_ascii_alphanumeric() && one != '_');
    words
        .filter(|word| word.starts_with("claviger_") || word.starts_with("process_"))
        .collect()
}

#[tokio::test]
async fn board_and_alerts_are_of_metrics_that_there_are() {
    let app = TestApp::start().await;
    app.request("GET", "/").send().await.expect(200);
    let text = scraped(&app).await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<_> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        // There once something was asked, and done.
        .chain([
            "claviger_http_requests_total",
            "claviger_retention_last_done_timestamp_seconds",
            "claviger_jobs_last_done_timestamp_seconds",
        ])
        .collect();
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib");
    let mut used = BTreeSet::new();
    for file in ["grafana/claviger.json", "prometheus/claviger.rules.yml"] {
        let text = fs::read_to_string(contrib.join(file)).unwrap();
        let named = names(&text);
        assert!(named.len() > 3, "{named:?}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        used.extend(named.into_iter().map(str::to_owned));
    }
    // And each is used somewhere: by itself, or as the buckets of a histogram.
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').unwrap();
        let name = match kind {
            "histogram" => format!("{name}_bucket"),
            _ => name.to_owned(),
        };
        assert!(
            used.contains(&name),
            "{name} is on no board and in no alert"
        );
    }
    let board = fs::read_to_string(contrib.join("grafana/claviger.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let ids: BTreeSet<_> = board["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), board["panels"].as_array().unwrap().len());
}
