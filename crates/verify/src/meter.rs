//! What is counted of one key: its use, and what was taken from its limit and quota.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, Quota, QuotaUse, RateLimit, Taken, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::{UsageCounts, UsageOutcome};

use crate::moment::Moment;
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

/// As small as it goes: there is one for each key in memory.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::box_collection,
    reason = "each is told apart from the others, and what few meters have is apart"
)]
struct State {
    first_used_at: Moment,
    last_used_at: Moment,
    /// The hour of `counts`.
    hour: u32,
    counts: [u32; 3],
    /// Counts of other hours than that: after a failed flush, at the turn of an hour, and when the
    /// clock goes back.
    others: Option<Box<Vec<CountedHour>>>,
    window_started_at: Moment,
    window_ends_at: Moment,
    window_used: u64,
    quota: Option<Box<QuotaUse>>,
    /// Whether it is among the meters that have something to write.
    is_listed: bool,
    is_first_use_unwritten: bool,
    is_last_use_unwritten: bool,
    is_allowance_unwritten: bool,
    /// Whether it is known what was taken from limit and quota, also by those before this process.
    has_allowance: bool,
    /// Whether it was loaded or changed since the last sweep, which then leaves it.
    is_fresh: bool,
}

/// What was counted in one hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedHour {
    /// Hours since 1970.
    pub(crate) hour: u32,
    pub(crate) counts: UsageCounts,
    /// The last use, where it is in that hour and was not written.
    pub(crate) last_used_at: Option<Timestamp>,
}

/// What a meter has to write.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    /// Each hour once: one statement cannot add to a row twice.
    pub(crate) hours: Vec<CountedHour>,
    pub(crate) first_use: Option<Timestamp>,
    pub(crate) allowance: Option<Allowance>,
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
        let mut state = State {
            first_used_at: Moment::NONE,
            last_used_at: Moment::NONE,
            hour: 0,
            counts: [0; 3],
            others: None,
            window_started_at: Moment::NONE,
            window_ends_at: Moment::NONE,
            window_used: 0,
            quota: None,
            is_listed: false,
            is_first_use_unwritten: false,
            is_last_use_unwritten: false,
            is_allowance_unwritten: false,
            has_allowance: false,
            is_fresh: true,
        };
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
        self.lock().has_allowance
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
            state.is_first_use_unwritten = false;
        }
        state.last_used_at = state.last_used_at.get().max(last).into();
    }

    pub(crate) fn count(&self, outcome: UsageOutcome, now: Timestamp) -> MustList {
        let mut state = self.lock();
        // Hours fit for longer than half a million years.
        state.turn_to(u32::try_from(now.as_hour()).unwrap_or(0));
        let count = &mut state.counts[outcome as usize];
        *count = count.saturating_add(1);
        if outcome == UsageOutcome::Successful {
            if state.first_used_at.get().is_none() {
                state.first_used_at = Some(now).into();
                state.is_first_use_unwritten = true;
            }
            state.last_used_at = Some(now).into();
            state.is_last_use_unwritten = true;
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
        state.is_fresh = true;
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
        state.is_listed = false;
        let mut hours = state
            .others
            .take()
            .map(|others| *others)
            .unwrap_or_default();
        hours.extend(state.take_hour());
        let first_use = state.first_used_at.get();
        Unwritten {
            hours,
            first_use: first_use.filter(|_| std::mem::take(&mut state.is_first_use_unwritten)),
            allowance: std::mem::take(&mut state.is_allowance_unwritten).then(|| {
                let (window, quota) = state.allowance().state();
                let window = window.filter(|window| window.is_longer_than(KEPT_WINDOW_SECONDS));
                Allowance::resume(window, quota)
            }),
        }
    }

    /// Puts back what was counted in an hour and could not be written.
    pub(crate) fn put_back(&self, counted: CountedHour) -> MustList {
        let mut state = self.lock();
        if counted.hour == state.hour {
            state.add(counted);
        } else {
            state.add_other(counted);
        }
        state.list()
    }

    /// Puts back that the first use could not be written.
    pub(crate) fn put_back_first_use(&self) -> MustList {
        let mut state = self.lock();
        state.is_first_use_unwritten = true;
        state.list()
    }

    /// Puts back that the allowance could not be written.
    pub(crate) fn put_back_allowance(&self) -> MustList {
        self.lock().list_allowance()
    }

    /// Whether a sweep leaves it although nothing else needs it.
    pub(crate) fn is_needed(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        std::mem::take(&mut state.is_fresh) || state.is_listed || !state.allowance().is_over(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Goes on to count in that hour.
    fn turn_to(&mut self, hour: u32) {
        if self.hour == hour {
            return;
        }
        if let Some(counted) = self.take_hour() {
            self.add_other(counted);
        }
        self.hour = hour;
        let Some(others) = &mut self.others else {
            return;
        };
        if let Some(place) = others.iter().position(|one| one.hour == hour) {
            let counted = others.swap_remove(place);
            self.add(counted);
        }
    }

    /// Takes out what was counted in the present hour.
    fn take_hour(&mut self) -> Option<CountedHour> {
        let [successful, failed, rate_limited] = std::mem::take(&mut self.counts).map(u64::from);
        let is_used = std::mem::take(&mut self.is_last_use_unwritten);
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

    fn add(&mut self, counted: CountedHour) {
        let counts = counted.counts;
        let more = [counts.successful, counts.failed, counts.rate_limited];
        for (count, more) in self.counts.iter_mut().zip(more) {
            *count = count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
        self.is_last_use_unwritten |= counted.last_used_at.is_some();
    }

    fn add_other(&mut self, counted: CountedHour) {
        let others = self.others.get_or_insert_default();
        match others.iter_mut().find(|one| one.hour == counted.hour) {
            Some(one) => {
                one.counts.add(counted.counts);
                one.last_used_at = one.last_used_at.max(counted.last_used_at);
            }
            None => others.push(counted),
        }
    }

    fn resume(&mut self, allowance: &Allowance) {
        if !std::mem::replace(&mut self.has_allowance, true) {
            self.is_fresh = true;
            self.set_allowance(allowance);
        }
    }

    fn allowance(&self) -> Allowance {
        let bounds = self.window_started_at.get().zip(self.window_ends_at.get());
        let window = bounds.map(|(started_at, ends_at)| Window {
            started_at,
            ends_at,
            used: self.window_used,
        });
        Allowance::resume(window, self.quota.as_deref().copied())
    }

    fn set_allowance(&mut self, allowance: &Allowance) {
        let (window, quota) = allowance.state();
        self.window_started_at = window.map(|window| window.started_at).into();
        self.window_ends_at = window.map(|window| window.ends_at).into();
        self.window_used = window.map_or(0, |window| window.used);
        match (&mut self.quota, quota) {
            (Some(present), Some(quota)) => **present = quota,
            (present, quota) => *present = quota.map(Box::new),
        }
    }

    fn list(&mut self) -> MustList {
        !std::mem::replace(&mut self.is_listed, true)
    }

    fn list_allowance(&mut self) -> MustList {
        self.is_allowance_unwritten = true;
        self.list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for each key in memory, which is to take few bytes.
    #[test]
    fn a_meter_is_small() {
        assert!(size_of::<Meter>() <= 128, "{}", size_of::<Meter>());
    }

    #[test]
    fn hours_are_counted_apart_and_each_is_taken_out_once() {
        let meter = Meter::new(Id::from_suffix("one"), None, None);
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        for hour in [7, 8, 7, 8, 8] {
            meter.count(UsageOutcome::Successful, at(hour));
        }
        meter.count(UsageOutcome::Failed, at(9));
        let taken = meter.take_out();
        let mut told: Vec<_> = taken
            .hours
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
        assert!(meter.take_out().hours.is_empty());
        assert_eq!(meter.take_out().first_use, None);

        // What is put back joins what was counted meanwhile.
        meter.count(UsageOutcome::Failed, at(8));
        for hour in taken.hours {
            meter.put_back(hour);
        }
        let mut again = meter.take_out().hours;
        again.sort_unstable_by_key(|one| one.hour);
        let told = again.iter().map(|one| (one.hour, one.counts.total()));
        assert_eq!(told.collect::<Vec<_>>(), [(7, 2), (8, 4), (9, 1)]);
    }
}
