//! The verifier's numbers, for whoever writes them out.

use claviger_domain::decision::Verdict;

use crate::counters::{CacheSize, Histogram, Looked};
use crate::verifier::Verifier;

/// A verifier's numbers, to be read one by one: each is true, and all together nearly.
impl Verifier {
    /// Checks that counted, by what they came to.
    pub fn checks(&self) -> impl Iterator<Item = (Verdict, u64)> {
        self.counters.checks()
    }

    /// Looks into the database for keys that were presented to be checked: what no cache knew.
    pub fn looks_for_keys(&self) -> impl Iterator<Item = (Looked, u64)> {
        self.counters.looks_for_keys()
    }

    /// Looks into the database for callers by their credential.
    pub fn looks_for_credentials(&self) -> impl Iterator<Item = (Looked, u64)> {
        self.counters.looks_for_credentials()
    }

    /// The cache of keys.
    pub fn cached_keys(&self) -> CacheSize {
        self.keys.size()
    }

    /// The cache of callers.
    pub fn cached_callers(&self) -> CacheSize {
        self.presenters.size()
    }

    /// How long flushes took.
    pub fn flushes(&self) -> &Histogram {
        &self.counters.flushes
    }

    /// Flushes that failed; what they had is kept for the next.
    pub fn flush_failures(&self) -> u64 {
        self.counters.flush_failures()
    }

    /// Rows of usage and of limits that were written.
    pub fn flushed_rows(&self) -> u64 {
        self.counters.flushed_rows()
    }

    /// Keys and limits with something that is not written yet.
    pub fn unwritten(&self) -> usize {
        self.meters.unwritten()
    }
}
