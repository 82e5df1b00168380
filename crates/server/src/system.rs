//! The machine's clock and randomness: the only place that asks for either.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use claviger_domain::random::Random;
use claviger_domain::time::{Clock, Timestamp};
use rand::Rng;

/// What the program takes from outside, so that a test bed can bring its own.
pub struct Outside {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for keys and ids.
    pub random: Arc<dyn Random>,
    /// Routes besides the program's own; none in `claviger`.
    pub routes: Router,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[outside]")
    }
}

impl Outside {
    /// The machine's clock and randomness, and nothing else.
    pub fn of_this_machine() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            routes: Router::new(),
        }
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all else is passed"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // A machine whose clock is before 1970, or 290,000 years after it, gets the nearest instant.
        let micros = since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
        Timestamp::from_micros(micros)
    }
}

/// A generator of each thread's own that is fit for keys, seeded by the operating system and seeded
/// anew as it goes on.
#[derive(Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the randomness that all else is passed"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
