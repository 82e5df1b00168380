//! `cargo xtask conformance`: whether the MCP endpoint is what the protocol's own tests ask of a server
//! that has tools only, and works with clients that `cargo xtask test` has no place for.

mod clients;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::needs::{self, Node};
use crate::process::{announce, cargo, output, succeed};
use crate::program::{Flags, Program};

/// What the tests run on.
const OLDEST_NODE: u32 = 22;

/// A scenario, and the checks in it that ask for what a server with tools only does not have. Scenarios
/// that are not here call tools, prompts or resources of a server that is made for these tests.
struct Scenario {
    name: &'static str,
    fails: &'static [&'static str],
}

const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "server-initialize",
        fails: &[],
    },
    Scenario {
        name: "ping",
        fails: &[],
    },
    Scenario {
        name: "tools-list",
        fails: &[],
    },
    Scenario {
        name: "http-header-validation",
        fails: &[],
    },
    Scenario {
        name: "dns-rebinding-protection",
        fails: &[],
    },
    Scenario {
        name: "server-stateless",
        // A tool that asks the client for a sample, which only a server made for this has.
        fails: &[
            "sep-2575-server-rejects-undeclared-capability",
            "sep-2575-missing-capability-http-400",
        ],
    },
    Scenario {
        name: "caching",
        // Lists of prompts and resources.
        fails: &[
            "sep-2549-prompts-list-caching-hints",
            "sep-2549-resources-list-caching-hints",
            "sep-2549-resources-templates-list-caching-hints",
        ],
    },
];

/// Runs the scenarios, and tells what each came to.
pub(crate) fn run(workspace: &Path) -> Result<()> {
    let xtask = std::env::current_exe().context("cannot tell where the program is built")?;
    let target = xtask
        .ancestors()
        .nth(2)
        .context("xtask is in no target directory")?;
    let folder = target.join("conformance");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    announce("Looking for the protocol's tests");
    let node = needs::node_of(workspace, OLDEST_NODE)?;
    for file in ["package.json", "package-lock.json"] {
        write_anew(
            &workspace.join("conformance").join(file),
            &folder.join(file),
        )?;
    }
    needs::packages(&node, &folder)?;
    announce("Building the program");
    succeed(&mut cargo(workspace, &["build", "--bin", "claviger"]))?;
    announce("Starting it in a scratch folder");
    let binary = xtask.with_file_name("claviger");
    let program = Program::start(&binary, &folder, Flags::Plain)?;
    let mut make = Command::new(&binary);
    make.args(["mcp", "create", "Conformance", "--quiet"]);
    make.env("CLAVIGER_DATA_DIR", program.data());
    let url = output(&mut make)?;

    announce("Trying it");
    let mut surprises = Vec::new();
    for scenario in &SCENARIOS {
        let checks = checks(&node, &folder, scenario.name, url.trim())?;
        surprises.extend(told(scenario, &checks)?);
    }
    if !surprises.is_empty() {
        bail!("not as docs/testing.md says: {}", surprises.join(", "));
    }
    announce("Trying published clients");
    clients::run(workspace, &node, &folder, url.trim())
}

/// Copies a file that differs, so that one that is the same does not look new.
fn write_anew(from: &Path, to: &Path) -> Result<()> {
    let wanted = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    fs::write(to, wanted).with_context(|| format!("cannot write {}", to.display()))
}

/// What the checks of a scenario came to.
fn checks(node: &Node, folder: &Path, scenario: &str, url: &str) -> Result<Value> {
    let results = folder.join("results").join(scenario);
    if results.exists() {
        fs::remove_dir_all(&results).context("cannot remove the last results")?;
    }
    let mut command = Command::new("node");
    command
        .env("PATH", &node.search_path)
        .arg(folder.join("node_modules/.bin/conformance"))
        .args([
            "server",
            "--scenario",
            scenario,
            "--url",
            url,
            "--output-dir",
        ])
        .arg(&results)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Its exit code says no more than its checks do.
    command.status().context("cannot run Node")?;
    let run = fs::read_dir(&results).ok().and_then(|mut runs| runs.next());
    let run = run.with_context(|| format!("`{scenario}` left no results"))?;
    let file = run
        .context("cannot list the results")?
        .path()
        .join("checks.json");
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))
}

/// Prints what came of a scenario, and gives what is not as it should be.
fn told(scenario: &Scenario, checks: &Value) -> Result<Vec<String>> {
    let checks = checks.as_array().context("the results are no list")?;
    let of = |status: &str| {
        let with = checks.iter().filter(|check| check["status"] == status);
        with.map(|check| check["id"].as_str().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    let (passed, failed, warned) = (of("SUCCESS"), of("FAILURE"), of("WARNING"));
    let all = passed.len() + failed.len() + warned.len();
    println!("{}: {} of {all}", scenario.name, passed.len());
    for check in failed.iter().chain(&warned) {
        println!("    not {check}");
    }
    let mut surprises = Vec::new();
    // Nothing that was tried proves nothing.
    if passed.is_empty() {
        surprises.push(format!("nothing passes in {}", scenario.name));
    }
    let new = failed
        .iter()
        .filter(|check| !scenario.fails.contains(check));
    surprises.extend(new.map(|check| format!("{check} fails")));
    let gone = scenario
        .fails
        .iter()
        .filter(|check| !failed.contains(check));
    surprises.extend(gone.map(|check| format!("{check} does not fail")));
    Ok(surprises)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn surprises(fails: &'static [&'static str], statuses: &[(&str, &str)]) -> Vec<String> {
        let check = |(id, status): &(&str, &str)| json!({"id": id, "status": status});
        let checks = Value::Array(statuses.iter().map(check).collect());
        let name = "caching";
        told(&Scenario { name, fails }, &checks).unwrap()
    }

    #[test]
    fn only_what_is_named_may_fail_and_it_must() {
        let statuses = [("a", "SUCCESS"), ("b", "FAILURE"), ("c", "SKIPPED")];
        assert_eq!(surprises(&["b"], &statuses), Vec::<String>::new());
        assert_eq!(surprises(&[], &statuses), ["b fails"]);
        assert_eq!(surprises(&["b", "a"], &statuses), ["a does not fail"]);
        assert_eq!(surprises(&[], &[]), ["nothing passes in caching"]);
    }
}
