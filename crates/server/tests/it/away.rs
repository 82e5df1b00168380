//! The database is full, or held up by somebody else: changes are refused for now, checks go on.

use std::process::Command;
use std::sync::mpsc::channel;

use claviger_testkit::Program;
use claviger_testkit::program::{command, serve_on_sqlite};
use serde_json::{Value, json};

use crate::CLAVIGER;
use crate::place::{Place, Target, run};

/// Asks for a new key, and gives the status.
fn make_key(target: &Target) -> u16 {
    make(target, "POST /api-keys", &target.new_key())
}

/// Asks for something new, and gives the status; who is refused for now is told when to come again.
fn make(target: &Target, what: &str, body: &Value) -> u16 {
    let mut connection = target.connect();
    let answer = connection.ask(what, &target.owner, body).unwrap();
    assert_eq!(answer.has_retry_after, answer.status == 503);
    answer.status
}

/// Asks for new keys over several connections at once.
fn make_keys(target: &Target, clients: usize) -> Vec<u16> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| make_key(target)))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn keys(place: &Place) -> String {
    const SQL: &str = "SELECT CAST(COUNT(*) AS TEXT) FROM api_keys";
    run(async { place.rows(false).await.texts(SQL).await.remove(0) })
}

/// Sets how large a process may make a file: writing past that fails, as on a full disk.
fn limit_files(program: &Program, most: &str) {
    let limited = Command::new("prlimit")
        .args(["--pid", &program.id().to_string()])
        .arg(format!("--fsize={most}:"))
        .status()
        .expect("util-linux is there");
    assert!(limited.success());
}

#[test]
fn a_full_disk_refuses_changes_and_keeps_what_is_counted() {
    let place = Place::on_sqlite();
    // Unless the signal is ignored, whoever writes too much is killed.
    let script = ["-c", r#"trap "" XFSZ; exec "$0" "$@""#];
    let mut shell = command("/bin/sh", script);
    shell
        .arg(CLAVIGER)
        .args(serve_on_sqlite(CLAVIGER, place.folder.path(), &[]).get_args());
    let mut program = Program::start_as(shell, place.folder.path()).unwrap();
    let target = Target::of(&program);
    let key = target.make_key();
    let mut checked = target.check_often(&key, 1);
    let before = keys(&place);

    limit_files(&program, "0");
    assert_eq!(make_keys(&target, 16), [503; 16]);
    checked += target.check_often(&key, 20);
    program.wait_for_log("usage is not written").unwrap();
    assert_eq!(keys(&place), before);
    limit_files(&program, "unlimited");

    assert_eq!(make_keys(&target, 16), [201; 16]);
    place.assert_nothing_is_half_there();
    place.wait_for_counted(checked);
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    assert_eq!(place.counted(), checked);
}

#[test]
fn a_file_that_somebody_holds_refuses_changes_in_time() {
    let place = Place::on_sqlite();
    let program = place.start();
    let target = Target::of(&program);
    let key = target.make_key();
    target.check_often(&key, 1);
    let before = keys(&place);
    run(async {
        let mut rows = place.rows(false).await;
        rows.execute("BEGIN IMMEDIATE").await;
        assert_eq!(make_keys(&target, 16), [503; 16]);
        target.check_often(&key, 4);
        rows.execute("ROLLBACK").await;
    });
    assert_eq!(keys(&place), before);
    assert_eq!(make_keys(&target, 16), [201; 16]);
    place.assert_nothing_is_half_there();
}

#[test]
fn a_postgres_that_somebody_holds_refuses_changes_it_has_no_connection_for() {
    const CONNECTIONS: usize = 8;
    const PROJECTS: &str = "SELECT CAST(COUNT(*) AS TEXT) FROM projects WHERE name = 'Another'";
    let place = Place::on_postgres();
    let program = place.start();
    let target = Target::of(&program);
    let key = target.make_key();
    target.check_often(&key, 1);
    let statuses = run(async {
        let mut rows = place.rows(false).await;
        rows.execute("BEGIN; LOCK TABLE events").await;
        let (answer, answers) = channel();
        std::thread::scope(|scope| {
            // Each is a change of its own, and waits for what is locked over a connection of its own.
            for _ in 0..3 * CONNECTIONS {
                let (answer, target) = (answer.clone(), &target);
                let project = json!({"name": "Another"});
                let make = move || answer.send(make(target, "POST /projects", &project));
                scope.spawn(move || make().unwrap());
            }
            let refused: Vec<_> = answers.iter().take(2 * CONNECTIONS).collect();
            assert_eq!(refused, [503; 2 * CONNECTIONS]);
            // New keys wait together, and none of them for long.
            assert_eq!(make_key(&target), 503);
            target.check_often(&key, 4);
            // Dropping it ends the transaction; the changes that had begun go on.
            drop(rows);
        });
        drop(answer);
        answers.iter().collect::<Vec<_>>()
    });
    assert_eq!(statuses, [201; CONNECTIONS]);
    let made = run(async { place.rows(false).await.texts(PROJECTS).await.remove(0) });
    assert_eq!(made, CONNECTIONS.to_string());
    place.assert_nothing_is_half_there();
}
