//! The test bed: the program on a clock that its caller moves.

use claviger_testkit::Program;
use serde_json::json;
use tempfile::tempdir;

const TESTBED: &str = env!("CARGO_BIN_EXE_claviger-testbed");

#[test]
fn time_passes_when_the_caller_says_so() {
    let scratch = tempdir().expect("a scratch directory can be made");
    let program = Program::start(TESTBED, scratch.path(), &[]).expect("the test bed starts");
    let bootstrap = program.bootstrap().expect("it hands over its credentials");
    let owner = bootstrap["accessKey"].as_str().expect("a key is text");
    let done = |line: &str, body: serde_json::Value, status: u16| {
        let answer = program.call(line, owner, &body);
        let (answered, body) = answer.expect("the test bed answers");
        assert_eq!(answered, status, "{body}");
        body
    };
    let now = done("POST /__clock", json!({"advanceSeconds": 0}), 200);
    let key = json!({
        "name": "A key",
        "projectId": bootstrap["projectId"],
        "rateLimitConfigs": {"rateLimit": 1, "rateLimitTtl": 3_600},
    });
    let made = done("POST /api-keys", key, 201);
    let question = json!({"key": made["key"]});
    let check = || done("POST /api-keys/verify", question.clone(), 200)["code"].clone();
    assert_eq!(check(), "VALID");
    assert_eq!(check(), "RATE_LIMITED");
    assert_eq!(
        done("POST /__clock", json!({"advanceSeconds": 0}), 200),
        now
    );
    done("POST /__clock", json!({"advanceSeconds": 3_600}), 200);
    assert_eq!(check(), "VALID");
    done("POST /__clock", json!({"advance": 1}), 400);
}
