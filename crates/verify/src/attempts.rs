//! Looks that found nothing, counted by who looked: guessing keys has a budget.

use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::limit::{Allowance, Level, Outcome, RateLimit};
use claviger_domain::time::Timestamp;
use quick_cache::sync::Cache;

use crate::turns::Party;

/// What a caller may ask in a second that is not there: enough for one whose own users are scanned,
/// and a small part of what the database answers.
const OF_CALLER: RateLimit = budget(500, 1);
/// What may be presented from one network in a minute that is no credential.
const OF_PRESENTER: RateLimit = budget(600, 60);
/// Whose looks are remembered, at most.
const REMEMBERED: usize = 65_536;

const fn budget(looks: u64, seconds: u32) -> RateLimit {
    RateLimit::new(looks, seconds).expect("a budget is within a limit's bounds")
}

/// Whose look it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Attempter {
    /// A caller, as the trail of changes describes it.
    Caller(String),
    /// Whoever presents a credential, by where they are.
    Presenter(Party),
}

/// The budgets of those who looked for what is not there. Only looks into the database count: what
/// is known to be absent costs nothing, so that a program with an old key does not use them up.
#[derive(Debug)]
pub(crate) struct Attempts(Cache<Attempter, Arc<Mutex<Allowance>>>);

impl Default for Attempts {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Attempts {
    /// Whether there is budget for one more look; else what it came to. Looks that are under way
    /// are not counted yet, so that a budget is passed by no more than may be under way.
    pub(crate) fn may_look(&self, who: &Attempter, now: Timestamp) -> Result<(), Level> {
        let Some(counted) = self.0.get(who) else {
            return Ok(());
        };
        let mut copy = *counted.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = copy.take(Some(who.budget()), None, 1, now);
        match (taken.outcome, taken.rate_limit) {
            (Outcome::OverRateLimit, Some(level)) => Err(level),
            _ => Ok(()),
        }
    }

    /// Counts a look that found nothing.
    pub(crate) fn found_nothing(&self, who: &Attempter, now: Timestamp) {
        let made = self
            .0
            .get_or_insert_with(who, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(counted) = made;
        counted.lock().unwrap_or_else(PoisonError::into_inner).take(
            Some(who.budget()),
            None,
            1,
            now,
        );
    }
}

impl Attempter {
    fn budget(&self) -> RateLimit {
        match self {
            Self::Caller(_) => OF_CALLER,
            Self::Presenter(_) => OF_PRESENTER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_by_looks_that_find_nothing_and_comes_back() {
        let attempts = Attempts::default();
        let (guesser, other) = (
            Attempter::Presenter(Party::from_address([192, 0, 2, 1].into())),
            Attempter::Presenter(Party::from_address([192, 0, 2, 2].into())),
        );
        let now = Timestamp::from_micros(0);
        for _ in 0..OF_PRESENTER.limit() {
            assert_eq!(attempts.may_look(&guesser, now), Ok(()));
            attempts.found_nothing(&guesser, now);
        }
        let level = attempts.may_look(&guesser, now).expect_err("it is used up");
        assert_eq!(level.resets_at, now.plus_seconds(60));
        assert_eq!(attempts.may_look(&other, now), Ok(()));
        assert_eq!(attempts.may_look(&guesser, level.resets_at), Ok(()));
    }
}
