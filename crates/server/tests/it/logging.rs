//! Log lines, as whatever collects them reads them.

use std::process::Command;

use claviger_testkit::Program;
use serde_json::Value;
use tempfile::tempdir;

use crate::CLAVIGER;

#[test]
fn every_line_is_json_when_that_is_asked_for() {
    let scratch = tempdir().unwrap();
    let flags = ["--log-format", "json", "--log", "debug"];
    let program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    let (status, _) = program.call("GET /nowhere", "", &Value::Null).unwrap();
    assert_eq!(status, 404);
    let welcome = program.welcome.clone();
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    let lines = said.lines().skip_while(|line| !line.starts_with('{'));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let has = |text: &str| {
        let said = |line: &Value| line["message"].as_str().unwrap_or_default().contains(text);
        lines.iter().any(said)
    };
    assert!(has("The master key lies in"), "{said}");
    assert!(has("stopping"), "{said}");
    assert!(!welcome.contains("The master key"), "{welcome}");
}

#[test]
fn a_request_has_one_line_with_its_route_status_and_duration() {
    let scratch = tempdir().unwrap();
    let flags = ["--log-format", "json", "--log", "debug"];
    let program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
    let asked = [
        ("GET /healthz", "/healthz", 200),
        ("GET /projects/prj_typed", "/projects/{id}", 401),
        ("GET /nowhere", "unmatched", 404),
    ];
    for (line, _, status) in asked {
        let answer = program.call(line, "", &Value::Null).unwrap();
        assert_eq!(answer.0, status);
    }
    let (_, said) = program.stop().unwrap();
    let lines = said.lines().filter(|line| line.starts_with('{'));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let answered: Vec<_> = lines
        .filter(|line| line["message"] == "answered a request")
        .collect();
    assert_eq!(answered.len(), asked.len(), "{said}");
    for (told, (_, route, status)) in answered.iter().zip(asked) {
        assert_eq!(told["level"], "DEBUG");
        assert_eq!(
            (&told["span"]["route"], &told["span"]["status"]),
            (&Value::from(route), &Value::from(status))
        );
        assert!(told["duration_us"].is_u64(), "{told}");
    }
}

#[test]
fn a_filter_is_a_level_or_levels_of_parts() {
    for (filter, answers, stops) in [
        ("warn,claviger_edge=debug", true, false),
        (" claviger_server=info, ,sqlx=debug", false, true),
        ("debug", true, true),
        ("", false, true),
        ("off", false, false),
    ] {
        let scratch = tempdir().unwrap();
        let flags = ["--log-format", "json", "--log", filter];
        let program = Program::start(CLAVIGER, scratch.path(), &flags).unwrap();
        program.call("GET /nowhere", "", &Value::Null).unwrap();
        let (_, said) = program.stop().unwrap();
        let has = |text: &str| said.contains(&format!("\"message\":\"{text}"));
        assert_eq!(has("answered a request"), answers, "{filter:?}: {said}");
        assert_eq!(has("stopping"), stops, "{filter:?}: {said}");
    }
}

#[test]
fn a_filter_that_is_none_is_refused() {
    for filter in [
        "loud",
        "verbose,sqlx=warn",
        "sqlx=loud",
        "info=debug=trace",
        "[request]=debug",
        "sqlx=",
        "sqlx =debug",
        "=debug",
    ] {
        let mut command = Command::new(CLAVIGER);
        let checked = command.args(["check-config", "--log", filter]).output();
        let checked = checked.unwrap();
        let said = String::from_utf8(checked.stderr).unwrap();
        assert!(!checked.status.success(), "{filter}");
        assert!(said.contains("is not understood"), "{filter}: {said}");
    }
}

#[test]
fn the_paths_of_requests_are_not_logged() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &["--log", "trace"]).unwrap();
    let typed = "what-somebody-typed";
    for line in [
        format!("GET /{typed}"),
        format!("GET /api-keys/auth/{typed}?token={typed}"),
        format!("GET /mcp/{typed}"),
        format!("GET /../{typed}"),
    ] {
        program.call(&line, typed, &Value::Null).unwrap();
    }
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains(typed), "{said}");
}
