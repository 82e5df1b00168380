//! `cargo xtask fuzz`: runs the targets in `fuzz/`, one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{announce, cargo, succeed, succeeds};

/// The version that the report of a run was read of.
const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";

/// What a run told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    /// Places in the code that were reached by what was there at first, and at the end.
    coverage: (u64, u64),
    crashes: usize,
}

/// Runs the target of that name, or all of them, for so many minutes each.
pub(crate) fn run(workspace: &Path, target: Option<&str>, minutes: u64) -> Result<()> {
    if !succeeds(&mut cargo(workspace, &["fuzz", "--version"])) {
        announce("Installing cargo-fuzz");
        succeed(&mut cargo(workspace, &["install", "--locked", CARGO_FUZZ]))?;
    }
    let all = targets(&workspace.join("fuzz"))?;
    let chosen: Vec<_> = all
        .iter()
        .filter(|name| target.is_none_or(|wanted| wanted == **name))
        .collect();
    if chosen.is_empty() {
        bail!("the targets are {}", all.join(", "));
    }
    announce("Building the targets");
    for name in &chosen {
        succeed(&mut cargo_fuzz(workspace, "build", name))?;
    }
    let mut reports = BTreeMap::new();
    for name in chosen {
        announce(&format!("Running {name} for {minutes} minutes"));
        reports.insert(name, run_one(workspace, name, minutes)?);
    }
    announce("What came of it");
    let mut crashes = 0;
    for (name, figures) in reports {
        let (before, after) = figures.coverage;
        let (executions, new) = (figures.executions, after.saturating_sub(before));
        println!(
            "{name}: {executions} executions, coverage {after} ({new} more than of the seeds), {} crashes",
            figures.crashes
        );
        crashes += figures.crashes;
    }
    if crashes > 0 {
        bail!("what crashed is in fuzz/artifacts: `cargo fuzz run TARGET FILE` shows it again");
    }
    Ok(())
}

/// The names of the targets: those of their files.
fn targets(fuzz: &Path) -> Result<Vec<String>> {
    let folder = fuzz.join("fuzz_targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    let mut names: Vec<_> = paths
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// `cargo fuzz`, on the stable toolchain. Nothing that is tried here is `unsafe`, so that looking after memory
/// would find others' faults only, at half the speed.
fn cargo_fuzz(workspace: &Path, action: &str, target: &str) -> Command {
    let mut command = cargo(workspace, &["fuzz", action, "--sanitizer", "none", target]);
    command.env("RUSTC_BOOTSTRAP", "1");
    command
}

fn run_one(workspace: &Path, target: &str, minutes: u64) -> Result<Figures> {
    let fuzz = workspace.join("fuzz");
    let (corpus, seeds) = (fuzz.join("corpus").join(target), fuzz.join("seeds"));
    // What is found goes into the first folder; the second is what is in the repository.
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    let mut command = cargo_fuzz(workspace, "run", target);
    command
        .arg(corpus)
        .arg(seeds.join(target))
        .arg("--")
        .arg(format!("-max_total_time={}", minutes * 60))
        .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048"]);
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {target}"))?;
    let told = child.stderr.take().context("the run has no output")?;
    let mut lines = Vec::new();
    for line in BufReader::new(told).lines() {
        let line = line.with_context(|| format!("cannot read what {target} told"))?;
        // Each new input has a line of its own; what ended the run is worth reading.
        if !line.starts_with('#') {
            println!("{line}");
        }
        lines.push(line);
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot run {target}"))?;
    let figures = figures(&lines);
    if !status.success() && figures.crashes == 0 {
        bail!("{target} failed: {status}");
    }
    Ok(figures)
}

/// Reads what libFuzzer told.
fn figures(lines: &[String]) -> Figures {
    let mut figures = Figures::default();
    for line in lines {
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            figures.executions = count.trim().parse().unwrap_or(0);
        }
        if line.contains("Test unit written to") {
            figures.crashes += 1;
        }
        let mut words = line.split_whitespace().skip_while(|word| *word != "cov:");
        if let Some(coverage) = words.nth(1).and_then(|word| word.parse().ok()) {
            if line.contains("INITED") {
                figures.coverage.0 = coverage;
            }
            figures.coverage.1 = coverage;
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let told = "#13\tINITED cov: 288 ft: 500 corp: 12/1Kb exec/s: 0 rss: 40Mb\n\
                    #4096\tNEW    cov: 301 ft: 520 corp: 13/1Kb lim: 14 exec/s: 4096\n\
                    #9000\tDONE   cov: 301 ft: 520 corp: 13/1Kb lim: 20\n\
                    stat::number_of_executed_units: 9000\n\
                    stat::new_units_added: 1";
        let lines: Vec<_> = told.lines().map(str::to_owned).collect();
        let expected = Figures {
            executions: 9_000,
            coverage: (288, 301),
            crashes: 0,
        };
        assert_eq!(figures(&lines), expected);
    }

    #[test]
    fn a_crash_is_counted() {
        let told = "artifact_prefix='x/'; Test unit written to x/crash-1";
        assert_eq!(figures(&[told.to_owned()]).crashes, 1);
    }
}
