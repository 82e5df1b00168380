//! What the benchmarks run in: a folder on the disk that they were built on, cores, a runtime.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::machine::cores;

/// A folder that goes away with this.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one, beside the program: where the system has temporary files may be in memory.
    pub(crate) fn make() -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let path = program.with_file_name(format!("bench-{}", std::process::id()));
        std::fs::create_dir(&path).context("cannot make a scratch folder")?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is under `target`, where nothing is kept.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Keeps this process, where loads come from, to the last core; tells which.
pub(crate) fn pin_to_last_core() -> Result<usize> {
    let last = cores()? - 1;
    let output = Command::new("taskset")
        .args(["-a", "-c", "-p", &last.to_string()])
        .arg(std::process::id().to_string())
        .output()
        .context("cannot run `taskset`, which comes with util-linux")?;
    ensure!(output.status.success(), "taskset failed: {output:?}");
    Ok(last)
}

/// Runs a future to its end on this thread.
pub(crate) fn run_async<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?
        .block_on(work)
}
