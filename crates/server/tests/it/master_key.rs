//! Exchanging the master key: beside a running program, and cut short anywhere.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end, serve_on_sqlite};
use serde_json::json;
use tempfile::tempdir;

use crate::CLAVIGER;
use crate::place::{Place, Target};

const OLD: &str = "abababababababababababababababababababababababababababababababab";
const NEW: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

fn rotate(data: &Path) -> Command {
    let mut command = command(CLAVIGER, ["secrets", "rotate-master-key", "--data-dir"]);
    command.arg(data);
    command
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

#[track_caller]
fn succeeds(command: Command) -> String {
    let output = run_to_end(command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    text(&output)
}

/// A key of the program's, and a URL for agents over credentials that are sealed.
struct Made {
    key: String,
    mcp: String,
}

impl Made {
    fn of(program: &Program) -> Self {
        let target = Target::of(program);
        let connected = program.bootstrap().unwrap()["integratedAccountId"].clone();
        let line = format!(
            "POST /integrated-account/{}/mcp",
            connected.as_str().unwrap()
        );
        let made = target
            .connect()
            .ask(
                &line,
                &target.owner,
                &json!({"name": "Agent", "config": {}}),
            )
            .unwrap();
        let url = made.body["url"].as_str().unwrap();
        let (_, path) = url.split_once("/mcp/").unwrap();
        Self {
            key: target.make_key(),
            mcp: format!("POST /mcp/{path}"),
        }
    }

    /// Whether the key still passes, and the credentials still open.
    #[track_caller]
    fn assert_good(&self, program: &Program) {
        let target = Target::of(program);
        let mut connection = target.connect();
        assert_eq!(connection.check(&self.key, &target.verifier).unwrap(), 200);
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "list_all_the_auth_api_api_keys", "arguments": {}},
        });
        let (status, answer) = program.call(&self.mcp, "", &call).unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
}

/// The old master keys beside the one in force.
fn kept(data: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data).unwrap().map(|file| file.unwrap().path());
    let is_kept = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("master.key.")
    };
    files.filter(is_kept).collect()
}

#[test]
fn a_master_key_in_the_data_directory_is_exchanged_while_the_program_runs() {
    let place = Place::on_sqlite();
    let data = place.folder.path();
    let program = place.start();
    let made = Made::of(&program);
    let old = fs::read_to_string(data.join("master.key")).unwrap();
    let scratch = tempdir().unwrap();
    let backup = scratch.path().join("before");
    let mut copying = command(CLAVIGER, ["backup", "--data-dir"]);
    copying.arg(data).arg(&backup);
    succeeds(copying);

    succeeds(rotate(data));
    made.assert_good(&program);
    let later = Made::of(&program);
    assert_eq!(program.stop().unwrap().0, 0);
    assert_ne!(fs::read_to_string(data.join("master.key")).unwrap(), old);
    let [kept] = &kept(data)[..] else {
        panic!("one old key is kept");
    };
    assert_eq!(fs::read_to_string(kept).unwrap(), old);

    let flags = ["--master-key-file", kept.to_str().unwrap()];
    let refused = text(&run_to_end(serve_on_sqlite(CLAVIGER, data, &flags)));
    assert!(refused.contains("another master key"), "{refused}");
    let program = place.start();
    made.assert_good(&program);
    later.assert_good(&program);
    drop(program);
    // Once more, and what was backed up before is opened by the key that it was made with.
    succeeds(rotate(data));
    made.assert_good(&place.start());
    let elsewhere = scratch.path().join("elsewhere");
    let restore = |key: &Path| {
        let mut command = command(CLAVIGER, ["restore", "--data-dir"]);
        command.arg(&elsewhere).arg(&backup);
        command.arg("--master-key-file").arg(key);
        command
    };
    let refused = text(&run_to_end(restore(&data.join("master.key"))));
    assert!(refused.contains("another master key"), "{refused}");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(data.join("master.key"), elsewhere.join("master.key")).unwrap();
    let said = succeeds(restore(kept));
    // It says how to go on to the key in force, and that does it.
    let (_, line) = said.split_once("CLAVIGER_NEW_MASTER_KEY_FILE=").unwrap();
    let words: Vec<_> = line.lines().next().unwrap().split(' ').collect();
    let mut again = command(CLAVIGER, &words[2..]);
    again.env("CLAVIGER_NEW_MASTER_KEY_FILE", words[0]);
    succeeds(again);
    fs::copy(
        data.join("bootstrap.json"),
        elsewhere.join("bootstrap.json"),
    )
    .unwrap();
    let served = serve_on_sqlite(CLAVIGER, &elsewhere, &[]);
    made.assert_good(&Program::start_as(served, &elsewhere).unwrap());
}

#[test]
fn an_exchange_that_is_killed_anywhere_is_run_again_and_nothing_is_lost() {
    let place = Place::on_sqlite();
    let data = place.folder.path();
    let program = place.start();
    let made = Made::of(&program);
    drop(program);
    // It tells each step; whoever reads the lines strikes somewhere behind it.
    for lines in [0, 1, 1, 2, 2, 3] {
        let mut killed = rotate(data)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let told = BufReader::new(killed.stderr.take().unwrap()).lines();
        let _ = told.take(lines).count();
        killed.kill().unwrap();
        killed.wait().unwrap();
        made.assert_good(&place.start());
    }
    succeeds(rotate(data));
    made.assert_good(&place.start());
    assert!(!data.join("master.key.new").exists());
}

/// Files that cannot be exchanged, as those that are mounted by themselves, are found before the
/// secrets are exchanged; and where they are exchanged, the new key's file is enough for a start.
#[test]
fn a_master_key_that_cannot_be_replaced_is_not_lost() {
    let place = Place::on_sqlite();
    let data = place.folder.path();
    let program = place.start();
    let made = Made::of(&program);
    let listed = || {
        let mut list = command(CLAVIGER, ["secrets", "list", "--data-dir"]);
        list.arg(data);
        succeeds(list)
    };
    let before = listed();
    // A folder can have no second name.
    let (current, new) = (data.join("master.key"), data.join("master.key.new"));
    let id = before.split("wrapped by ").nth(1).unwrap();
    let kept = data.join(format!("master.key.{}", id.lines().next().unwrap()));
    fs::create_dir(&kept).unwrap();
    let output = run_to_end(rotate(data));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("not exchanged"), "{}", text(&output));
    assert_eq!(listed(), before);
    fs::remove_dir(&kept).unwrap();

    let old = fs::read_to_string(&current).unwrap();
    succeeds(rotate(data));
    assert_eq!(program.stop().unwrap().0, 0);
    fs::rename(&current, &new).unwrap();
    fs::write(&current, &old).unwrap();
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    made.assert_good(&place.start());
    assert!(new.exists(), "it is the only key");
}

/// What is there when an exchange ends between its steps: the new key alone, the new key and secrets
/// under it, and the old one kept besides.
#[test]
fn a_start_finishes_an_exchange_that_was_cut_short() {
    let place = Place::on_sqlite();
    let data = place.folder.path();
    let program = place.start();
    let made = Made::of(&program);
    drop(program);
    let (current, new) = (data.join("master.key"), data.join("master.key.new"));
    let old = fs::read_to_string(&current).unwrap();
    fs::write(&new, format!("{NEW}\n")).unwrap();
    made.assert_good(&place.start());
    assert_eq!(fs::read_to_string(&current).unwrap(), old);

    // The secrets go under the new one, and the file is as if it had not been replaced.
    succeeds(rotate(data));
    fs::write(&new, format!("{NEW}\n")).unwrap();
    fs::write(&current, &old).unwrap();
    made.assert_good(&place.start());
    assert_eq!(fs::read_to_string(&current).unwrap(), format!("{NEW}\n"));
    assert!(!new.exists());
}

fn a_given_master_key_is_exchanged(place: &Place) {
    let data = place.folder.path();
    let given = |mut command: Command, keys: &[(&str, &str)]| {
        command
            .env_remove("CLAVIGER_MASTER_KEY")
            .envs(keys.iter().copied());
        if let Some(url) = place.url() {
            command.env("CLAVIGER_DATABASE_URL", url);
        }
        command
    };
    let old = ("CLAVIGER_MASTER_KEY", OLD);
    let new = ("CLAVIGER_NEW_MASTER_KEY", NEW);
    let start = |keys: &[(&str, &str)]| {
        Program::start_as(given(serve_on_sqlite(CLAVIGER, data, &[]), keys), data).unwrap()
    };
    let program = start(&[old]);
    let made = Made::of(&program);

    let output = run_to_end(given(rotate(data), &[old]));
    assert!(
        text(&output).contains("CLAVIGER_NEW_MASTER_KEY"),
        "{}",
        text(&output)
    );
    let foreign = (
        "CLAVIGER_MASTER_KEY",
        "11111111111111111111111111111111111111111111",
    );
    let output = run_to_end(given(rotate(data), &[foreign, new]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    made.assert_good(&program);
    succeeds(given(rotate(data), &[old, new]));
    made.assert_good(&program);
    assert!(succeeds(given(rotate(data), &[old, new])).contains("already"));
    drop(program);
    made.assert_good(&start(&[old, new]));
    made.assert_good(&start(&[("CLAVIGER_MASTER_KEY", NEW)]));
    let refused = text(&run_to_end(given(
        serve_on_sqlite(CLAVIGER, data, &[]),
        &[old],
    )));
    assert!(refused.contains("another master key"), "{refused}");
    let noted: Vec<_> = crate::place::run(async {
        let sql = "SELECT kind FROM events WHERE kind = 'master-key.rotated'";
        place.rows(false).await.texts(sql).await
    });
    assert_eq!(noted.len(), 1);
}

#[test]
fn a_given_master_key_is_exchanged_on_sqlite() {
    a_given_master_key_is_exchanged(&Place::on_sqlite());
}

#[test]
fn a_given_master_key_is_exchanged_on_postgres() {
    a_given_master_key_is_exchanged(&Place::on_postgres());
}
