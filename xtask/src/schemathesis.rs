//! `cargo xtask schemathesis`: whether the program answers as the document that it serves says.

mod report;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::needs;
use crate::process::{announce, cargo, succeed};
use crate::program::{Flags, Program};
use report::Report;

/// What to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Requests that are made up for each operation, beside those at the edges of what the document allows
    #[arg(long, default_value_t = 200)]
    examples: u32,
    /// Tries only this operation: its `operationId`
    #[arg(long)]
    operation: Option<String>,
    /// Makes up the like of what an earlier run did, which told its number
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs schemathesis against the built program, and tells what came of it.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<()> {
    let conformance = workspace.join("conformance");
    // Wherever the target directory is: the program is built beside xtask.
    let xtask = std::env::current_exe().context("cannot tell where the program is built")?;
    let target = xtask
        .ancestors()
        .nth(2)
        .context("xtask is in no target directory")?;
    let folder = target.join("schemathesis");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    announce("Looking for what schemathesis needs");
    let python = needs::python(&conformance.join("requirements.txt"), &folder)?;
    announce("Building the program");
    succeed(&mut cargo(workspace, &["build", "--bin", "claviger"]))?;
    announce("Starting it in a scratch folder");
    let program = Program::start(&xtask.with_file_name("claviger"), &folder, Flags::WithSeeds)?;

    // Of the standard library's hash maps, each of which draws its own.
    let seed = options
        .seed
        .unwrap_or_else(|| RandomState::new().hash_one(0));
    announce(&format!("Trying what it serves, with the seed {seed}"));
    let (told, answers) = (folder.join("report.json"), folder.join("answers.json"));
    for left in [&told, &answers].into_iter().filter(|file| file.exists()) {
        fs::remove_file(left).context("cannot remove the last report")?;
    }
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command
        .current_dir(&folder)
        .env("PYTHONPATH", &conformance)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("CLAVIGER_DATA_DIR", program.data())
        .env(
            "CLAVIGER_RECEIVER_PORT",
            program.receiver_port().to_string(),
        )
        .env("CLAVIGER_ANSWERS", &answers)
        .env("CLAVIGER_SEED", seed.to_string())
        .arg("--config-file")
        .arg(conformance.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", program.url()))
        .arg(format!("--max-examples={}", options.examples))
        .arg(format!("--seed={seed}"))
        .args(["--continue-on-failure", "--no-color", "--warnings=off"])
        .args(["--report=json", "--report-json-path"])
        .arg(&told);
    if let Some(operation) = &options.operation {
        command.args(["--include-operation-id", operation]);
    }
    let ran = succeed(&mut command);
    announce("What came of it");
    let read = |file: &Path| {
        let text = fs::read_to_string(file).context("the run left no report")?;
        serde_json::from_str(&text).context("the report cannot be read")
    };
    let report = Report::read(&read(&told)?, &read(&answers)?)?;
    println!("{report}");
    ran?;
    if !report.unanswered.is_empty() {
        bail!("what never succeeds is hardly tried: see conformance/hooks.py for its ids and body");
    }
    Ok(())
}
