//! The closed list of error codes.

use claviger_edge::ErrorCode;

#[test]
fn the_codes_are_as_documented() {
    let listed: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| format!("{} {}", code.status().as_u16(), code.as_str()))
        .collect();
    insta::assert_snapshot!(listed.join("\n"));
}
