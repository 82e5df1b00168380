//! What is checked before a change is looked at by a person.

mod circles;
mod length;
mod sources;

use std::path::Path;

use anyhow::{Result, bail};

use crate::process::{announce, cargo, complain, succeed};

type Check = fn(&Path) -> Result<()>;

/// Runs every check, also after one has failed, so that one turn shows all there is to mend.
pub(crate) fn run(workspace: &Path) -> Result<()> {
    let checks: [(&str, Check); 5] = [
        ("Formatting", formatting),
        ("File lengths", length::check),
        ("Import circles", circles::check),
        ("Lints", clippy),
        ("Documentation", documentation),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        announce(name);
        if let Err(error) = check(workspace) {
            complain(&error);
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("to mend: {}", failed.join(", "));
    }
    Ok(())
}

fn formatting(workspace: &Path) -> Result<()> {
    succeed(&mut cargo(workspace, &["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Path) -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        // What is built without it is compiled by the tests.
        "--features",
        "claviger-server/opentelemetry",
        "--",
        "-D",
        "warnings",
    ];
    succeed(&mut cargo(workspace, &arguments))
}

fn documentation(workspace: &Path) -> Result<()> {
    let mut command = cargo(workspace, &["doc", "--workspace", "--no-deps"]);
    succeed(command.env("RUSTDOCFLAGS", "-D warnings"))
}
