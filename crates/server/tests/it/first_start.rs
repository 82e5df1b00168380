//! The first start, and those after it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use claviger_testkit::Program;
use claviger_testkit::program::serve_on_sqlite;
use serde_json::Value;
use tempfile::tempdir;

use crate::CLAVIGER;

const CREDENTIALS: [&str; 3] = ["accessKey", "verifierKey", "operatorKey"];

fn start(folder: &Path) -> Program {
    Program::start(CLAVIGER, folder, &[]).unwrap()
}

/// The same where the database is files, which the test looks at.
fn start_on_sqlite(folder: &Path) -> Program {
    Program::start_as(serve_on_sqlite(CLAVIGER, folder, &[]), folder).unwrap()
}

fn stop(program: Program) -> String {
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    said
}

/// Whether the owner's key, as it was handed over, opens the instance.
fn owner_is_known(program: &Program) -> bool {
    let bootstrap = program.bootstrap().unwrap();
    let key = bootstrap["accessKey"].as_str().unwrap();
    let (status, _) = program.call("GET /projects", key, &Value::Null).unwrap();
    status == 200
}

#[test]
fn what_the_first_start_makes_is_handed_over() {
    let scratch = tempdir().unwrap();
    let program = start(scratch.path());
    let bootstrap = program.bootstrap().unwrap();
    let url = format!("http://{}", program.address().unwrap());
    assert_eq!(bootstrap["url"], url.as_str());
    assert_eq!(bootstrap["signInUrl"], Value::Null);
    for (member, prefix) in [
        ("accountId", "acc_"),
        ("projectId", "prj_"),
        ("accessKey", "live_access_"),
        ("verifierKey", "live_access_"),
        ("operatorKey", "operator_"),
        ("integratedAccountId", "cac_"),
    ] {
        assert!(
            bootstrap[member].as_str().unwrap().starts_with(prefix),
            "{member}"
        );
    }
    let text = |member: &str| bootstrap[member].as_str().unwrap();
    for (key, status) in [
        ("accessKey", 200),
        ("operatorKey", 200),
        ("verifierKey", 404),
    ] {
        let path = format!("GET /projects/{}", text("projectId"));
        let (answered, _) = program.call(&path, text(key), &Value::Null).unwrap();
        assert_eq!(answered, status, "{key}");
    }
}

#[test]
fn every_file_is_for_its_owner_only() {
    let scratch = tempdir().unwrap();
    let folder = scratch.path().join("made/by/the/start");
    let program = start_on_sqlite(&folder);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut names = Vec::new();
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        assert_eq!(mode(&file.path()), 0o600, "{}", file.path().display());
        names.push(file.file_name().into_string().unwrap());
    }
    for name in ["claviger.db-wal", "master.key", "owner.header"] {
        assert!(names.iter().any(|one| one == name), "{names:?}");
    }
    drop(program);
}

#[test]
fn no_credential_is_printed_or_logged() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &["--log", "trace"]).unwrap();
    assert!(owner_is_known(&program));
    let bootstrap = program.bootstrap().unwrap();
    let master = fs::read_to_string(scratch.path().join("master.key")).unwrap();
    let welcome = program.welcome.clone();
    let said = welcome + &stop(program);
    assert!(
        said.contains("bootstrap.json") || said.contains("owner.header"),
        "{said}"
    );
    for key in CREDENTIALS {
        assert!(!said.contains(bootstrap[key].as_str().unwrap()), "{key}");
    }
    assert!(!said.contains(master.trim()));
}

#[test]
fn the_lines_of_the_welcome_can_be_pasted_one_after_the_other() {
    let scratch = tempdir().unwrap();
    // A folder that a shell would read otherwise.
    let folder = scratch.path().join("it's mine");
    let mut program = start(&folder);
    let lines: Vec<_> = program.pasted_lines().unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let pasted = Command::new("bash")
        .args(["-e", "-c", &lines.join("\necho\n")])
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8(pasted.stdout).unwrap();
    let complaints = String::from_utf8(pasted.stderr).unwrap();
    assert!(pasted.status.success(), "{said}{complaints}");
    let answers: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let [checked, server] = &answers[..] else {
        panic!("{said}{complaints}");
    };
    assert_eq!(checked["valid"], true, "{checked}");
    let url = server["url"].as_str().unwrap();
    let address = program.address().unwrap();
    assert!(
        url.starts_with(&format!("http://{address}/mcp/")),
        "{server}"
    );
}

#[test]
fn a_later_start_keeps_everything_and_notes_where_it_listens() {
    let scratch = tempdir().unwrap();
    let first = start(scratch.path());
    let before = first.bootstrap().unwrap();
    stop(first);
    let second = start(scratch.path());
    let after = second.bootstrap().unwrap();
    let url = format!("http://{}", second.address().unwrap());
    assert_eq!(after["url"], url.as_str());
    for key in CREDENTIALS {
        assert_eq!(after[key], before[key]);
    }
    assert!(owner_is_known(&second));
}

#[test]
fn whoever_takes_bootstrap_json_away_leaves_no_credential_behind() {
    let scratch = tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name);
    stop(start(scratch.path()));
    assert!(file("owner.header").exists() && file("verifier.header").exists());
    fs::remove_file(file("bootstrap.json")).unwrap();
    let later = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    stop(later);
    for name in ["owner.header", "verifier.header", "bootstrap.json"] {
        assert!(!file(name).exists(), "{name}");
    }
}

#[test]
fn a_start_that_was_cut_short_before_it_handed_over_is_made_good() {
    let scratch = tempdir().unwrap();
    let first = start(scratch.path());
    let before = first.bootstrap().unwrap();
    first.kill().unwrap();
    // As it is between the commit and the moment when the program listens.
    let file = |name: &str| scratch.path().join(name);
    fs::rename(file("bootstrap.json"), file("bootstrap.json.new")).unwrap();
    fs::remove_file(file("owner.header")).unwrap();

    let second = start(scratch.path());
    assert_eq!(
        second.bootstrap().unwrap()["accessKey"],
        before["accessKey"]
    );
    assert!(owner_is_known(&second));
    assert!(file("owner.header").exists());
    assert!(!file("bootstrap.json.new").exists());
}

#[test]
fn a_start_that_was_cut_short_before_its_commit_is_made_anew() {
    let scratch = tempdir().unwrap();
    let first = start_on_sqlite(scratch.path());
    let before = first.bootstrap().unwrap();
    first.kill().unwrap();
    // As it is between the credentials on the disk and the commit.
    let file = |name: &str| scratch.path().join(name);
    fs::rename(file("bootstrap.json"), file("bootstrap.json.new")).unwrap();
    for database in ["claviger.db", "claviger.db-wal", "claviger.db-shm"] {
        fs::remove_file(file(database)).unwrap();
    }
    fs::write(file("claviger.db"), "").unwrap();

    let second = start_on_sqlite(scratch.path());
    assert_ne!(
        second.bootstrap().unwrap()["accessKey"],
        before["accessKey"]
    );
    assert!(owner_is_known(&second));
    assert!(!file("bootstrap.json.new").exists());
}

#[test]
fn a_bootstrap_file_that_was_taken_away_is_not_made_anew() {
    let scratch = tempdir().unwrap();
    stop(start(scratch.path()));
    fs::remove_file(scratch.path().join("bootstrap.json")).unwrap();
    let program = start(scratch.path());
    let (status, _) = program.call("GET /readyz", "", &Value::Null).unwrap();
    assert_eq!(status, 200);
    assert!(!scratch.path().join("bootstrap.json").exists());
}

#[test]
fn a_master_key_that_was_given_is_not_written() {
    let scratch = tempdir().unwrap();
    let elsewhere = scratch.path().join("master");
    fs::write(&elsewhere, "ab".repeat(32)).unwrap();
    let folder = scratch.path().join("data");
    let flags = ["--master-key-file", elsewhere.to_str().unwrap()];
    let program = Program::start(CLAVIGER, &folder, &flags).unwrap();
    assert!(owner_is_known(&program));
    assert!(!folder.join("master.key").exists());
    let said = stop(program);
    assert!(!said.contains("The master key lies in"), "{said}");
}
