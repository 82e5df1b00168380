//! The greatest load, by wrk: the load generator that others measure with, and one that a single core
//! drives further than these servers go.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::server::pinned;

const SCRIPT: &str = include_str!("check.lua");

/// What wrk measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greatest {
    pub(crate) answered: u64,
    /// Answers a second.
    pub(crate) rate: f64,
    pub(crate) p50_millis: f64,
    pub(crate) p99_millis: f64,
}

/// Loads a server for that time with random keys out of a file; any answer but a success is an error.
pub(crate) fn run(
    core: usize,
    address: &str,
    connections: usize,
    time: Duration,
    keys: &Path,
    access_key: &str,
) -> Result<Greatest> {
    let script = keys.with_extension("lua");
    std::fs::write(&script, SCRIPT)?;
    let output = pinned(core, "wrk")
        .args(["--threads", "1", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs()), "--script"])
        .arg(&script)
        .arg(format!("http://{address}"))
        .arg("--")
        .arg(keys)
        .arg(access_key)
        .output()
        .context("cannot run wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let read = || {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("measured: "))?;
        let numbers: Vec<u32> = line.split(' ').map_while(|one| one.parse().ok()).collect();
        <[u32; 5]>::try_from(numbers).ok()
    };
    let [answered, micros, p50, p99, failed] = read().with_context(|| {
        let complained = String::from_utf8_lossy(&output.stderr);
        format!("wrk told no figures:\n{said}{complained}")
    })?;
    ensure!(
        failed == 0,
        "{failed} requests were not answered with a success:\n{said}"
    );
    Ok(Greatest {
        answered: answered.into(),
        rate: f64::from(answered) / (f64::from(micros) / 1e6),
        p50_millis: f64::from(p50) / 1e3,
        p99_millis: f64::from(p99) / 1e3,
    })
}
