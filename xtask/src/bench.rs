//! `cargo xtask bench`: builds the program as packages ship it, and the benchmarks, and runs one of them.

// The benchmarks read the same options: help and mistakes come before the build.
#[path = "../../bench/src/options.rs"]
mod options;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use options::Benchmark;

use crate::dist::{self, PROFILE};
use crate::needs;
use crate::process::{announce, cargo, succeed, target_folder};

/// What is xtask's own on the command line.
const PLAIN: &str = "--plain";

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Measures the program built once, without a profile of what it is asked often
    #[arg(long, global = true)]
    plain: bool,
    #[command(subcommand)]
    benchmark: Benchmark,
}

pub(crate) fn run(workspace: &Path, options: &Options) -> Result<()> {
    let benchmark = &options.benchmark;
    if matches!(benchmark, Benchmark::Verify(_)) {
        announce("Looking for what the benchmark needs");
        needs::postgresql()?;
        needs::wrk()?;
    }
    let target = target_folder()?;
    if matches!(benchmark, Benchmark::Mcp(_)) {
        announce("Looking for what FastMCP needs");
        let folder = target.join("fastmcp");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        needs::python(&workspace.join("bench/fastmcp/requirements.txt"), &folder)?;
    }
    let mut wanted = vec!["-p", "claviger-bench", "--bin", "claviger-bench"];
    if options.plain {
        // Both at once: their dependencies have the same features then, and nothing is built twice.
        wanted.extend(["-p", "claviger-server", "--bin", "claviger"]);
    } else {
        dist::build(workspace)?;
    }
    announce("Building the benchmarks");
    let build = [&["build", "--profile", PROFILE], &wanted[..]].concat();
    succeed(&mut cargo(workspace, &build))?;
    announce(if options.plain {
        "Measuring the program built once"
    } else {
        "Measuring the program as packages ship it"
    });
    let arguments = std::env::args_os().skip_while(|argument| argument != "bench");
    // As they were given: they were read without a mistake.
    let arguments = arguments.skip(1).filter(|argument| argument != PLAIN);
    succeed(Command::new(target.join(PROFILE).join("claviger-bench")).args(arguments))
}
