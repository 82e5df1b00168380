//! A clock that tests move.

use std::sync::atomic::{AtomicI64, Ordering};

use claviger_domain::time::{Clock, Timestamp};

/// 2030-01-01T00:00:00Z: at the start of a minute, an hour, a day, a month and a year.
const NEW_YEAR: Timestamp = Timestamp::from_micros(1_893_456_000_000_000);

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct MockClock(AtomicI64);

impl MockClock {
    /// Stands at that instant.
    pub fn at(instant: Timestamp) -> Self {
        Self(AtomicI64::new(instant.as_micros()))
    }

    /// Moves on by that many seconds; back when they are negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Default for MockClock {
    /// Stands at 2030-01-01T00:00:00Z, where the windows of all limits and quotas begin.
    fn default() -> Self {
        Self::at(NEW_YEAR)
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
