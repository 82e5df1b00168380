//! What is counted of one key: its use, and what was taken from its limit and quota.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, Quota, RateLimit, Taken, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::{UsageCounts, UsageOutcome};

use self::state::{Flags, State};
use crate::place::Place;

type ApiKeyId = Id<id::ApiKey>;

/// Windows no longer than this start anew after a restart, so they are not written.
const KEPT_WINDOW_SECONDS: u32 = 60;

/// When a key was used, as far as this process knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Its first use, where it is known here.
    pub first_used_at: Option<Timestamp>,
    /// Its last use known here.
    pub last_used_at: Option<Timestamp>,
}

/// The counters of one key. Those of its limit and quota are its lineage's: the meter of the first
/// key of the chain of rotations has them, for all keys of the chain.
///
/// A mutex that is held for a few dozen nanoseconds: limit and quota are both taken, or neither,
/// which one compare-and-swap over two counters could not do.
#[derive(Debug)]
pub(crate) struct Meter {
    id: ApiKeyId,
    /// Where the key is; none for an access key, whose use is not counted.
    place: Option<Arc<Place>>,
    state: Mutex<State>,
}

/// A meter, wherever it is counted from: one that no key in memory and no flush holds is let go of.
pub(crate) type SharedMeter = triomphe::Arc<Meter>;

/// What was counted in one hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedHour {
    /// Hours since 1970.
    pub(crate) hour: u32,
    pub(crate) counts: UsageCounts,
    /// The last use, where it is in that hour and was not written.
    pub(crate) last_used_at: Option<Timestamp>,
}

/// Hours of one meter, each once.
#[derive(Debug)]
pub(crate) enum Hours {
    One(Option<CountedHour>),
    Many(Vec<CountedHour>),
}

impl Hours {
    pub(crate) fn as_slice(&self) -> &[CountedHour] {
        match self {
            Self::One(hour) => hour.as_slice(),
            Self::Many(hours) => hours,
        }
    }
}

/// What somebody may be told of a check beside what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Crossing {
    /// Nothing.
    None,
    /// The key was over its limit.
    RateLimited,
    /// Nothing is left of the key's quota.
    QuotaReached {
        /// The end of the period of which that is so: it may be told of in the next one.
        until: Timestamp,
    },
}

/// What a meter has to write.
#[derive(Debug)]
pub(crate) struct Unwritten {
    /// Each hour once: one statement cannot add to a row twice.
    pub(crate) hours: Hours,
    pub(crate) first_use: Option<Timestamp>,
    pub(crate) allowance: Option<Allowance>,
    /// What somebody may be told of.
    pub(crate) is_rate_limited: bool,
    pub(crate) quota_reached_until: Option<Timestamp>,
}

/// The limit and quota that a request of a key is counted by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) limit: Option<RateLimit>,
    pub(crate) quota: Option<Quota>,
    /// Whether the key was rotated: its successor's limit and quota are the lineage's now.
    pub(crate) is_rotated: bool,
}

impl Bounds {
    fn take(self, from: &mut Allowance, cost: u64, now: Timestamp) -> Taken {
        if self.is_rotated {
            from.take_in_grace(self.limit, self.quota, cost, now)
        } else {
            from.take(self.limit, self.quota, cost, now)
        }
    }
}

/// Whether a meter has to be listed among those with something to write: it has, and is not yet.
pub(crate) type MustList = bool;

impl Meter {
    /// Makes a meter; `allowance` is none where nothing was asked of a limit yet.
    pub(crate) fn new(
        id: ApiKeyId,
        place: Option<Arc<Place>>,
        allowance: Option<Allowance>,
    ) -> Self {
        let mut state = State::NEW;
        if let Some(allowance) = allowance {
            state.resume(&allowance);
        }
        Self {
            id,
            place,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn id(&self) -> &ApiKeyId {
        &self.id
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_deref()
    }

    /// Whether it is known what was taken from limit and quota.
    pub(crate) fn has_allowance(&self) -> bool {
        self.lock().flags.has(Flags::HAS_ALLOWANCE)
    }

    /// Takes up what was taken from limit and quota, unless that is known.
    pub(crate) fn resume(&self, allowance: &Allowance) {
        self.lock().resume(allowance);
    }

    pub(crate) fn activity(&self) -> Activity {
        let state = self.lock();
        Activity {
            first_used_at: state.first_used_at.get(),
            last_used_at: state.last_used_at.get(),
        }
    }

    /// Learns what a row says of the key's use.
    pub(crate) fn learn(&self, first: Option<Timestamp>, last: Option<Timestamp>) {
        let mut state = self.lock();
        if first.is_some() {
            // Another program may have noted one before it was used here.
            state.first_used_at = first.into();
            state.flags.clear(Flags::FIRST_USE_UNWRITTEN);
        }
        state.last_used_at = state.last_used_at.get().max(last).into();
    }

    pub(crate) fn count(
        &self,
        outcome: UsageOutcome,
        crossing: Crossing,
        now: Timestamp,
    ) -> MustList {
        let mut state = self.lock();
        state.cross(crossing);
        // Hours fit for longer than half a million years.
        state.turn_to(u32::try_from(now.as_hour()).unwrap_or(0));
        state.count(outcome);
        if outcome == UsageOutcome::Successful {
            if state.first_used_at.get().is_none() {
                state.first_used_at = Some(now).into();
                state.flags.set(Flags::FIRST_USE_UNWRITTEN);
            }
            state.last_used_at = Some(now).into();
            state.flags.set(Flags::LAST_USE_UNWRITTEN);
        }
        state.list()
    }

    pub(crate) fn take(&self, bounds: Bounds, cost: u64, now: Timestamp) -> (Taken, MustList) {
        let mut state = self.lock();
        let mut allowance = state.allowance();
        let taken = bounds.take(&mut allowance, cost, now);
        state.set_allowance(&allowance);
        let is_long = |window: Window| window.is_longer_than(KEPT_WINDOW_SECONDS);
        let (window, _) = allowance.state();
        let is_kept =
            bounds.quota.is_some() || (bounds.limit.is_some() && window.is_some_and(is_long));
        (taken, is_kept && state.list_allowance())
    }

    /// What can be taken now, without taking it.
    pub(crate) fn look(&self, bounds: Bounds, cost: u64, now: Timestamp) -> Taken {
        let mut copy = self.lock().allowance();
        bounds.take(&mut copy, cost, now)
    }

    /// Applies a limit and a quota that were changed to what runs, before anything is taken.
    pub(crate) fn apply(
        &self,
        limit: Option<RateLimit>,
        quota: Option<Quota>,
        now: Timestamp,
    ) -> MustList {
        let mut state = self.lock();
        state.flags.set(Flags::FRESH);
        let before = state.allowance();
        let mut running = before;
        running.take(limit, quota, 0, now);
        state.set_allowance(&running);
        // Also where a window is short now: as it was written before, it would be taken for long.
        running != before && state.list_allowance()
    }

    /// Takes out what is not written yet.
    pub(crate) fn take_out(&self) -> Unwritten {
        let mut state = self.lock();
        state.flags.clear(Flags::LISTED);
        let first_use = state.first_used_at.get();
        Unwritten {
            hours: state.take_hours(),
            first_use: first_use.filter(|_| state.flags.clear(Flags::FIRST_USE_UNWRITTEN)),
            allowance: state.flags.clear(Flags::ALLOWANCE_UNWRITTEN).then(|| {
                let (window, quota) = state.allowance().state();
                let window = window.filter(|window| window.is_longer_than(KEPT_WINDOW_SECONDS));
                Allowance::resume(window, quota)
            }),
            is_rate_limited: state.flags.clear(Flags::RATE_LIMITED),
            quota_reached_until: state.take_quota_reached(),
        }
    }

    /// Puts back that nobody could be told of it.
    pub(crate) fn put_back_crossing(&self, crossing: Crossing) -> MustList {
        let mut state = self.lock();
        state.cross(crossing);
        state.list()
    }

    /// Puts back what was counted in an hour and could not be written.
    pub(crate) fn put_back(&self, counted: CountedHour) -> MustList {
        let mut state = self.lock();
        state.add(counted);
        state.list()
    }

    /// Puts back that the first use could not be written.
    pub(crate) fn put_back_first_use(&self) -> MustList {
        let mut state = self.lock();
        state.flags.set(Flags::FIRST_USE_UNWRITTEN);
        state.list()
    }

    /// Puts back that the allowance could not be written.
    pub(crate) fn put_back_allowance(&self) -> MustList {
        self.lock().list_allowance()
    }

    /// Whether a sweep leaves it although nothing else needs it.
    pub(crate) fn is_needed(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        state.flags.clear(Flags::FRESH)
            || state.flags.has(Flags::LISTED)
            || !state.allowance().is_over(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for each key in memory, which is to take few bytes.
    #[test]
    fn a_meter_is_small() {
        assert!(size_of::<Meter>() <= 88, "{}", size_of::<Meter>());
    }

    #[test]
    fn hours_are_counted_apart_and_each_is_taken_out_once() {
        let meter = Meter::new(Id::from_suffix("one"), None, None);
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        for hour in [7, 8, 7, 8, 8] {
            meter.count(UsageOutcome::Successful, Crossing::None, at(hour));
        }
        meter.count(UsageOutcome::Failed, Crossing::None, at(9));
        let taken = meter.take_out();
        let mut told: Vec<_> = taken
            .hours
            .as_slice()
            .iter()
            .map(|one| {
                (
                    one.hour,
                    one.counts.successful,
                    one.counts.failed,
                    one.last_used_at,
                )
            })
            .collect();
        told.sort_unstable();
        let expected = [
            (7, 2, 0, Some(at(7))),
            (8, 3, 0, Some(at(8))),
            (9, 0, 1, None),
        ];
        assert_eq!(told, expected);
        assert_eq!(taken.first_use, Some(at(7)));
        assert!(meter.take_out().hours.as_slice().is_empty());
        assert_eq!(meter.take_out().first_use, None);

        // What is put back joins what was counted meanwhile.
        meter.count(UsageOutcome::Failed, Crossing::None, at(8));
        for hour in taken.hours.as_slice() {
            meter.put_back(*hour);
        }
        let mut again = meter.take_out().hours.as_slice().to_vec();
        again.sort_unstable_by_key(|one| one.hour);
        let told = again.iter().map(|one| (one.hour, one.counts.total()));
        assert_eq!(told.collect::<Vec<_>>(), [(7, 2), (8, 4), (9, 1)]);
    }

    #[test]
    fn many_checks_between_two_flushes_are_one_hour() {
        let meter = Meter::new(Id::from_suffix("one"), None, None);
        let at = |micros: i64| Timestamp::from_micros(micros);
        for micro in 0..1_000 {
            meter.count(UsageOutcome::Successful, Crossing::None, at(micro));
            meter.count(UsageOutcome::RateLimited, Crossing::None, at(micro));
        }
        let taken = meter.take_out();
        let [hour] = taken.hours.as_slice() else {
            panic!("an hour was told more than once");
        };
        let UsageCounts {
            successful,
            rate_limited,
            ..
        } = hour.counts;
        assert_eq!((successful, rate_limited), (1_000, 1_000));
        assert_eq!(hour.last_used_at, Some(at(999)));
        assert!(meter.lock().rest.is_none(), "nothing is left of it");
    }
}
