//! `cargo xtask test`: everything that can be tested, in one command.

mod totals;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow};

use crate::needs::{self, Node};
use crate::process::{announce, cargo, complain, shown, succeed};
use totals::Totals;

/// A half of the tests.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Half {
    /// `cargo test` over the workspace
    Rust,
    /// The published clients in e2e/, against the built program
    Clients,
}

/// Runs the tests and prints the totals last, whatever became of them.
pub(crate) fn run(workspace: &Path, only: Option<Half>) -> ExitCode {
    let totals = run_halves(workspace, only).unwrap_or_else(|error| did_not_run(&error));
    println!("\n{totals}");
    if totals.failed == 0 && totals.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_halves(workspace: &Path, only: Option<Half>) -> Result<Totals> {
    let wanted = |half| only.is_none_or(|only| only == half);

    // A need that is not met ends its own half, and is told after the other one has run.
    announce("Looking for what the tests need");
    let servers = wanted(Half::Rust).then(needs::servers);
    let node = wanted(Half::Clients).then(|| needs::node(workspace));

    announce("Building the program and its tests");
    // With the tests, so that dependencies are built once, with the features that both ask for.
    let targets = if wanted(Half::Rust) {
        "--all-targets"
    } else {
        "--bins"
    };
    succeed(&mut cargo(workspace, &["build", "--workspace", targets]))?;

    // The second half runs also after the first has failed: one turn shows all there is to mend.
    let mut totals = Totals::default();
    if let Some(need) = servers {
        let ran = need.and_then(|()| rust_tests(workspace));
        totals += ran.unwrap_or_else(|error| did_not_run(&error));
    }
    if let Some(need) = node {
        let ran = need.and_then(|node| client_tests(workspace, &node));
        totals += ran.unwrap_or_else(|error| did_not_run(&error));
    }
    Ok(totals)
}

/// What could not be run, or not to its end, has not passed.
fn did_not_run(error: &anyhow::Error) -> Totals {
    complain(error);
    Totals {
        failed: 1,
        ..Totals::default()
    }
}

fn rust_tests(workspace: &Path) -> Result<Totals> {
    announce("Running the Rust tests");
    let mut command = cargo(workspace, &["test", "--workspace", "--no-fail-fast"]);
    let mut tests = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(&command)))?;
    let mut totals = Totals::default();
    for line in BufReader::new(tests.stdout.take().expect("standard output is piped")).lines() {
        let line = line.context("the tests wrote no UTF-8")?;
        println!("{line}");
        totals += Totals::of_rust_line(&line).unwrap_or_default();
    }
    let status = tests.wait().context("cannot wait for the tests")?;
    Ok(totals_at_end(totals, &command, status))
}

fn client_tests(workspace: &Path, node: &Node) -> Result<Totals> {
    announce("Running the published clients against the program");
    // The program was built beside xtask, wherever the target directory is.
    let xtask = std::env::current_exe().context("cannot tell where the program was built")?;
    let report = xtask.with_file_name("e2e.tap");
    // One that an earlier run left would be counted when this one ends too soon.
    if report.exists() {
        std::fs::remove_file(&report).context("cannot remove the last report")?;
    }
    let mut command = Command::new("node");
    command
        .env("PATH", &node.search_path)
        .env("CLAVIGER_BIN", xtask.with_file_name("claviger"))
        .current_dir(workspace.join("e2e"))
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
    let written = std::fs::read_to_string(&report).context("the client tests left no report")?;
    Ok(totals_at_end(Totals::of_tap(&written), &command, status))
}

/// A runner can also fail without a test that did: it did not compile, or it was ended.
fn totals_at_end(mut totals: Totals, command: &Command, status: ExitStatus) -> Totals {
    if !status.success() && totals.failed == 0 {
        totals += did_not_run(&anyhow!(
            "{} failed outside any test: {status}",
            shown(command)
        ));
    }
    totals
}
