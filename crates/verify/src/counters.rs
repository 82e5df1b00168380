//! What happened, as plain numbers for whoever watches the program: never by key or caller.

use std::sync::atomic::{AtomicU64, Ordering};

use claviger_domain::decision::Verdict;

/// Durations by size.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each of [`Histogram::BOUNDS_US`], and one for what is longer.
    buckets: [AtomicU64; Histogram::BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Where buckets end, in microseconds: from a check in memory to a call that is given up.
    pub const BOUNDS_US: [u64; 12] = [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 10_000_000,
    ];

    /// Adds one. A clock that went back meanwhile makes it 0.
    pub fn add(&self, micros: i64) {
        let micros = u64::try_from(micros).unwrap_or(0);
        let bucket = Self::BOUNDS_US.partition_point(|bound| *bound < micros);
        add(&self.buckets[bucket], 1);
        add(&self.sum_us, micros);
    }

    /// How many there are in each bucket, without those of the buckets before it; the last has no
    /// bound.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(read)
    }

    /// How long all were together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        read(&self.sum_us)
    }
}

/// What a look into the database came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// What was presented is there.
    Found,
    /// It is not.
    Absent,
    /// Whoever asked had no budget left.
    OverBudget,
    /// Too many of the same party waited.
    Crowded,
    /// The database did not say.
    Failed,
}

impl Looked {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Found,
        Self::Absent,
        Self::OverBudget,
        Self::Crowded,
        Self::Failed,
    ];

    /// The outcome in a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Absent => "absent",
            Self::OverBudget => "over_budget",
            Self::Crowded => "crowded",
            Self::Failed => "failed",
        }
    }
}

/// Looks by what they came to.
type Looks = [AtomicU64; Looked::ALL.len()];

/// The counters of a verifier.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    checks: [AtomicU64; Verdict::ALL.len()],
    looks_for_keys: Looks,
    looks_for_credentials: Looks,
    pub(crate) flushes: Histogram,
    flush_failures: AtomicU64,
    flushed_rows: AtomicU64,
}

impl Counters {
    pub(crate) fn checked(&self, verdict: Verdict) {
        add(&self.checks[verdict as usize], 1);
    }

    pub(crate) fn looked_for_key(&self, outcome: Looked) {
        add(&self.looks_for_keys[outcome as usize], 1);
    }

    pub(crate) fn looked_for_credential(&self, outcome: Looked) {
        add(&self.looks_for_credentials[outcome as usize], 1);
    }

    pub(crate) fn checks(&self) -> impl Iterator<Item = (Verdict, u64)> {
        Verdict::ALL.into_iter().zip(self.checks.iter().map(read))
    }

    pub(crate) fn looks_for_keys(&self) -> impl Iterator<Item = (Looked, u64)> {
        Looked::ALL
            .into_iter()
            .zip(self.looks_for_keys.iter().map(read))
    }

    pub(crate) fn looks_for_credentials(&self) -> impl Iterator<Item = (Looked, u64)> {
        let counts = self.looks_for_credentials.iter().map(read);
        Looked::ALL.into_iter().zip(counts)
    }

    pub(crate) fn flush_failures(&self) -> u64 {
        read(&self.flush_failures)
    }

    pub(crate) fn flushed_rows(&self) -> u64 {
        read(&self.flushed_rows)
    }

    /// Notes a flush: how many rows it wrote, unless it failed.
    pub(crate) fn flushed(&self, duration_us: i64, rows: Option<usize>) {
        self.flushes.add(duration_us);
        match rows {
            Some(rows) => add(&self.flushed_rows, rows as u64),
            None => add(&self.flush_failures, 1),
        }
    }
}

/// How many values a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize {
    /// Values.
    pub present: usize,
    /// Keys that are known to have none.
    pub absent: usize,
}

/// Nothing is read off the order in which counters change.
fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_and_outcome_has_its_own_counter() {
        for (place, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, place);
        }
        for (place, outcome) in Looked::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [-5, 0, 100, 101, 20_000_000] {
            histogram.add(micros);
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!((buckets[0], buckets[1], buckets[12]), (3, 1, 1));
        assert_eq!(buckets.iter().sum::<u64>(), 5);
        assert_eq!(histogram.sum_us(), 20_000_201);
    }
}
