//! Starts that are refused: one plain sentence, exit code 2, and nothing has changed.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end, serve_on_sqlite as serve};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::{TempDir, tempdir};

use crate::place::run;
use crate::{CLAVIGER, nodes};

/// Runs a command that has to refuse, and gives its sentence. `folder` is the same afterwards.
#[track_caller]
fn refused(command: Command, folder: &Path) -> String {
    let before = contents(folder);
    let output = run_to_end(command);
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{sentence}");
    assert_eq!(output.stdout, b"");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    let after = contents(folder);
    assert_eq!(after.is_some(), before.is_some(), "{sentence}");
    let (after, before) = (after.unwrap_or_default(), before.unwrap_or_default());
    let changed = |name: &&String| after.get(*name) != before.get(*name);
    let names: Vec<_> = after.keys().chain(before.keys()).filter(changed).collect();
    assert!(names.is_empty(), "{names:?} changed: {sentence}");
    sentence
}

/// All files of a folder; nothing where there is no folder.
fn contents(folder: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    let files = fs::read_dir(folder).ok()?.map(|file| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        (name, fs::read(file.path()).unwrap())
    });
    Some(files.collect())
}

/// A folder whose first start is over.
fn used() -> TempDir {
    let folder = tempdir().unwrap();
    let program = Program::start_as(serve(CLAVIGER, folder.path(), &[]), folder.path());
    let (code, _) = program.unwrap().stop().unwrap();
    assert_eq!(code, 0);
    folder
}

#[test]
fn a_port_in_use_is_refused() {
    let scratch = tempdir().unwrap();
    let folder = scratch.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = command(CLAVIGER, ["serve", "--listen", &address, "--data-dir"]);
    command.arg(&folder);
    let sentence = refused(command, &folder);
    assert!(sentence.contains(&address), "{sentence}");
    assert!(!folder.exists());
}

#[test]
fn a_data_directory_that_another_program_holds_is_refused() {
    let folder = tempdir().unwrap();
    let holder = serve(CLAVIGER, folder.path(), &[]);
    let holder = Program::start_as(holder, folder.path()).unwrap();
    let output = run_to_end(serve(CLAVIGER, folder.path(), &[]));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let path = folder.path().to_str().unwrap();
    assert!(sentence.contains("another claviger is using"), "{sentence}");
    assert!(sentence.contains(path), "{sentence}");
    let (status, _) = holder
        .call("GET /healthz", "", &serde_json::Value::Null)
        .unwrap();
    assert_eq!(status, 200);
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let scratch = tempdir().unwrap();
    let file = scratch.path().join("data");
    fs::write(&file, "a letter").unwrap();
    let sentence = refused(serve(CLAVIGER, &file, &[]), scratch.path());
    assert!(sentence.contains(file.to_str().unwrap()), "{sentence}");
}

#[test]
fn a_data_directory_below_a_file_is_refused() {
    let scratch = tempdir().unwrap();
    let file = scratch.path().join("letter");
    fs::write(&file, "a letter").unwrap();
    refused(serve(CLAVIGER, &file.join("data"), &[]), scratch.path());
}

#[test]
fn a_database_that_is_none_is_refused() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("master.key"), "ab".repeat(32)).unwrap();
    fs::write(
        folder.path().join("claviger.db"),
        "no database at all ".repeat(1_000),
    )
    .unwrap();
    let sentence = refused(serve(CLAVIGER, folder.path(), &[]), folder.path());
    assert!(sentence.contains("not a database"), "{sentence}");
}

#[test]
fn counters_that_are_none_are_refused() {
    let folder = used();
    let garbage = "no database at all ".repeat(1_000);
    fs::write(folder.path().join("usage.db"), garbage).unwrap();
    let sentence = refused(serve(CLAVIGER, folder.path(), &[]), folder.path());
    assert!(sentence.contains("not a database"), "{sentence}");
}

#[test]
fn another_master_key_is_refused() {
    let folder = used();
    let mut command = serve(CLAVIGER, folder.path(), &[]);
    command.env("CLAVIGER_MASTER_KEY", "ab".repeat(32));
    let sentence = refused(command, folder.path());
    assert!(sentence.contains("another master key"), "{sentence}");
    assert!(sentence.contains("CLAVIGER_MASTER_KEY"), "{sentence}");
}

#[test]
fn a_database_without_its_master_key_is_refused() {
    let folder = used();
    fs::remove_file(folder.path().join("master.key")).unwrap();
    let sentence = refused(serve(CLAVIGER, folder.path(), &[]), folder.path());
    assert!(sentence.contains("master.key is missing"), "{sentence}");
}

#[test]
fn a_master_key_that_is_none_is_refused() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("master.key"), "open sesame").unwrap();
    let sentence = refused(serve(CLAVIGER, folder.path(), &[]), folder.path());
    assert!(sentence.contains("32 bytes"), "{sentence}");
    assert!(!sentence.contains("sesame"), "{sentence}");
}

#[test]
fn a_bootstrap_file_that_is_none_is_refused() {
    let folder = used();
    fs::write(
        folder.path().join("bootstrap.json"),
        "{\"accessKey\": \"live_",
    )
    .unwrap();
    let sentence = refused(serve(CLAVIGER, folder.path(), &[]), folder.path());
    assert!(sentence.contains("bootstrap.json"), "{sentence}");
    assert!(!sentence.contains("live_"), "{sentence}");
}

/// What a program of a later version leaves behind.
const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                     execution_time) SELECT 9999, 'the future', success, checksum, 0 \
                     FROM _sqlx_migrations WHERE version = 1";

fn assert_tells_what_to_do(sentence: &str) {
    for part in ["newer claviger", "9999", "start that one", "backup"] {
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    for name in ["claviger.db", "usage.db"] {
        let folder = used();
        run(async {
            let options = SqliteConnectOptions::new().filename(folder.path().join(name));
            let mut connection = options.connect().await.unwrap();
            sqlx::query(LATER).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
        let sentence = refused(serve(CLAVIGER, folder.path(), &[]), folder.path());
        assert_tells_what_to_do(&sentence);
    }
}

#[test]
fn a_postgres_of_a_newer_program_is_refused() {
    let database = nodes::database();
    run(async {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        sqlx::query(LATER).execute(&mut connection).await.unwrap();
    });
    let scratch = tempdir().unwrap();
    let folder = scratch.path().join("data");
    let sentence = refused(nodes::command(&folder, database.url()), &folder);
    assert_tells_what_to_do(&sentence);
    assert!(sentence.contains("PostgreSQL"), "{sentence}");
}

#[test]
fn a_configuration_that_is_not_understood_is_refused() {
    let scratch = tempdir().unwrap();
    let folder = scratch.path().join("data");
    let file = scratch.path().join("claviger.toml");
    let path = file.to_str().unwrap().to_owned();
    for (text, named) in [
        ("# first\nlisen = '127.0.0.1:1'\n", "lisen"),
        ("# first\n[log]\nlevel = 'info'\n", "level"),
        ("\nlisten = 'here'\n", "line 2"),
        ("\nlisten = \n", "line 2"),
        ("public_url = 'keys.example.com'\n", "public_url"),
        (
            "master_key = 'x'\nmaster_key_file = 'y'\n",
            "master_key_file",
        ),
        (
            "[database]\nurl_file = '/nowhere/at/all'\n",
            "/nowhere/at/all",
        ),
        ("trusted_proxies = ['proxy.internal']\n", "proxy.internal"),
        ("[log]\nfilter = 'info=very=much'\n", "info=very=much"),
    ] {
        fs::write(&file, text).unwrap();
        let command = serve(CLAVIGER, &folder, &["--config", &path]);
        let sentence = refused(command, &folder);
        assert!(sentence.contains(named), "{sentence}");
    }
}

#[test]
fn a_configuration_file_that_is_not_there_is_refused() {
    let scratch = tempdir().unwrap();
    let folder = scratch.path().join("data");
    let command = serve(CLAVIGER, &folder, &["--config", "/nowhere/claviger.toml"]);
    let sentence = refused(command, &folder);
    assert!(sentence.contains("/nowhere/claviger.toml"), "{sentence}");
}

#[test]
fn a_postgres_that_cannot_be_reached_is_refused() {
    let scratch = tempdir().unwrap();
    let folder = scratch.path().join("data");
    // Nothing can listen on port 0.
    let url = "postgres://me:open-sesame@127.0.0.1:0/keys";
    let sentence = refused(serve(CLAVIGER, &folder, &["--database-url", url]), &folder);
    assert!(sentence.contains("PostgreSQL"), "{sentence}");
    assert!(!sentence.contains("sesame"), "{sentence}");
}
