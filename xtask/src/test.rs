//! `cargo xtask test`: everything that can be tested, in one command.

mod node;
mod python;
mod totals;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow};

use crate::needs;
use crate::process::{announce, cargo, complain, shown, succeed};
use totals::Totals;

/// A part of the tests.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// `cargo test` over the workspace
    Rust,
    /// The published clients in e2e/, against the built program
    Clients,
    /// The packages for agent frameworks in sdk/, against the built program
    Toolsets,
    /// The package for Python in `crewai`, which is not among all tests: it installs a gigabyte
    Crewai,
}

/// Tests that are of no engine, and run on SQLite unless they are told otherwise: once more, on
/// PostgreSQL. What is of one engine, or runs on both by itself, is left out.
const ON_POSTGRES: [&str; 7] = [
    "--package=claviger-api",
    "--package=claviger-gateway",
    "--package=claviger-server",
    "--test=it",
    "--test=gateway",
    "--no-fail-fast",
    "--",
];
const NOT_ON_POSTGRES: [&str; 9] = [
    "on_sqlite",
    "on_postgres",
    "away::",
    "crash::",
    "followers::",
    "nginx::",
    "nodes::",
    "refusals::",
    // A thousand revocations beside 64 connections take ten minutes where PostgreSQL has to share the
    // cores; `followers` has two hundred.
    "under_load::no_check",
];
/// The engine of tests that are of none.
const ENGINE: (&str, &str) = ("CLAVIGER_TEST_ENGINE", "postgres");

/// Runs the tests and prints the totals last, whatever became of them.
pub(crate) fn run(workspace: &Path, only: Option<Part>) -> ExitCode {
    let totals = run_parts(workspace, only).unwrap_or_else(|error| did_not_run(&error));
    println!("\n{totals}");
    if totals.failed == 0 && totals.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_parts(workspace: &Path, only: Option<Part>) -> Result<Totals> {
    let wanted = |part| only.map_or(part != Part::Crewai, |only| only == part);

    // A need that is not met ends its own part, and is told after the others have run.
    announce("Looking for what the tests need");
    let servers = wanted(Part::Rust).then(needs::servers);
    let of_node = [Part::Clients, Part::Toolsets].map(wanted);
    let node = of_node.contains(&true).then(|| needs::node(workspace));

    announce("Building the program and its tests");
    // With the tests, so that dependencies are built once, with the features that both ask for.
    let targets = if wanted(Part::Rust) {
        "--all-targets"
    } else {
        "--bins"
    };
    succeed(&mut cargo(workspace, &["build", "--workspace", targets]))?;

    // Each part runs also after another has failed: one turn shows all there is to mend.
    let mut totals = Totals::default();
    if let Some(need) = servers {
        match need {
            Ok(()) => {
                for ran in [rust_tests(workspace), rust_tests_on_postgres(workspace)] {
                    totals += ran.unwrap_or_else(|error| did_not_run(&error));
                }
            }
            Err(error) => totals += did_not_run(&error),
        }
    }
    if let Some(need) = node {
        match need {
            Ok(node) => {
                for suite in node::SUITES.iter().filter(|suite| wanted(suite.part)) {
                    let ran = node::tests(workspace, &node, suite);
                    totals += ran.unwrap_or_else(|error| did_not_run(&error));
                }
            }
            Err(error) => totals += did_not_run(&error),
        }
    }
    let of_python = [
        (Part::Toolsets, python::LANGCHAIN),
        (Part::Crewai, python::CREWAI),
    ];
    for (_, suite) in of_python.iter().filter(|(part, _)| wanted(*part)) {
        let ran = python::tests(workspace, suite);
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
    counted(cargo(workspace, &["test", "--workspace", "--no-fail-fast"]))
}

fn rust_tests_on_postgres(workspace: &Path) -> Result<Totals> {
    announce("Running those that are of no engine on PostgreSQL too");
    let mut command = cargo(workspace, &["test"]);
    command.args(ON_POSTGRES).env(ENGINE.0, ENGINE.1);
    for name in NOT_ON_POSTGRES {
        command.args(["--skip", name]);
    }
    counted(command)
}

/// Runs Rust tests, and counts what became of them.
fn counted(mut command: Command) -> Result<Totals> {
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
