//! The commands that ask a running server, as people and scripts run them.

mod waiting;
mod webhooks;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use claviger_testkit::program::{Program, command, run_to_end, serve};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::CLAVIGER;

/// A server with what a first start makes, and a folder for files.
struct Place {
    scratch: TempDir,
    server: Program,
}

impl Place {
    fn new() -> Self {
        let scratch = tempdir().unwrap();
        let server = Program::start(CLAVIGER, &scratch.path().join("data"), &[]).unwrap();
        Self { scratch, server }
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    fn made(&self, member: &str) -> String {
        let bootstrap = self.server.bootstrap().unwrap();
        bootstrap[member].as_str().unwrap().to_owned()
    }

    /// A command line that finds the server by its data directory, and the rows where the server has
    /// them.
    fn command(&self, arguments: &[&str]) -> Command {
        let data = self.path().join("data");
        let mut command = command(CLAVIGER, arguments);
        for (name, value) in serve(CLAVIGER, &data, &[]).get_envs() {
            command.env(name, value.unwrap());
        }
        command
            .current_dir(self.path())
            .env("CLAVIGER_DATA_DIR", &data);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run_to_end(self.command(arguments))
    }

    /// What a command prints that succeeds.
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.printed(&all)).unwrap()
    }

    /// Runs a command with that on its standard input.
    fn given(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn count(&self) -> usize {
        let listed = self.json(&["keys", "list", "--all"]);
        listed.as_array().unwrap().len()
    }
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", complaint(output));
    complaint(output)
}

#[test]
fn a_key_is_made_used_rotated_and_revoked() {
    let place = Place::new();
    let quiet = [
        "keys",
        "create",
        "Acme",
        "--customer",
        "acme",
        "--per-minute",
        "9",
        "--quiet",
    ];
    let key = place.printed(&quiet);
    assert_eq!(key.trim_end().len(), "live_".len() + 64);
    assert_eq!(key.lines().count(), 1);
    let verified = place.given(&["keys", "verify", "--json"], &key);
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["key"]["customAccountId"], "acme");
    assert_eq!(verified["rateLimit"]["remaining"], 8);

    let listed = place.json(&["keys", "list", "--customer", "acme"]);
    let id = listed[0]["id"].as_str().unwrap();
    let table = place.printed(&["keys", "list"]);
    assert!(table.lines().next().unwrap().starts_with("ID"), "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with(id), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where nobody looks");
    let shown = place.printed(&["keys", "show", id]);
    assert!(shown.contains("Acme") && shown.contains("acme"), "{shown}");

    // Nobody is there to be asked.
    let unasked = refused(&place.run(&["keys", "rotate", id]), 2);
    assert!(unasked.contains("--yes"), "{unasked}");
    let next = place.printed(&["keys", "rotate", id, "--yes", "--quiet"]);
    assert_ne!(next, key);
    let old = place.given(&["keys", "verify"], &key);
    assert_eq!(refused(&old, 1), "");
    assert!(String::from_utf8(old.stdout).unwrap().contains("REVOKED"));

    let active = place.json(&["keys", "list", "--active", "true"]);
    let id = active[0]["id"].as_str().unwrap();
    place.printed(&["keys", "revoke", id, "--reason", "unused", "--yes"]);
    assert_eq!(place.json(&["keys", "show", id])["reason"], "unused");
    assert_eq!(refused(&place.given(&["keys", "verify"], &next), 1), "");
    place.printed(&["keys", "reactivate", id]);
    assert!(place.given(&["keys", "verify"], &next).status.success());
}

#[test]
fn projects_accounts_and_access_keys_are_managed() {
    let place = Place::new();
    let project = place.json(&["projects", "create", "Staging", "--env", "test"]);
    let id = project["id"].as_str().unwrap();
    assert_eq!(project["env"], "test");
    place.printed(&["projects", "update", id, "--name", "Renamed"]);
    assert!(place.printed(&["projects", "list"]).contains("Renamed"));

    let verifier = [
        "access-keys",
        "create",
        "edge",
        "--role",
        "verifier",
        "--project",
        id,
        "--quiet",
    ];
    let verifier = place.printed(&verifier);
    let key = place.printed(&["keys", "create", "tried", "--project", id, "--quiet"]);
    let mut checked = place.command(&["keys", "verify", key.trim()]);
    checked.env("CLAVIGER_ACCESS_KEY", verifier.trim());
    assert!(run_to_end(checked).status.success());
    let listed = place.json(&["access-keys", "list", "--project", id]);
    let edge = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "edge")
        .unwrap();
    let edge = edge["id"].as_str().unwrap();
    assert_eq!(
        place.json(&["access-keys", "show", edge])["role"],
        "verifier"
    );
    let next = place.printed(&["access-keys", "rotate", edge, "--grace", "60", "--quiet"]);
    assert_ne!(next, verifier);
    place.printed(&["access-keys", "revoke", edge, "--yes"]);
    let mut checked = place.command(&["keys", "verify", key.trim()]);
    checked.env("CLAVIGER_ACCESS_KEY", verifier.trim());
    let sentence = refused(&run_to_end(checked), 1);
    assert!(sentence.contains("CLAVIGER_ACCESS_KEY"), "{sentence}");

    place.printed(&["projects", "delete", id, "--yes"]);
    let gone = refused(&place.run(&["projects", "show", id]), 1);
    assert_eq!(gone, "claviger: Project not found\n");

    let account = place.json(&["accounts", "create", "Child"]);
    let shown = place.json(&["accounts", "show", account["id"].as_str().unwrap()]);
    assert_eq!(shown["name"], "Child");
    assert!(place.printed(&["accounts", "list"]).contains("Child"));
}

#[test]
fn what_is_worth_a_second_thought_of_an_url_is_told_beside_it() {
    let place = Place::new();
    let made = place.run(&["mcp", "create", "All", "--quiet"]);
    let told = String::from_utf8(made.stderr).unwrap();
    assert!(
        told.contains("warning: 57 tools") && told.contains("expires_at"),
        "{told}"
    );
    let url = String::from_utf8(made.stdout).unwrap();
    assert_eq!(url.lines().count(), 1, "{url}");
    let made = place.run(&[
        "mcp", "create", "Few", "--tag", "api_keys", "--method", "read",
    ]);
    assert_eq!(String::from_utf8(made.stderr).unwrap(), "");
}

#[test]
fn an_url_for_agents_is_made_listed_and_ended() {
    let place = Place::new();
    let made = place.json(&[
        "mcp", "create", "Support", "--method", "read", "--tag", "api_keys",
    ]);
    let (id, url) = (made["id"].as_str().unwrap(), made["url"].as_str().unwrap());
    assert!(url.contains("/mcp/clvmcp_"), "{url}");
    let table = place.printed(&["mcp", "list"]);
    assert!(
        table.contains("Support") && !table.contains("clvmcp_"),
        "{table}"
    );
    let quiet = place.printed(&["mcp", "create", "CI", "--expires", "2999-01-01", "--quiet"]);
    assert!(
        quiet.starts_with("http") && quiet.lines().count() == 1,
        "{quiet}"
    );
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "list_all_the_auth_api_api_keys", "arguments": {}},
    });
    let path = url.split_once("/mcp/").unwrap().1;
    place
        .server
        .call(&format!("POST /mcp/{path}"), "", &call)
        .unwrap();
    let log = || place.json(&["mcp", "log", "--server-id", id])["result"][0].clone();
    let mut line = log();
    while line.is_null() {
        line = log();
    }
    assert_eq!(line["tool_name"], "list_all_the_auth_api_api_keys");
    place.printed(&["mcp", "revoke", id, "--yes"]);
    assert!(!place.printed(&["mcp", "list"]).contains("Support"));
}

#[test]
fn names_from_outside_cannot_act_on_a_terminal() {
    let place = Place::new();
    let name = "\u{1b}[2J\u{202e}evil\u{7}";
    place.printed(&["keys", "create", name, "--quiet"]);
    let table = place.printed(&["keys", "list"]);
    assert!(table.contains("evil"), "{table}");
    assert!(
        !table.contains(['\u{1b}', '\u{202e}', '\u{7}']),
        "{table:?}"
    );
    for format in ["ndjson", "ocsf"] {
        let trail = place.printed(&["audit", "export", "--format", format]);
        assert!(trail.contains("evil"), "{trail}");
        assert!(
            !trail.contains(['\u{1b}', '\u{202e}', '\u{7}']),
            "{trail:?}"
        );
    }
    // A program gets the name as it is.
    assert_eq!(place.json(&["keys", "list"])[0]["name"], name);
}

#[test]
fn what_cannot_be_asked_is_said_in_one_sentence() {
    let scratch = tempdir().unwrap();
    let run = |arguments: &[&str], key: &str| {
        let mut command = command(CLAVIGER, arguments);
        command.current_dir(scratch.path());
        if !key.is_empty() {
            command.env("CLAVIGER_ACCESS_KEY", key);
        }
        let sentence = refused(&run_to_end(command), 2);
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        sentence
    };
    assert!(run(&["keys", "list"], "").contains("CLAVIGER_ACCESS_KEY"));
    let unreached = run(
        &["keys", "list", "--url", "http://127.0.0.1:1"],
        "live_access_x",
    );
    assert!(unreached.contains("claviger serve"), "{unreached}");
    assert!(run(&["keys", "list", "--url", "nonsense"], "k").contains("is no URL"));
    assert!(run(&["keys", "list", "--data-dir", "nowhere"], "").contains("nowhere"));
    assert!(run(&["keys", "show", "..", "--url", "http://127.0.0.1:1"], "k").contains("no id"));
}

#[test]
fn the_owner_s_key_goes_to_no_other_server() {
    let place = Place::new();
    let output = place.run(&["keys", "list", "--url", "http://127.0.0.1:1"]);
    let sentence = refused(&output, 2);
    assert!(sentence.contains("no access key"), "{sentence}");
    // A header line such as the first start leaves is taken, too.
    let file = place.path().join("data/owner.header");
    let url = place.made("url");
    let mut command = command(
        CLAVIGER,
        ["keys", "list", "--url", &url, "--access-key-file"],
    );
    command.arg(file).current_dir(place.path());
    assert!(run_to_end(command).status.success());
}

#[test]
fn a_file_of_keys_is_imported_and_refused_rows_are_told() {
    let place = Place::new();
    let file = place.path().join("keys.csv");
    let mut csv = "name,key,customAccountId,rateLimit,scopes\n".to_owned();
    for number in 0..2_500 {
        writeln!(
            csv,
            "moved {number},moved-key-{number:05},acme,9,read write"
        )
        .unwrap();
    }
    csv += "short,short,,,\nname only,,,,\nno number,moved-key-x,,many,\n";
    fs::write(&file, &csv).unwrap();
    let report = place.path().join("keys.csv.refused.ndjson");

    let tried = place.run(&["keys", "import", "keys.csv", "--dry-run"]);
    assert_eq!(tried.status.code(), Some(1));
    let said = String::from_utf8(tried.stdout).unwrap();
    assert!(said.contains("2500 would be imported"), "{said}");
    assert_eq!(place.count(), 0);

    let imported = place.run(&["keys", "import", "keys.csv", "--json"]);
    assert_eq!(imported.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(summary["rows"], 2_503);
    assert_eq!(summary["created"], 2_500);
    assert_eq!(summary["refused"], 3);
    let told = fs::read_to_string(&report).unwrap();
    let mut lines: Vec<_> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            (
                line["line"].as_u64().unwrap(),
                line["error"]["code"].clone(),
            )
        })
        .collect();
    lines.sort_by_key(|(line, _)| *line);
    let expected = [
        (2_502, "invalid_key"),
        (2_503, "invalid_input"),
        (2_504, "invalid_row"),
    ];
    assert_eq!(lines, expected.map(|(line, code)| (line, json!(code))));

    let passed = place.given(&["keys", "verify", "--scope", "write"], "moved-key-02499\n");
    assert_eq!(passed.status.code(), Some(0), "{}", complaint(&passed));
    let whole: String = csv
        .lines()
        .take(2_501)
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(&file, whole).unwrap();
    let again = place.printed(&["keys", "import", "keys.csv"]);
    assert_eq!(
        again,
        "2500 rows: 0 imported, 2500 there already, 0 refused\n"
    );
    assert!(!report.exists());
}

#[test]
fn an_import_that_was_killed_is_run_again() {
    const ROWS: usize = 6_000;
    let place = Place::new();
    let row = |number: usize| {
        let key =
            json!({"name": format!("moved {number}"), "key": format!("moved-key-{number:05}")});
        format!("{key}\n")
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let mut killed = place.command(&["keys", "import", "-", "--format", "ndjson"]);
    killed
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut killed = killed.spawn().unwrap();
    let mut input = killed.stdin.take().unwrap();
    input
        .write_all(rows[..ROWS / 2].concat().as_bytes())
        .unwrap();
    input.flush().unwrap();
    // It waits for the rest; some of what it was given has arrived, some is on its way.
    while place.count() == 0 {}
    killed.kill().unwrap();
    killed.wait().unwrap();

    let file = place.path().join("keys.ndjson");
    fs::write(file, rows.concat()).unwrap();
    let summary = place.json(&["keys", "import", "keys.ndjson"]);
    assert!(summary["exists"].as_u64().unwrap() > 0, "{summary}");
    let sum = summary["created"].as_u64().unwrap() + summary["exists"].as_u64().unwrap();
    assert_eq!(sum, ROWS as u64);
    assert_eq!(place.count(), ROWS);
    let last = place.given(&["keys", "verify"], "moved-key-05999\n");
    assert!(last.status.success());
}

#[test]
fn keys_are_read_back_by_an_access_key_that_the_operator_lets() {
    let place = Place::new();
    let project = place.made("projectId");
    let refused_as_owner = {
        let mut command = place.command(&["projects", "storage", &project, "recoverable", "--yes"]);
        command.env("CLAVIGER_ACCESS_KEY", place.made("accessKey"));
        run_to_end(command)
    };
    assert!(refused(&refused_as_owner, 1).contains("No access key may do that"));
    let unsaid = place.run(&["projects", "storage", &project, "recoverable"]);
    assert!(refused(&unsaid, 2).contains("--yes"));
    let kept = place.json(&["projects", "storage", &project, "recoverable", "--yes"]);
    assert_eq!(kept["keyStorage"], "recoverable");
    let key = place.printed(&["keys", "create", "Kept", "--quiet"]);
    let reader = place.json(&["access-keys", "create", "Reader", "--role", "viewer"]);
    let id = reader["id"].as_str().unwrap();
    let grant = place.json(&["projects", "grant-reveal", &project, id, "--days", "30"]);
    let shown = |reader: &Value| {
        let mut command = place.command(&["keys", "list", "--json"]);
        command.env("CLAVIGER_ACCESS_KEY", reader["key"].as_str().unwrap());
        let listed: Value = serde_json::from_slice(&run_to_end(command).stdout).unwrap();
        listed[0]["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown(&reader), key.trim_end());
    let owner = json!({"key": place.made("accessKey")});
    assert!(shown(&owner).ends_with("*********"));
    assert!(
        place
            .printed(&["projects", "reveal-grants", &project])
            .contains(id)
    );
    let grant = grant["id"].as_str().unwrap();
    place.printed(&["projects", "end-reveal", &project, grant]);
    assert!(shown(&reader).ends_with("*********"));
    let days = place.run(&["projects", "grant-reveal", &project, id, "--days", "31"]);
    assert!(refused(&days, 1).contains("within the next 30 days"));
    // Neither the log nor the files have it but sealed.
    let Place { scratch, server } = place;
    let (_, log) = server.stop().unwrap();
    let secret = &key.trim_end()[key.trim_end().len() - 42..];
    assert!(!log.contains(secret));
    let files = fs::read_dir(scratch.path().join("data")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    for file in files.filter(|file| file.is_file()) {
        let text = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(secret), "{}", file.display());
    }
}

#[test]
fn projects_and_keys_are_moved_from_another_server() {
    let (there, here) = (Place::new(), Place::new());
    let project = there.json(&["projects", "create", "Elsewhere"]);
    let project = project["id"].as_str().unwrap();
    for name in ["one", "two"] {
        there.printed(&[
            "keys",
            "create",
            name,
            "--project",
            project,
            "--customer",
            "acme",
        ]);
    }
    let import = || {
        let mut command = here.command(&["import", "theauthapi"]);
        command
            .env("CLAVIGER_FROM_URL", there.made("url"))
            .env("CLAVIGER_FROM_ACCESS_KEY", there.made("accessKey"));
        let output = run_to_end(command);
        assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = import();
    assert!(said.contains("2 keys have to be re-issued"), "{said}");
    let report = fs::read_to_string(here.path().join("theauthapi.report.ndjson")).unwrap();
    let line: Value = serde_json::from_str(report.lines().next().unwrap()).unwrap();
    assert_eq!(line["project"], "Elsewhere");
    assert_eq!(line["customAccountId"], "acme");
    import();
    let projects = here.json(&["projects", "list"]);
    let named: Vec<_> = projects
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    let moved = named.iter().filter(|name| **name == "Elsewhere").count();
    assert_eq!(moved, 1, "{named:?}");
}

/// A server elsewhere that shows key strings in full. It has no room at first, and then answers until the
/// tests end.
fn one_that_shows_keys() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (place, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            if place == 0 {
                let away =
                    "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n";
                write!(stream, "{away}content-length: 2\r\n\r\n{{}}").unwrap();
                continue;
            }
            let key = |number: u32, key: &str| {
                json!({
                    "id": format!("64f0{number}"), "name": format!("shown {number}"), "key": key,
                    "customMetaData": {"plan": "pro"}, "customAccountId": "acme",
                    "customUserId": null, "env": "live", "isActive": number != 2,
                    "createdAt": "2023-09-01T00:00:00.000Z", "expiry": "2050-01-01T00:00:00.000Z",
                    "rateLimitConfigs": {"rateLimit": 5, "rateLimitTtl": 60},
                })
            };
            let body = if first.starts_with("GET /projects") {
                json!([
                    {"id": "64e0", "name": "Elsewhere", "env": "test", "accountId": "64d0"},
                    {"id": "64e1", "name": "Elsewhere", "env": "live", "accountId": "64d0"},
                    {"id": "64e2", "name": "Elsewhere", "env": "live", "accountId": "64d0"},
                ])
            } else if first.contains("64e1") {
                json!([key(5, "live_shown-in-full-5")])
            } else if first.contains("64e2") {
                json!([])
            } else {
                let mut rotated = key(4, "live_shown-in-full-4");
                rotated["rotatedTo"] = json!("64f01");
                json!([
                    key(1, "live_shown-in-full-1"),
                    key(2, "live_shown-in-full-2"),
                    key(3, "live_masked*********"),
                    rotated,
                ])
            };
            let body = body.to_string();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
            write!(stream, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn keys_that_another_server_shows_in_full_go_on_working_here() {
    let (url, here) = (one_that_shows_keys(), Place::new());
    let import = |flags: &[&str]| {
        let arguments: Vec<_> = ["import", "theauthapi", "--json"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        let mut command = here.command(&arguments);
        command
            .env("CLAVIGER_FROM_URL", &url)
            .env("CLAVIGER_FROM_ACCESS_KEY", "theirs");
        let output = run_to_end(command);
        assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        [
            "projectsCreated",
            "created",
            "exists",
            "refused",
            "toReissue",
            "rotated",
        ]
        .map(|member| summary[member].as_u64().unwrap())
    };
    assert_eq!(import(&["--dry-run"]), [3, 3, 0, 0, 1, 1]);
    assert_eq!(here.count(), 0);
    assert_eq!(import(&[]), [3, 3, 0, 0, 1, 1]);
    assert_eq!(import(&[]), [0, 0, 3, 0, 1, 1]);
    let live = here.given(&["keys", "verify", "--json"], "live_shown-in-full-5");
    let live: Value = serde_json::from_slice(&live.stdout).unwrap();
    assert_eq!(live["key"]["env"], "live");
    let rotated = here.given(&["keys", "verify"], "live_shown-in-full-4");
    assert_eq!(rotated.status.code(), Some(1));
    let passed = here.given(&["keys", "verify", "--json"], "live_shown-in-full-1");
    let passed: Value = serde_json::from_slice(&passed.stdout).unwrap();
    assert_eq!(passed["key"]["customAccountId"], "acme");
    assert_eq!(passed["key"]["customMetaData"], json!({"plan": "pro"}));
    assert_eq!(passed["key"]["expiresAt"], "2050-01-01T00:00:00.000Z");
    assert_eq!(passed["rateLimit"]["limit"], 5);
    assert_eq!(passed["key"]["env"], "test");
    let revoked = here.given(&["keys", "verify"], "live_shown-in-full-2");
    assert_eq!(revoked.status.code(), Some(1));
}

#[test]
fn every_shell_has_its_completions() {
    for (shell, sign) in [
        ("bash", "complete "),
        ("zsh", "#compdef"),
        ("fish", "complete -c"),
    ] {
        let output = run_to_end(command(CLAVIGER, ["completions", shell]));
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            script.contains(sign) && script.contains("access-keys"),
            "{shell}"
        );
    }
}

#[test]
fn the_documented_commands_are_those_of_the_help() {
    let document = include_str!("../../../../docs/commands.md");
    for group in [
        "keys",
        "projects",
        "access-keys",
        "accounts",
        "users",
        "webhooks",
        "mcp",
        "usage",
        "audit",
        "import",
        "secrets",
        "operator-key",
    ] {
        let output = run_to_end(command(CLAVIGER, [group, "--help"]));
        let help = String::from_utf8(output.stdout).unwrap();
        let (_, commands) = help.split_once("Commands:\n").unwrap();
        let told: Vec<_> = commands
            .lines()
            .take_while(|line| !line.is_empty())
            .collect();
        let told = told.iter().filter(|line| !line.trim().starts_with("help "));
        let told: String = told.flat_map(|line| ["    ", line, "\n"]).collect();
        let block = format!("    claviger {group}\n{told}\n");
        assert!(
            document.contains(&block),
            "docs/commands.md lacks:\n{block}"
        );
    }
}

#[test]
fn the_trail_is_shown_and_exported_and_an_export_goes_on() {
    let place = Place::new();
    let made = place.json(&["keys", "create", "Acme"]);
    let id = made["id"].as_str().unwrap();
    let shown = place.printed(&["audit", "list", "--target", id]);
    let line = shown.lines().nth(1).unwrap();
    assert!(
        line.contains("api-key.created") && line.contains(id),
        "{shown}"
    );
    for format in ["ndjson", "ocsf"] {
        let file = format!("{format}.ndjson");
        let export = ["audit", "export", "--format", format, "--output", &file];
        place.printed(&export);
        let path = place.path().join(&file);
        let first = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = first
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let is_made = |line: &Value| line.to_string().contains(id);
        assert_eq!(lines.iter().filter(|line| is_made(line)).count(), 1);
        let has_class = |line: &Value| line["class_uid"].is_u64();
        assert!(
            lines
                .iter()
                .all(|line| has_class(line) == (format == "ocsf"))
        );
        // Cut short in its last line, and gone on with after another change.
        let cut_short = first.len() - 9;
        fs::write(&path, &first[..cut_short]).unwrap();
        place.printed(&["keys", "create", format]);
        place.printed(&export);
        let second = fs::read_to_string(&path).unwrap();
        assert!(second.starts_with(&first), "{second}");
        assert_eq!(second.lines().count(), lines.len() + 1);
        let printed = place.printed(&["audit", "export", "--format", format]);
        assert_eq!(printed, second);
    }
    let other = [
        "audit",
        "export",
        "--format",
        "ocsf",
        "--output",
        "ndjson.ndjson",
    ];
    let refused = refused(&place.run(&other), 2);
    assert!(refused.contains("name another file"), "{refused}");
}

#[test]
fn usage_is_shown_and_what_is_over_is_written_once() {
    let place = Place::new();
    let totals = place.printed(&["usage", "totals"]);
    assert_eq!(totals.lines().count(), 31);
    assert!(totals.starts_with("DATE"), "{totals}");
    assert_eq!(
        place.json(&["usage", "keys", "--sort", "-total"]),
        json!([])
    );
    let first_calls = place.json(&["usage", "first-calls"]);
    assert_eq!(first_calls[0]["projectId"], place.made("projectId"));
    let refused_now = refused(&place.run(&["usage", "export", "--period", "2999-01"]), 1);
    assert!(refused_now.contains("is not over"), "{refused_now}");
    let export = [
        "usage",
        "export",
        "--period",
        "2020-01",
        "--output",
        "usage.csv",
    ];
    assert_eq!(place.printed(&export), "usage.csv\n");
    let written = fs::read_to_string(place.path().join("usage.csv")).unwrap();
    assert_eq!(written.lines().count(), 1);
    let again = refused(&place.run(&export), 2);
    assert!(again.contains("is written once"), "{again}");
    // What is gone is not said to have been nothing.
    let kept = place.path().join("kept.toml");
    fs::write(&kept, "[retention]\nusage = '30d'").unwrap();
    let mut export: Vec<_> = export.to_vec();
    export[5] = "gone.csv";
    export.extend(["--config", "kept.toml"]);
    let gone = refused(&place.run(&export), 1);
    assert!(gone.contains("would not be whole"), "{gone}");
    assert!(!place.path().join("gone.csv").exists());
}
