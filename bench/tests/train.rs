//! What `cargo xtask dist` asks of the build that counts is answered by the program of these tests too.

use std::path::Path;
use std::process::Command;

#[test]
fn what_the_program_is_made_fast_for_is_answered() {
    let asks = Path::new(env!("CARGO_BIN_EXE_claviger-bench"));
    let program = asks.with_file_name("claviger");
    assert!(
        program.exists(),
        "`cargo build --bin claviger` builds the program, which is not done by this test"
    );
    let mut training = Command::new(asks);
    let ended = training.args(["train", "--requests", "100"]).output();
    let ended = ended.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}{complaint}");
    assert!(said.contains("calls of another API: 100"), "{said}");
}
