//! What happened, as plain numbers for whoever watches the program: never by key or caller.

use std::sync::atomic::{AtomicU64, Ordering};

use claviger_domain::decision::Verdict;

use crate::attempts::Attempter;
use crate::{LookError, Verifier};

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

    pub(crate) fn looked<T>(&self, who: &Attempter, found: &Result<Option<T>, LookError>) {
        let outcome = match found {
            Ok(Some(_)) => Looked::Found,
            Ok(None) => Looked::Absent,
            Err(LookError::OverBudget { .. }) => Looked::OverBudget,
            Err(LookError::Crowded) => Looked::Crowded,
            Err(LookError::Store(_)) => Looked::Failed,
        };
        let looks = match who {
            Attempter::Caller(_) => &self.looks_for_keys,
            Attempter::Presenter(_) => &self.looks_for_credentials,
        };
        add(&looks[outcome as usize], 1);
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

/// Turns at the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnsTaken {
    /// Those that are held.
    pub in_use: usize,
    /// Those who wait for one.
    pub waiting: usize,
}

/// A verifier's numbers, to be read one by one: each is true, and all together nearly.
impl Verifier {
    /// Checks that counted, by what they came to.
    pub fn checks(&self) -> impl Iterator<Item = (Verdict, u64)> {
        Verdict::ALL
            .into_iter()
            .zip(self.counters.checks.iter().map(read))
    }

    /// Looks into the database for keys that were presented to be checked: what no cache knew.
    pub fn looks_for_keys(&self) -> impl Iterator<Item = (Looked, u64)> {
        Looked::ALL
            .into_iter()
            .zip(self.counters.looks_for_keys.iter().map(read))
    }

    /// Looks into the database for callers by their credential.
    pub fn looks_for_credentials(&self) -> impl Iterator<Item = (Looked, u64)> {
        Looked::ALL
            .into_iter()
            .zip(self.counters.looks_for_credentials.iter().map(read))
    }

    /// The cache of keys.
    pub fn cached_keys(&self) -> CacheSize {
        self.keys.size()
    }

    /// The cache of callers.
    pub fn cached_callers(&self) -> CacheSize {
        self.presenters.size()
    }

    /// Turns at the database.
    pub fn turns_taken(&self) -> TurnsTaken {
        self.turns.taken()
    }

    /// How long flushes took.
    pub fn flushes(&self) -> &Histogram {
        &self.counters.flushes
    }

    /// Flushes that failed; what they had is kept for the next.
    pub fn flush_failures(&self) -> u64 {
        read(&self.counters.flush_failures)
    }

    /// Rows of usage and of limits that were written.
    pub fn flushed_rows(&self) -> u64 {
        read(&self.counters.flushed_rows)
    }

    /// Keys and limits with something that is not written yet.
    pub fn unwritten(&self) -> usize {
        self.meters.unwritten()
    }
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
