//! The machine: its clock, what processes have cost it, and what it is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

/// The time by which durations are measured.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures what time really passes"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Microseconds since the epoch, for the servers that are compared with.
#[expect(
    clippy::disallowed_methods,
    reason = "a server that is compared with has a clock of its own"
)]
pub(crate) fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// Waits while nothing can be waited for: until servers have come to rest.
#[expect(
    clippy::disallowed_methods,
    reason = "that a server does nothing more is only told by time"
)]
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// How many of the kernel's ticks of processor time are a second, as all of its architectures show
/// them to programs.
const TICKS_PER_SECOND: u64 = 100;

fn ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

/// A process by what `/proc` tells of it.
struct Process {
    id: u32,
    parent: u32,
    own: u64,
    of_ended_children: u64,
}

impl Process {
    fn read(stat: &str) -> Option<Self> {
        let (id, rest) = stat.split_once(" (")?;
        // A name can have spaces and brackets of its own.
        let (_, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            id: id.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            of_ended_children: number(13)? + number(14)?,
        })
    }
}

/// User and system time of a process and all below it, so far. The kernel measures it exactly and
/// shows it in hundredths of a second.
pub(crate) fn processor_time(root: u32) -> Result<Duration> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        // Those that end meanwhile cannot be read.
        let stat = fs::read_to_string(entry?.path().join("stat"));
        all.extend(stat.ok().as_deref().and_then(Process::read));
    }
    let mut sum = 0;
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let process = all.iter().find(|one| one.id == id);
        sum += process.map_or(0, |one| one.own + one.of_ended_children);
        open.extend(all.iter().filter(|one| one.parent == id).map(|one| one.id));
    }
    Ok(ticks(sum))
}

/// What the processors were busy with so far, all of them and for anybody, with what other machines
/// on the same hardware took from this one.
pub(crate) fn busy_time() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy = [0, 1, 2, 5, 6, 7].map(|index| fields.get(index).copied().unwrap_or(0));
    Ok(ticks(busy.iter().sum()))
}

/// Bytes of memory that a process has now.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: u64 = line
        .context("no VmRSS in the status of a process")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kibibytes * 1_024)
}

/// What the figures were measured on, and of what.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gibibytes: u64,
    kernel: String,
    commit: String,
    date: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kibibytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: cores()?,
            memory_gibibytes: kibibytes.div_ceil(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            commit: said(Command::new("git").args(["describe", "--always", "--dirty"])),
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{}, {} cores, {} GiB, Linux {}; commit {}, {}",
            self.processor, self.cores, self.memory_gibibytes, self.kernel, self.commit, self.date
        )
    }
}

/// Processors that this process may run on.
pub(crate) fn cores() -> Result<usize> {
    let cores = std::thread::available_parallelism().context("cannot count processors")?;
    Ok(cores.get())
}

fn said(command: &mut Command) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = command.current_dir(workspace).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_name_with_brackets() {
        let stat = "42 (a) b) S 7 42 42 0 -1 4194560 9 0 0 0 30 12 5 3 20 0 1 0";
        let process = Process::read(stat).unwrap();
        let found = (process.id, process.parent, process.own);
        assert_eq!(found, (42, 7, 42));
        assert_eq!(process.of_ended_children, 8);
    }
}
