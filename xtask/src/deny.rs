//! The dependencies, held to `deny.toml`.

use std::path::Path;

use anyhow::Result;

use crate::process::{announce, cargo, succeed, succeeds};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

pub(crate) fn run(workspace: &Path) -> Result<()> {
    if !succeeds(&mut cargo(workspace, &["deny", "--version"])) {
        announce("Installing cargo-deny");
        succeed(&mut cargo(workspace, &["install", "--locked", CARGO_DENY]))?;
    }
    announce("Checking licenses, sources and duplicates of the dependencies");
    succeed(&mut cargo(
        workspace,
        &["deny", "check", "bans", "licenses", "sources"],
    ))
}
