//! What a meter holds, in as few bytes as it goes.

use claviger_domain::limit::{Allowance, QuotaUse, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::{UsageCounts, UsageOutcome};

use super::{CountedHour, Crossing, Hours, MustList};
use crate::moment::Moment;

/// As small as it goes: there is one for each key in memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) first_used_at: Moment,
    pub(super) last_used_at: Moment,
    window_started_at: Moment,
    /// What few meters have, or for a moment.
    pub(super) rest: Option<Box<Rest>>,
    window_used: u32,
    window_seconds: u32,
    /// The hour of `counts`.
    hour: u32,
    /// Checks since the last flush, by outcome. What does not fit is among the hours of `rest`.
    counts: [u8; 3],
    pub(super) flags: Flags,
}

/// What does not fit into a [`State`].
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Counts of other hours: after a failed flush, at the turn of an hour, and when the clock goes
    /// back; and of the same hour, where there are many.
    hours: Vec<CountedHour>,
    /// The window, where the numbers in a state do not say what it is.
    window: Option<Window>,
    quota: Option<QuotaUse>,
    /// The end of a period whose quota came to its end, while nobody was told of that.
    quota_reached_until: Option<Timestamp>,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.hours.is_empty()
            && self.window.is_none()
            && self.quota.is_none()
            && self.quota_reached_until.is_none()
    }
}

/// What is to be known of a meter by yes or no, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// It is among the meters that have something to write.
    pub(super) const LISTED: Self = Self(1);
    pub(super) const FIRST_USE_UNWRITTEN: Self = Self(2);
    pub(super) const LAST_USE_UNWRITTEN: Self = Self(4);
    pub(super) const ALLOWANCE_UNWRITTEN: Self = Self(8);
    /// It is known what was taken from limit and quota, also by those before this process.
    pub(super) const HAS_ALLOWANCE: Self = Self(16);
    /// It was loaded or changed since the last sweep, which then leaves it.
    pub(super) const FRESH: Self = Self(32);
    /// It was over its limit, and nobody was told of that yet.
    pub(super) const RATE_LIMITED: Self = Self(64);

    pub(super) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// Sets a flag; whether it was set.
    pub(super) const fn set(&mut self, flag: Self) -> bool {
        let was_set = self.has(flag);
        self.0 |= flag.0;
        was_set
    }

    /// Clears a flag; whether it was set.
    pub(super) const fn clear(&mut self, flag: Self) -> bool {
        let was_set = self.has(flag);
        self.0 &= !flag.0;
        was_set
    }
}

impl State {
    /// Nothing counted, and nothing known.
    pub(super) const NEW: Self = Self {
        first_used_at: Moment::NONE,
        last_used_at: Moment::NONE,
        window_started_at: Moment::NONE,
        rest: None,
        window_used: 0,
        window_seconds: 0,
        hour: 0,
        counts: [0; 3],
        flags: Flags::FRESH,
    };

    /// Goes on to count in that hour.
    pub(super) fn turn_to(&mut self, hour: u32) {
        if self.hour != hour {
            self.set_aside();
            self.hour = hour;
        }
    }

    pub(super) fn count(&mut self, outcome: UsageOutcome) {
        let place = outcome as usize;
        if self.counts[place] == u8::MAX {
            self.set_aside();
        }
        self.counts[place] += 1;
    }

    /// Puts what was counted in the present hour beside the other hours.
    fn set_aside(&mut self) {
        if let Some(counted) = self.take_hour() {
            self.add(counted);
        }
    }

    /// Takes out what was counted in the present hour since it was set aside last.
    fn take_hour(&mut self) -> Option<CountedHour> {
        let [successful, failed, rate_limited] = std::mem::take(&mut self.counts).map(u64::from);
        let is_used = self.flags.clear(Flags::LAST_USE_UNWRITTEN);
        let counts = UsageCounts {
            successful,
            failed,
            rate_limited,
        };
        (is_used || counts.total() > 0).then(|| CountedHour {
            hour: self.hour,
            counts,
            last_used_at: self.last_used_at.get().filter(|_| is_used),
        })
    }

    /// Takes out all hours. Most often it is one, for which nothing is allocated.
    pub(super) fn take_hours(&mut self) -> Hours {
        if self.rest.as_ref().is_none_or(|rest| rest.hours.is_empty()) {
            return Hours::One(self.take_hour());
        }
        self.set_aside();
        let hours = self
            .rest
            .as_mut()
            .map(|rest| std::mem::take(&mut rest.hours));
        self.drop_empty_rest();
        Hours::Many(hours.unwrap_or_default())
    }

    pub(super) fn add(&mut self, counted: CountedHour) {
        let hours = &mut self.rest.get_or_insert_default().hours;
        if let Some(one) = hours.iter_mut().find(|one| one.hour == counted.hour) {
            one.counts.add(counted.counts);
            one.last_used_at = one.last_used_at.max(counted.last_used_at);
        } else {
            // Nearly always the only one; while the database is away, of very many keys.
            hours.reserve_exact(1);
            hours.push(counted);
        }
    }

    pub(super) fn resume(&mut self, allowance: &Allowance) {
        if !self.flags.set(Flags::HAS_ALLOWANCE) {
            self.flags.set(Flags::FRESH);
            self.set_allowance(allowance);
        }
    }

    pub(super) fn allowance(&self) -> Allowance {
        let started_at = self.window_started_at.get();
        let window = started_at.map(|started_at| Window {
            started_at,
            ends_at: started_at.plus_seconds(self.window_seconds.into()),
            used: self.window_used.into(),
        });
        let rest = self.rest.as_deref();
        let window = window.or_else(|| rest.and_then(|rest| rest.window));
        Allowance::resume(window, rest.and_then(|rest| rest.quota))
    }

    pub(super) fn set_allowance(&mut self, allowance: &Allowance) {
        let (window, quota) = allowance.state();
        let small = window.and_then(SmallWindow::of);
        let large = window.filter(|_| small.is_none());
        self.window_started_at = small.map(|small| small.started_at).into();
        self.window_used = small.map_or(0, |small| small.used);
        self.window_seconds = small.map_or(0, |small| small.seconds);
        if quota.is_some() || large.is_some() || self.rest.is_some() {
            let rest = self.rest.get_or_insert_default();
            (rest.window, rest.quota) = (large, quota);
            self.drop_empty_rest();
        }
    }

    fn drop_empty_rest(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
    }

    /// Notes what somebody may be told of.
    pub(super) fn cross(&mut self, crossing: Crossing) {
        match crossing {
            Crossing::None => {}
            Crossing::RateLimited => drop(self.flags.set(Flags::RATE_LIMITED)),
            Crossing::QuotaReached { until } => {
                let rest = self.rest.get_or_insert_default();
                rest.quota_reached_until = rest.quota_reached_until.max(Some(until));
            }
        }
    }

    /// Takes out the end of the period whose quota came to its end.
    pub(super) fn take_quota_reached(&mut self) -> Option<Timestamp> {
        let until = self.rest.as_mut()?.quota_reached_until.take()?;
        self.drop_empty_rest();
        Some(until)
    }

    pub(super) fn list(&mut self) -> MustList {
        !self.flags.set(Flags::LISTED)
    }

    pub(super) fn list_allowance(&mut self) -> MustList {
        self.flags.set(Flags::ALLOWANCE_UNWRITTEN);
        self.list()
    }
}

/// A window as a state has it: nearly all of them.
#[derive(Clone, Copy)]
struct SmallWindow {
    started_at: Timestamp,
    used: u32,
    seconds: u32,
}

impl SmallWindow {
    /// None where it does not say the same.
    fn of(window: Window) -> Option<Self> {
        let micros = window.ends_at.micros_since(window.started_at);
        let small = Self {
            started_at: window.started_at,
            used: window.used.try_into().ok()?,
            seconds: (micros / 1_000_000).try_into().ok()?,
        };
        let ends_at = small.started_at.plus_seconds(small.seconds.into());
        (ends_at == window.ends_at).then_some(small)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A window and a quota are kept to the microsecond and to the last request, however long and
        /// large they are.
        #[test]
        fn what_was_taken_is_kept_as_it_was(
            steps in prop::collection::vec((window(), quota()), 1..8),
        ) {
            let mut state = State::NEW;
            for (window, quota) in steps {
                let allowance = Allowance::resume(window, quota);
                state.set_allowance(&allowance);
                prop_assert_eq!(state.allowance(), allowance);
            }
        }
    }

    fn window() -> impl Strategy<Value = Option<Window>> {
        let micros = prop_oneof![Just(60_000_000), Just(1), 0..i64::MAX / 2];
        let used = prop_oneof![0..10u64, any::<u64>()];
        let window = (0..i64::MAX / 2, micros, used).prop_map(|(start, micros, used)| Window {
            started_at: Timestamp::from_micros(start),
            ends_at: Timestamp::from_micros(start + micros),
            used,
        });
        prop::option::of(window)
    }

    fn quota() -> impl Strategy<Value = Option<QuotaUse>> {
        let quota = (any::<i64>(), any::<u64>()).prop_map(|(at, used)| QuotaUse {
            ends_at: Timestamp::from_micros(at),
            used,
        });
        prop::option::of(quota)
    }
}
