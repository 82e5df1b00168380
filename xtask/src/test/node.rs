//! The tests that run on Node: each a package with a lock file, against the built program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::totals::Totals;
use super::{ENGINE, Part, totals_at_end};
use crate::needs::{self, Node};
use crate::process::{announce, shown, succeed};

/// A run of a package's tests.
pub(super) struct Suite {
    pub(super) part: Part,
    title: &'static str,
    /// The package, from the workspace.
    folder: &'static str,
    /// What is set for it in the environment.
    engine: Option<(&'static str, &'static str)>,
    /// Whether it has something to build before.
    is_built: bool,
    /// Whether it looks at pages.
    has_pages: bool,
}

/// All of them, in their order.
pub(super) const SUITES: [Suite; 3] = [
    Suite {
        part: Part::Clients,
        title: "Running the published clients against the program",
        folder: "e2e",
        engine: None,
        is_built: false,
        has_pages: true,
    },
    Suite {
        part: Part::Clients,
        title: "Running them against it on PostgreSQL",
        folder: "e2e",
        engine: Some(ENGINE),
        is_built: false,
        has_pages: false,
    },
    Suite {
        part: Part::Toolsets,
        title: "Running the agent frameworks of TypeScript against the program",
        folder: "sdk/typescript",
        engine: None,
        is_built: true,
        has_pages: false,
    },
];

/// Runs one, and counts what became of its tests.
pub(super) fn tests(workspace: &Path, node: &Node, suite: &Suite) -> Result<Totals> {
    let package = workspace.join(suite.folder);
    needs::packages(node, &package)?;
    let browser = suite.has_pages.then(needs::browser).transpose()?;
    announce(suite.title);
    if suite.is_built {
        let mut build = Command::new("npm");
        build.args(["run", "--silent", "build"]);
        succeed(build.env("PATH", &node.search_path).current_dir(&package))?;
    }
    // The program was built beside xtask, wherever the target directory is.
    let xtask = std::env::current_exe().context("cannot tell where the program was built")?;
    let report = xtask.with_file_name("node.tap");
    // One that an earlier run left would be counted when this one ends too soon.
    if report.exists() {
        std::fs::remove_file(&report).context("cannot remove the last report")?;
    }
    let mut command = Command::new("node");
    command
        .env("PATH", &node.search_path)
        .env("CLAVIGER_BIN", xtask.with_file_name("claviger"))
        .envs(suite.engine)
        .envs(browser.map(|browser| ("CLAVIGER_BROWSER", browser)))
        .current_dir(&package)
        .args([
            "--test",
            "--test-reporter=spec",
            "--test-reporter-destination=stdout",
        ])
        .args(["--test-reporter=tap", "--test-reporter-destination"])
        .arg(&report);
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(&command)))?;
    let written = std::fs::read_to_string(&report).context("the tests left no report")?;
    Ok(totals_at_end(Totals::of_tap(&written), &command, status))
}
