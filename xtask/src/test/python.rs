//! The tests that run on Python: those of the package for its frameworks, against the built program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::totals::Totals;
use super::totals_at_end;
use crate::needs;
use crate::process::{announce, shown};

/// A framework, or some that are installed together.
pub(super) struct Suite {
    name: &'static str,
    /// What is installed, from the package.
    requirements: &'static str,
    tests: &'static [&'static str],
}

/// What is small enough to be tested each time.
pub(super) const LANGCHAIN: Suite = Suite {
    name: "langchain",
    requirements: "requirements.txt",
    tests: &[
        "tests/test_toolset.py",
        "tests/test_addresses.py",
        "tests/test_langchain.py",
    ],
};
/// What is not: its packages are a gigabyte.
pub(super) const CREWAI: Suite = Suite {
    name: "crewai",
    requirements: "requirements-crewai.txt",
    tests: &["tests/test_crewai.py"],
};

/// Runs one, and counts what became of its tests.
pub(super) fn tests(workspace: &Path, suite: &Suite) -> Result<Totals> {
    let package = workspace.join("sdk/python");
    // The program was built beside xtask, wherever the target directory is.
    let xtask = std::env::current_exe().context("cannot tell where the program was built")?;
    let folder = xtask.with_file_name(format!("toolset-{}", suite.name));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let python = needs::python(&package.join(suite.requirements), &folder)?;
    announce(&format!(
        "Running {} of Python against the program",
        suite.name
    ));
    let report = folder.join("report.xml");
    // One that an earlier run left would be counted when this one ends too soon.
    if report.exists() {
        std::fs::remove_file(&report).context("cannot remove the last report")?;
    }
    let mut command = Command::new(python);
    command
        .env("CLAVIGER_BIN", xtask.with_file_name("claviger"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&package)
        .args([
            "-m",
            "pytest",
            "--quiet",
            "--disable-warnings",
            "--junit-xml",
        ])
        .arg(&report)
        .args(suite.tests);
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(&command)))?;
    let written = std::fs::read_to_string(&report).context("the tests left no report")?;
    Ok(totals_at_end(Totals::of_junit(&written), &command, status))
}
