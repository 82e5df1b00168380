//! Backups that are taken while the program runs, and what restoring one undoes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::channel;

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::CLAVIGER;
use crate::place::{Place, Target};

/// A program with its data, and room for backups beside it.
struct Site {
    place: Place,
    scratch: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            place: Place::on_sqlite(),
            scratch: tempdir().unwrap(),
        }
    }

    fn data(&self) -> &Path {
        self.place.folder.path()
    }

    fn backup_at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run_to_end(self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(CLAVIGER, arguments);
        command
            .current_dir(self.scratch.path())
            .env("CLAVIGER_DATA_DIR", self.data());
        command
    }

    /// What a command says that succeeds, on either stream.
    #[track_caller]
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    }

    /// The sentence of one that cannot do what it is asked.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        said
    }

    fn start(&self) -> Program {
        self.place.start()
    }
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

fn stop(program: Program) {
    assert_eq!(program.stop().unwrap().0, 0);
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Whether the program lets a key pass.
fn passes(program: &Program, key: &str) -> bool {
    let target = Target::of(program);
    target.connect().check(key, &target.verifier).unwrap() == 200
}

/// Makes a key of that name, and gives its id and the key.
fn make(target: &Target, name: &str) -> (String, String) {
    let body = json!({"name": name, "projectId": target.project});
    let made = target
        .connect()
        .ask("POST /api-keys", &target.owner, &body)
        .unwrap();
    let member = |name: &str| made.body[name].as_str().unwrap().to_owned();
    (member("id"), member("key"))
}

fn ask(target: &Target, line: &str, body: &Value) {
    let answer = target.connect().ask(line, &target.owner, body).unwrap();
    assert!(answer.status < 300, "{line}: {}", answer.body);
}

#[test]
fn a_backup_under_load_has_every_key_that_was_answered_before_it() {
    let site = Site::new();
    let program = site.start();
    let target = Target::of(&program);
    let known = std::thread::scope(|scope| {
        let (tell, told) = channel();
        for _ in 0..8 {
            let (tell, target) = (tell.clone(), &target);
            // They go on until nobody listens any more.
            scope.spawn(move || while tell.send(target.make_key()).is_ok() {});
        }
        let known: Vec<String> = told.iter().take(200).collect();
        site.said(&["backup", "taken"]);
        drop(told);
        known
    });
    let used = Target::of(&program).check_often(&known[0], 1);
    drop(program);

    let copy = Site::new();
    fs::copy(
        site.data().join("master.key"),
        copy.data().join("master.key"),
    )
    .unwrap();
    let taken = site.backup_at("taken");
    copy.said(&["restore", taken.to_str().unwrap()]);
    copy.place.assert_nothing_is_half_there();
    assert!(
        copy.place.counted() < used,
        "it was counted after the backup"
    );
    fs::copy(
        site.data().join("bootstrap.json"),
        copy.data().join("bootstrap.json"),
    )
    .unwrap();
    let program = copy.start();
    let target = Target::of(&program);
    let mut connection = target.connect();
    for key in &known {
        assert_eq!(connection.check(key, &target.verifier).unwrap(), 200);
    }
}

#[test]
fn a_backup_has_no_secret_in_it_and_is_its_owner_s_alone() {
    let site = Site::new();
    let program = site.start();
    let target = Target::of(&program);
    let mut canaries = vec![
        make(&target, "Ada").1,
        target.owner.clone(),
        target.verifier.clone(),
    ];
    let operator = program.bootstrap().unwrap()["operatorKey"]
        .as_str()
        .unwrap()
        .to_owned();
    canaries.push(operator);
    let custom = "custom-key-of-a-canary-in-a-backup";
    let body = json!({"name": "Grace", "projectId": target.project, "key": custom});
    ask(&target, "POST /api-keys", &body);
    canaries.push(custom.to_owned());
    canaries.push(
        fs::read_to_string(site.data().join("master.key"))
            .unwrap()
            .trim()
            .to_owned(),
    );
    fs::create_dir(site.data().join("outbox")).unwrap();
    fs::write(site.data().join("outbox/mail.eml"), "a code").unwrap();

    site.said(&["backup", "taken"]);
    let taken = site.backup_at("taken");
    let expected = ["claviger.db", "manifest.json", "usage.db"].map(str::to_owned);
    assert_eq!(names(&taken), expected.into());
    assert_eq!(names(site.scratch.path()), ["taken".to_owned()].into());
    assert_eq!(mode(&taken), 0o700);
    for name in names(&taken) {
        assert_eq!(mode(&taken.join(&name)), 0o600, "{name}");
        let content = fs::read(taken.join(&name)).unwrap();
        for canary in &canaries {
            let found = content
                .windows(canary.len())
                .any(|part| part == canary.as_bytes());
            assert!(!found, "{name} has a secret in it");
        }
    }
}

#[test]
fn restore_after_revocation_asks_first() {
    let site = Site::new();
    let program = site.start();
    let target = Target::of(&program);
    let (revoked, revoked_key) = make(&target, "Ada Lovelace");
    let (rotated, rotated_key) = make(&target, "Grace Hopper");
    let (_, untouched_key) = make(&target, "Mary Somerville");
    site.said(&["backup", "taken"]);
    ask(
        &target,
        &format!("DELETE /api-keys/{revoked}"),
        &Value::Null,
    );
    ask(
        &target,
        &format!("POST /api-keys/{rotated}/rotate"),
        &json!({"gracePeriod": 0}),
    );
    let (_, later_key) = make(&target, "Later");
    stop(program);

    let asked = site.refused(&["restore", "taken"]);
    for part in [
        &*revoked,
        &*rotated,
        "Ada***",
        "--undo-revocations 2",
        "nothing was done",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(!asked.contains("Lovelace"), "{asked}");
    let asked = site.refused(&["restore", "taken", "--undo-revocations", "1"]);
    assert!(asked.contains("there are 2"), "{asked}");
    let program = site.start();
    assert!(!passes(&program, &revoked_key), "nothing was done");
    assert!(passes(&program, &later_key), "nothing was done");
    stop(program);

    site.said(&[
        "restore",
        "taken",
        "--keep-revocations",
        "--undo-revocations",
        "0",
    ]);
    let program = site.start();
    assert!(!passes(&program, &revoked_key) && !passes(&program, &rotated_key));
    assert!(!passes(&program, &later_key) && passes(&program, &untouched_key));
    stop(program);

    // What was there before is a backup, too. It had a rotated key's successor and a later key.
    let aside = names(site.data())
        .into_iter()
        .find(|name| name.starts_with("before-restore-"));
    let aside = site.data().join(aside.unwrap());
    site.said(&[
        "restore",
        aside.to_str().unwrap(),
        "--undo-revocations",
        "0",
    ]);
    let program = site.start();
    assert!(passes(&program, &later_key) && !passes(&program, &revoked_key));
    stop(program);

    site.said(&["restore", "taken", "--undo-revocations", "2"]);
    let program = site.start();
    assert!(passes(&program, &revoked_key) && passes(&program, &rotated_key));
}

#[test]
fn whatever_was_ended_since_is_told_and_can_be_kept_ended() {
    let site = Site::new();
    let program = site.start();
    let target = Target::of(&program);
    let bootstrap = program.bootstrap().unwrap();
    let made = |line: &str, body: Value| {
        let answer = target.connect().ask(line, &target.owner, &body).unwrap();
        assert_eq!(answer.status, 201, "{line}: {}", answer.body);
        answer.body
    };
    let project = made("POST /projects", json!({"name": "Old"}))["id"].clone();
    let in_project = made(
        "POST /api-keys",
        json!({"name": "Ada", "projectId": project}),
    );
    let access = made("POST /access-keys", json!({"name": "CI", "role": "viewer"}));
    let connected = bootstrap["integratedAccountId"].as_str().unwrap();
    let servers = format!("/integrated-account/{connected}/mcp");
    let server = made(
        &format!("POST {servers}"),
        json!({"name": "Agent", "config": {}}),
    );
    let (_, mcp) = server["url"].as_str().unwrap().split_once("/mcp/").unwrap();
    site.said(&["backup", "taken"]);
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    for line in [
        format!("DELETE /projects/{}", project.as_str().unwrap()),
        format!("DELETE /access-keys/{}", id(&access)),
        format!("DELETE {servers}/{}", id(&server)),
    ] {
        ask(&target, &line, &Value::Null);
    }
    site.said(&["operator-key", "rotate"]);
    stop(program);

    let asked = site.refused(&["restore", "taken", "--undo-revocations", "0"]);
    for (what, id) in [
        ("project", project.as_str().unwrap().to_owned()),
        ("api-key", id(&in_project)),
        ("access-key", id(&access)),
        ("mcp-server", id(&server)),
        ("operator-key", "opr_".to_owned()),
    ] {
        let is_told = |line: &str| line.contains(what) && line.contains(&id);
        assert!(asked.lines().any(is_told), "{what}: {asked}");
    }
    assert!(asked.contains("there are 5"), "{asked}");
    site.said(&[
        "restore",
        "taken",
        "--keep-revocations",
        "--undo-revocations",
        "0",
    ]);
    let program = site.start();
    let key = in_project["key"].as_str().unwrap();
    assert!(!passes(&program, key));
    let access = access["key"].as_str().unwrap();
    let operator = bootstrap["operatorKey"].as_str().unwrap();
    for credential in [access, operator] {
        assert_eq!(
            program
                .call("GET /projects", credential, &Value::Null)
                .unwrap()
                .0,
            401
        );
    }
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(
        program
            .call(&format!("POST /mcp/{mcp}"), "", &list)
            .unwrap()
            .0,
        401
    );
    let kinds = crate::place::run(async {
        let sql = "SELECT kind FROM events WHERE data LIKE '%kept%' ORDER BY kind";
        site.place.rows(false).await.texts(sql).await
    });
    let expected = [
        "access-key.deleted",
        "api-key.deleted",
        "instance.restored",
        "mcp-server.deleted",
        "operator-key.revoked",
        "project.deleted",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_restore_that_cannot_be_is_refused_and_changes_nothing() {
    let site = Site::new();
    let program = site.start();
    let target = Target::of(&program);
    let (_, key) = make(&target, "Ada");
    site.said(&["backup", "taken"]);
    // What lies where a backup might be written is none of its business.
    let link = site.scratch.path().join(".more.unfinished");
    std::os::unix::fs::symlink(site.data(), &link).unwrap();
    site.said(&["backup", "more"]);
    assert!(link.exists() && site.data().join("usage.db").exists());
    let again = site.refused(&["backup", "taken"]);
    assert!(again.contains("there already"), "{again}");
    let running = site.refused(&["restore", "taken", "--undo-revocations", "0"]);
    assert!(running.contains("another claviger is using"), "{running}");
    stop(program);

    let before = names(site.data());
    let none = site.refused(&["restore", "nowhere"]);
    assert!(none.contains("no backup"), "{none}");
    let other = site
        .command(&["restore", "taken", "--undo-revocations", "0"])
        .env("CLAVIGER_MASTER_KEY", "ab".repeat(32))
        .output()
        .unwrap();
    assert!(
        text(&other).contains("another master key"),
        "{}",
        text(&other)
    );
    for (name, complaint) in [
        ("claviger.db", "checksum"),
        ("usage.db", "checksum"),
        ("manifest.json", "not understood"),
    ] {
        let path = site.backup_at("taken").join(name);
        let content = fs::read(&path).unwrap();
        let mut broken = content.clone();
        let middle = broken.len() / 2;
        broken[middle] ^= 0x80;
        fs::write(&path, broken).unwrap();
        let refused = site.refused(&["restore", "taken", "--undo-revocations", "0"]);
        assert!(refused.contains(complaint), "{name}: {refused}");
        fs::write(&path, content).unwrap();
    }
    assert_eq!(names(site.data()), before);
    // Elsewhere, without the master key, nothing is left behind.
    let elsewhere = site.backup_at("elsewhere");
    let refused = site.refused(&[
        "restore",
        "taken",
        "--data-dir",
        elsewhere.to_str().unwrap(),
    ]);
    assert!(refused.contains("master key"), "{refused}");
    assert!(!elsewhere.exists());
    // One that ended at the question has left its copies, which the next start removes.
    let left = site.data().join("restore.unfinished");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("claviger.db"), "a copy").unwrap();
    let program = site.start();
    assert!(!left.exists());
    stop(program);
    // What is only counted may be gone or broken.
    fs::write(site.data().join("usage.db"), "broken").unwrap();
    let said = site.said(&["restore", "taken", "--undo-revocations", "0"]);
    assert!(said.contains("is no backup"), "{said}");
    assert!(passes(&site.start(), &key));
}

#[test]
fn what_replaces_the_data_waits_for_commands_beside_it_and_they_for_it() {
    let site = Site::new();
    drop(site.start());
    site.said(&["backup", "taken"]);
    let folder = fs::File::open(site.data()).unwrap();
    folder.lock_shared().unwrap();
    site.said(&["backup", "again"]);
    for alone in [&["restore", "taken"][..], &["secrets", "rotate-pepper"]] {
        let refused = site.refused(alone);
        assert!(refused.contains("at work"), "{alone:?}: {refused}");
    }
    folder.unlock().unwrap();
    folder.lock().unwrap();
    for beside in [
        &["backup", "more"][..],
        &["operator-key", "recover"],
        &["secrets", "rotate-master-key"],
    ] {
        let refused = site.refused(beside);
        assert!(refused.contains("at work"), "{beside:?}: {refused}");
    }
}

#[test]
fn rows_in_postgres_are_left_to_its_own_tools() {
    let scratch = tempdir().unwrap();
    for (verb, tool) in [("backup", "pg_dump"), ("restore", "pg_restore")] {
        let mut command = command(CLAVIGER, [verb, "file"]);
        let url = "postgres://me:open-sesame@127.0.0.1:1/keys";
        command
            .current_dir(scratch.path())
            .env("CLAVIGER_DATABASE_URL", url);
        let output = run_to_end(command);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output);
        assert!(said.contains(tool) && !said.contains("sesame"), "{said}");
        assert!(names(scratch.path()).is_empty());
    }
}
