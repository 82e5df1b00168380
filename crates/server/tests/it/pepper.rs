//! Another pepper: every key goes on working, and a run that is killed has changed nothing.

use std::fs;
use std::process::{Command, Output, Stdio};

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end};
use serde_json::{Value, json};

use crate::CLAVIGER;
use crate::place::{Place, Target, run};

fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

fn rotate(place: &Place) -> Command {
    let mut command = command(CLAVIGER, ["secrets", "rotate-pepper"]);
    command.env("CLAVIGER_DATA_DIR", place.folder.path());
    if let Some(url) = place.url() {
        command.env("CLAVIGER_DATABASE_URL", url);
        command.env("CLAVIGER_MASTER_KEY", "ab".repeat(32));
    }
    command
}

#[track_caller]
fn rotated(place: &Place) -> String {
    let output = run_to_end(rotate(place));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    text(&output)
}

/// Asks something of the owner's.
#[track_caller]
fn ask(program: &Program, line: &str, body: &Value) -> Value {
    let target = Target::of(program);
    let (status, answer) = program.call(line, &target.owner, body).unwrap();
    assert!(status < 300, "{line}: {answer}");
    answer
}

fn import(program: &Program) -> Value {
    let project = Target::of(program).project;
    let rows = json!([
        {"name": "plain", "key": "custom-key-of-an-import"},
        // SHA-256 of `custom-key-of-a-hash`.
        {"name": "hash", "keyHash": {"algorithm": "sha256", "value": HASH}},
    ]);
    let body = json!({"projectId": project, "keys": rows});
    ask(program, "POST /api-keys/import", &body)
}

const HASH: &str = "10cb1af90f5cc923af6d3657c86d72ed5b5a6789b12afe90860203fd723337cc";

fn every_key_goes_on_working_under_another_pepper(place: &Place) {
    let program = place.start();
    let target = Target::of(&program);
    let bootstrap = program.bootstrap().unwrap();
    let generated = target.make_key();
    let imported = import(&program);
    assert_eq!(imported[1]["status"], "created", "{imported}");
    let connected = bootstrap["integratedAccountId"].as_str().unwrap();
    let line = format!("POST /integrated-account/{connected}/mcp");
    let made = ask(&program, &line, &json!({"name": "Agent", "config": {}}));
    let (_, mcp) = made["url"].as_str().unwrap().split_once("/mcp/").unwrap();
    let custom = "custom-key-of-a-customer";
    let body = json!({"name": "Custom", "projectId": target.project, "key": custom});
    ask(&program, "POST /api-keys", &body);

    // It is for when nothing runs.
    let refused = run_to_end(rotate(place));
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("claviger"), "{}", text(&refused));
    assert_eq!(program.stop().unwrap().0, 0);
    let said = rotated(place);
    assert!(said.contains("2 layers"), "{said}");
    let said = rotated(place);
    assert!(said.contains("3 layers"), "{said}");

    let program = place.start();
    let target = Target::of(&program);
    let mut connection = target.connect();
    for key in [
        &*generated,
        custom,
        "custom-key-of-an-import",
        "custom-key-of-a-hash",
    ] {
        assert_eq!(
            connection.check(key, &target.verifier).unwrap(),
            200,
            "{key}"
        );
    }
    let operator = bootstrap["operatorKey"].as_str().unwrap();
    assert_eq!(
        program
            .call("GET /accounts", operator, &Value::Null)
            .unwrap()
            .0,
        200
    );
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let (status, answer) = program
        .call(&format!("POST /mcp/{mcp}"), "", &call)
        .unwrap();
    assert_eq!(status, 200, "{answer}");
    // What is there is known: the same custom key is refused, the same file imports nothing.
    let (status, _) = program
        .call("POST /api-keys", &target.owner, &body)
        .unwrap();
    assert_eq!(status, 409);
    let again = import(&program);
    assert_eq!(
        [&again[0]["status"], &again[1]["status"]],
        ["exists", "exists"]
    );
    assert_eq!(program.stop().unwrap().0, 0);
}

#[test]
fn every_key_goes_on_working_under_another_pepper_on_sqlite() {
    every_key_goes_on_working_under_another_pepper(&Place::on_sqlite());
}

#[test]
fn every_key_goes_on_working_under_another_pepper_on_postgres() {
    every_key_goes_on_working_under_another_pepper(&Place::on_postgres());
}

#[test]
fn a_run_that_is_killed_has_changed_nothing_or_all() {
    const KEYS: usize = 3_000;
    let place = Place::on_sqlite();
    let program = place.start();
    let target = Target::of(&program);
    let mut keys = Vec::new();
    for part in 0..KEYS / 1_000 {
        let rows: Vec<_> = (0..1_000)
            .map(|row| json!({"name": "moved", "key": format!("custom-key-of-{part}-{row}")}))
            .collect();
        let body = json!({"projectId": target.project, "keys": rows});
        ask(&program, "POST /api-keys/import", &body);
        keys.push(format!("custom-key-of-{part}-999"));
    }
    drop(program);
    let wal = place.folder.path().join("claviger.db-wal");
    for bytes in [1, 100_000, 400_000] {
        let mut killed = rotate(&place)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It writes as it goes on: somewhere amid that it ends, or it was quicker.
        while fs::metadata(&wal).map_or(0, |found| found.len()) < bytes
            && killed.try_wait().unwrap().is_none()
        {}
        killed.kill().unwrap();
        killed.wait().unwrap();
        let program = place.start();
        let target = Target::of(&program);
        for key in &keys {
            let status = target.connect().check(key, &target.verifier).unwrap();
            assert_eq!(status, 200, "{bytes} {key}");
        }
        assert_eq!(program.stop().unwrap().0, 0);
    }
    let said = rotated(&place);
    assert!(said.contains("layers"), "{said}");
    let layers = run(async {
        let sql = "SELECT name FROM sealed_secrets WHERE name LIKE 'pepper%'";
        place.rows(false).await.texts(sql).await.len()
    });
    assert!(said.contains(&format!("{layers} layers")), "{said}");
}
