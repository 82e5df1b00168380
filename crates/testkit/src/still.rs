//! Time and chance that stand still: a clock that tests move, randomness that repeats.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use claviger_domain::random::Random;
use claviger_domain::time::{Clock, Timestamp};

/// A clock that moves when the test says so. It starts at 2026-01-15T12:00:00Z, in the middle of a
/// day and of a month.
#[derive(Debug)]
pub struct MockClock(AtomicI64);

impl Default for MockClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_768_478_400_000_000))
    }
}

impl MockClock {
    /// Moves on by that many seconds; back when they are negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Numbers that look random and are the same in each run (splitmix64).
#[derive(Debug, Default)]
pub struct SeededRandom(AtomicU64);

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        for chunk in bytes.chunks_mut(8) {
            let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}
