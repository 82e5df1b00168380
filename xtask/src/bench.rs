//! `cargo xtask bench`: builds the program as packages ship it, and the benchmarks, and runs one of them.

// The benchmarks read the same options: help and mistakes come before the build.
#[path = "../../bench/src/options.rs"]
mod options;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

pub(crate) use options::Benchmark;

use crate::needs;
use crate::process::{announce, cargo, succeed};

pub(crate) fn run(workspace: &Path, benchmark: &Benchmark) -> Result<()> {
    if matches!(benchmark, Benchmark::Verify(_)) {
        announce("Looking for what the benchmark needs");
        needs::postgresql()?;
        needs::wrk()?;
    }
    // Wherever the target directory is: xtask is in its folder of debug builds.
    let xtask = std::env::current_exe().context("cannot tell where the program was built")?;
    let target = xtask
        .ancestors()
        .nth(2)
        .context("xtask is in no target directory")?;
    if matches!(benchmark, Benchmark::Mcp(_)) {
        announce("Looking for what FastMCP needs");
        let folder = target.join("fastmcp");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        needs::python(&workspace.join("bench/fastmcp/requirements.txt"), &folder)?;
    }
    announce("Building the program as packages ship it, and the benchmarks");
    // Both at once: their dependencies have the same features then, and nothing is built twice. What is
    // compared is built alike.
    let packages = ["-p", "claviger-server", "-p", "claviger-bench"];
    let binaries = ["--bin", "claviger", "--bin", "claviger-bench"];
    let build = [&["build", "--profile", "dist"][..], &packages, &binaries].concat();
    succeed(&mut cargo(workspace, &build))?;
    announce("Measuring");
    let arguments = std::env::args_os().skip_while(|argument| argument != "bench");
    // As they were given: they were read without a mistake.
    succeed(Command::new(target.join("dist/claviger-bench")).args(arguments.skip(1)))
}
