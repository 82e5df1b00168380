//! Operator keys, changed on the machine while the program runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end};
use serde_json::Value;

use crate::CLAVIGER;
use crate::place::{Place, run};

fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

/// Runs a command on a place's data.
fn operator_key(place: &Place, arguments: &[&str]) -> Output {
    let mut command = command(CLAVIGER, ["operator-key"]);
    command
        .args(arguments)
        .env("CLAVIGER_DATA_DIR", place.folder.path());
    if let Some(url) = place.url() {
        command.env("CLAVIGER_DATABASE_URL", url);
        command.env("CLAVIGER_MASTER_KEY", "ab".repeat(32));
    }
    run_to_end(command)
}

#[track_caller]
fn done(place: &Place, arguments: &[&str]) -> String {
    let output = operator_key(place, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    text(&output)
}

/// The operator key that the folder has.
fn written(place: &Place) -> String {
    let file = place.folder.path().join("bootstrap.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let bootstrap: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    bootstrap["operatorKey"].as_str().unwrap().to_owned()
}

fn status(program: &Program, key: &str) -> u16 {
    program.call("GET /accounts", key, &Value::Null).unwrap().0
}

fn kinds(place: &Place) -> Vec<String> {
    const SQL: &str = "SELECT kind FROM events WHERE kind LIKE 'operator-key.%' ORDER BY seq";
    run(async { place.rows(false).await.texts(SQL).await })
}

fn operator_keys_are_changed_beside_the_program(place: &Place) {
    let program = place.start();
    let first = written(place);
    assert_eq!(status(&program, &first), 200);

    let said = done(place, &["rotate", "--grace", "3600"]);
    let second = written(place);
    assert!(!said.contains(&second), "it is printed nowhere");
    assert_ne!(first, second);
    assert_eq!(
        [&first, &second].map(|key| status(&program, key)),
        [200, 200]
    );
    let listed = done(place, &["list"]);
    let ids: Vec<_> = listed
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{listed}");
    assert!(
        listed.lines().next().unwrap().contains("taken until"),
        "{listed}"
    );

    // The first one was lost, or seen by somebody: it ends at once, for the running program too.
    let unasked = operator_key(place, &["revoke", ids[0]]);
    assert_eq!(unasked.status.code(), Some(2), "{}", text(&unasked));
    done(place, &["revoke", ids[0], "--yes"]);
    assert_eq!(
        [&first, &second].map(|key| status(&program, key)),
        [401, 200]
    );
    let gone = operator_key(place, &["revoke", ids[0], "--yes"]);
    assert_eq!(gone.status.code(), Some(1), "{}", text(&gone));

    // All of them were lost, and what the first start wrote was taken away long ago.
    fs::remove_file(place.folder.path().join("bootstrap.json")).unwrap();
    done(place, &["recover"]);
    let third = written(place);
    assert_eq!(
        [&second, &third].map(|key| status(&program, key)),
        [401, 200]
    );
    let tail = [
        "created", "created", "rotated", "revoked", "created", "revoked",
    ];
    assert_eq!(
        kinds(place),
        tail.map(|what| format!("operator-key.{what}"))
    );
    // A start goes on from what is written.
    drop(program);
    assert_eq!(status(&place.start(), &third), 200);
}

#[test]
fn operator_keys_are_changed_beside_the_program_on_sqlite() {
    operator_keys_are_changed_beside_the_program(&Place::on_sqlite());
}

#[test]
fn operator_keys_are_changed_beside_the_program_on_postgres() {
    operator_keys_are_changed_beside_the_program(&Place::on_postgres());
}

#[test]
fn without_the_master_key_no_operator_key_is_made() {
    let place = Place::on_sqlite();
    drop(place.start());
    let before = written(&place);
    let mut command = command(CLAVIGER, ["operator-key", "recover", "--data-dir"]);
    command
        .arg(place.folder.path())
        .env("CLAVIGER_MASTER_KEY", "cd".repeat(32));
    let output = run_to_end(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains("another master key"),
        "{}",
        text(&output)
    );
    assert_eq!(written(&place), before);
    assert_eq!(kinds(&place), ["operator-key.created"]);
}
