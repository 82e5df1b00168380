//! What is counted in memory: activity by key, limits by lineage, and which of them are unwritten.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, Quota, RateLimit, Taken, Window};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::{UsageCounts, UsageOutcome};
use claviger_store::usage::{Flush, UsageMinute};

type ApiKeyId = Id<id::ApiKey>;

/// Windows no longer than this start anew after a restart, so they are not written.
const KEPT_WINDOW_SECONDS: u32 = 60;

/// When a key was used, as far as this process knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Its first use, where it was here.
    pub first_used_at: Option<Timestamp>,
    /// Its last use here.
    pub last_used_at: Option<Timestamp>,
}

/// The counters of one key.
#[derive(Debug)]
pub(crate) struct KeyMeter {
    key: ApiKeyId,
    project: Id<id::Project>,
    is_unwritten: AtomicBool,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    activity: Activity,
    /// Whether the row, or a flush, already has a first use.
    has_first_use: bool,
    /// The first use that is not written yet.
    first_use: Option<Timestamp>,
    /// The last use that is not written yet.
    last_use: Option<Timestamp>,
    minutes: Vec<(i64, UsageCounts)>,
}

impl Counted {
    /// The counts of a minute. Each is there once, also after a failed flush and when the clock
    /// goes back: one statement cannot add to a row twice.
    fn in_minute(&mut self, minute: i64) -> &mut UsageCounts {
        let known = self.minutes.iter().rposition(|(one, _)| *one == minute);
        let place = known.unwrap_or_else(|| {
            self.minutes.push((minute, UsageCounts::default()));
            self.minutes.len() - 1
        });
        &mut self.minutes[place].1
    }
}

impl KeyMeter {
    pub(crate) fn new(key: ApiKeyId, project: Id<id::Project>, first_used: bool) -> Self {
        let counted = Counted {
            has_first_use: first_used,
            ..Counted::default()
        };
        Self {
            key,
            project,
            is_unwritten: AtomicBool::new(false),
            counted: Mutex::new(counted),
        }
    }

    pub(crate) fn activity(&self) -> Activity {
        self.lock().activity
    }

    fn count(&self, outcome: UsageOutcome, now: Timestamp) {
        let mut counted = self.lock();
        counted.in_minute(now.as_minute()).count(outcome);
        if outcome == UsageOutcome::Successful {
            if !counted.has_first_use {
                counted.has_first_use = true;
                counted.first_use = Some(now);
                counted.activity.first_used_at = Some(now);
            }
            counted.last_use = Some(now);
            counted.activity.last_used_at = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// The running limit and quota of one lineage. A mutex that is held for a few dozen nanoseconds:
/// both are taken, or neither, which one compare-and-swap over two counters could not do.
#[derive(Debug)]
pub(crate) struct LimitMeter {
    lineage: ApiKeyId,
    is_unwritten: AtomicBool,
    /// Whether it was loaded or changed since the last sweep, which then leaves it.
    is_fresh: AtomicBool,
    running: Mutex<Allowance>,
}

impl LimitMeter {
    pub(crate) fn new(lineage: ApiKeyId, allowance: Allowance) -> Self {
        Self {
            lineage,
            is_unwritten: AtomicBool::new(false),
            is_fresh: AtomicBool::new(true),
            running: Mutex::new(allowance),
        }
    }

    /// What can be taken now, without taking it.
    pub(crate) fn look(&self, bounds: Bounds, cost: u64, now: Timestamp) -> Taken {
        let mut copy = *self.lock();
        bounds.take(&mut copy, cost, now)
    }

    /// What is written of it: a short window is not.
    fn kept(&self) -> Allowance {
        let (window, quota) = self.lock().state();
        let window = window.filter(|window| window.is_longer_than(KEPT_WINDOW_SECONDS));
        Allowance::resume(window, quota)
    }

    fn lock(&self) -> MutexGuard<'_, Allowance> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All meters, found again when a key is read anew, and those with something to write.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    keys: Registry<ApiKeyId, KeyMeter>,
    limits: Registry<ApiKeyId, LimitMeter>,
    unwritten_keys: Mutex<Vec<Arc<KeyMeter>>>,
    unwritten_limits: Mutex<Vec<Arc<LimitMeter>>>,
}

/// What a flush took out of the meters, to be written or put back. It holds the meters, so that a
/// sweep meanwhile does not let go of them.
#[derive(Debug, Default)]
pub(crate) struct TakenOut {
    pub(crate) rows: Flush,
    pub(crate) first_uses: Vec<(ApiKeyId, Timestamp)>,
    keys: HashMap<ApiKeyId, Arc<KeyMeter>>,
    limits: Vec<Arc<LimitMeter>>,
}

/// Usage that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// How many minutes of keys.
    pub(crate) minutes: usize,
    /// How many checks in them.
    pub(crate) checks: u64,
}

impl TakenOut {
    /// Drops the oldest minutes when there are more than `most`, and a tenth of the rest with them, so
    /// that this does not happen each second.
    pub(crate) fn drop_oldest(&mut self, most: usize) -> Option<Dropped> {
        let minutes = &mut self.rows.minutes;
        if minutes.len() <= most {
            return None;
        }
        minutes.sort_unstable_by_key(|row| Reverse(row.minute));
        let dropped = minutes.split_off(most - most / 10);
        Some(Dropped {
            minutes: dropped.len(),
            checks: dropped.iter().map(|row| row.counts.total()).sum(),
        })
    }
}

impl Meters {
    pub(crate) fn key(&self, id: &ApiKeyId, make: impl FnOnce() -> KeyMeter) -> Arc<KeyMeter> {
        self.keys.find_or_insert(id, make)
    }

    pub(crate) fn limit(
        &self,
        id: &ApiKeyId,
        make: impl FnOnce() -> LimitMeter,
    ) -> Arc<LimitMeter> {
        self.limits.find_or_insert(id, make)
    }

    pub(crate) fn known_limit(&self, lineage: &ApiKeyId) -> Option<Arc<LimitMeter>> {
        self.limits.find(lineage)
    }

    pub(crate) fn activity(&self, id: &ApiKeyId) -> Activity {
        self.keys
            .find(id)
            .map(|meter| meter.activity())
            .unwrap_or_default()
    }

    pub(crate) fn count(&self, meter: &Arc<KeyMeter>, outcome: UsageOutcome, now: Timestamp) {
        meter.count(outcome, now);
        self.note_unwritten(meter);
    }

    pub(crate) fn take(
        &self,
        meter: &Arc<LimitMeter>,
        bounds: Bounds,
        cost: u64,
        now: Timestamp,
    ) -> Taken {
        let mut running = meter.lock();
        let taken = bounds.take(&mut running, cost, now);
        let is_long = |window: Window| window.is_longer_than(KEPT_WINDOW_SECONDS);
        let (window, _) = running.state();
        drop(running);
        if bounds.quota.is_some() || (bounds.limit.is_some() && window.is_some_and(is_long)) {
            self.note_unwritten_limit(meter);
        }
        taken
    }

    /// Applies a limit and a quota that were changed to what runs, before anything is taken.
    pub(crate) fn apply(
        &self,
        meter: &Arc<LimitMeter>,
        limit: Option<RateLimit>,
        quota: Option<Quota>,
        now: Timestamp,
    ) {
        meter.is_fresh.store(true, Ordering::Release);
        let mut running = meter.lock();
        let before = *running;
        running.take(limit, quota, 0, now);
        let is_changed = *running != before;
        drop(running);
        // Also where a window is short now: as it was written before, it would be taken for long.
        if is_changed {
            self.note_unwritten_limit(meter);
        }
    }

    /// Takes out all that is not written yet.
    pub(crate) fn take_out(&self) -> TakenOut {
        let mut taken = TakenOut::default();
        for meter in std::mem::take(&mut *lock(&self.unwritten_keys)) {
            meter.is_unwritten.store(false, Ordering::Release);
            let mut counted = meter.lock();
            let minutes = std::mem::take(&mut counted.minutes);
            let rows = &mut taken.rows;
            rows.minutes
                .extend(minutes.into_iter().map(|(minute, counts)| UsageMinute {
                    key: meter.key.clone(),
                    project: meter.project.clone(),
                    minute,
                    counts,
                }));
            let named = |at| (meter.key.clone(), at);
            rows.last_uses.extend(counted.last_use.take().map(named));
            taken.first_uses.extend(counted.first_use.take().map(named));
            drop(counted);
            taken.keys.insert(meter.key.clone(), meter);
        }
        for meter in std::mem::take(&mut *lock(&self.unwritten_limits)) {
            meter.is_unwritten.store(false, Ordering::Release);
            let allowance = meter.kept();
            let rows = &mut taken.rows;
            rows.allowances.push((meter.lineage.clone(), allowance));
            taken.limits.push(meter);
        }
        taken
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, taken: &TakenOut) {
        for minute in &taken.rows.minutes {
            if let Some(meter) = taken.keys.get(&minute.key) {
                meter.lock().in_minute(minute.minute).add(minute.counts);
            }
        }
        for (key, at) in &taken.rows.last_uses {
            if let Some(meter) = taken.keys.get(key) {
                let mut counted = meter.lock();
                counted.last_use = counted.last_use.max(Some(*at));
            }
        }
        for meter in &taken.limits {
            self.note_unwritten_limit(meter);
        }
        self.put_back_first_uses(taken);
    }

    /// Puts back first uses that could not be written.
    pub(crate) fn put_back_first_uses(&self, taken: &TakenOut) {
        for (key, at) in &taken.first_uses {
            if let Some(meter) = taken.keys.get(key) {
                meter.lock().first_use = Some(*at);
            }
        }
        for meter in taken.keys.values() {
            self.note_unwritten(meter);
        }
    }

    /// How many have something to write.
    pub(crate) fn unwritten(&self) -> usize {
        lock(&self.unwritten_keys).len() + lock(&self.unwritten_limits).len()
    }

    /// Lets go of meters that no cached key uses and that count nothing any more.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.keys
            .retain(|meter| meter.is_unwritten.load(Ordering::Acquire));
        self.limits.retain(|meter| {
            meter.is_fresh.swap(false, Ordering::AcqRel)
                || meter.is_unwritten.load(Ordering::Acquire)
                || !meter.lock().is_over(now)
        });
    }

    /// The flag is set after counting and cleared before reading: nothing is left behind.
    fn note_unwritten(&self, meter: &Arc<KeyMeter>) {
        if !meter.is_unwritten.swap(true, Ordering::AcqRel) {
            lock(&self.unwritten_keys).push(Arc::clone(meter));
        }
    }

    fn note_unwritten_limit(&self, meter: &Arc<LimitMeter>) {
        if !meter.is_unwritten.swap(true, Ordering::AcqRel) {
            lock(&self.unwritten_limits).push(Arc::clone(meter));
        }
    }
}

/// Shared values by key, so that whoever reads a key anew goes on with the same one.
#[derive(Debug)]
pub(crate) struct Registry<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for Registry<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq + Clone, V> Registry<K, V> {
    pub(crate) fn find(&self, key: &K) -> Option<Arc<V>> {
        lock(&self.0).get(key).cloned()
    }

    pub(crate) fn find_or_insert(&self, key: &K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut map = lock(&self.0);
        Arc::clone(map.entry(key.clone()).or_insert_with(|| Arc::new(make())))
    }

    /// Keeps what is in use elsewhere, and what `keep` says.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        lock(&self.0).retain(|_, value| Arc::strong_count(value) > 1 || keep(value));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_much_that_waits_the_oldest_is_dropped() {
        let meters = Meters::default();
        let [one, other] = ["one", "other"].map(|name| {
            let key = Id::from_suffix(name);
            meters.key(&key.clone(), || {
                KeyMeter::new(key, Id::from_suffix("project"), false)
            })
        });
        let at = |minute: i64| Timestamp::from_micros(minute * 60_000_000);
        for minute in 0..10 {
            meters.count(&one, UsageOutcome::Successful, at(minute));
            meters.count(&other, UsageOutcome::Failed, at(minute));
            meters.count(&other, UsageOutcome::Successful, at(minute));
        }
        let mut taken = meters.take_out();
        assert_eq!(taken.drop_oldest(20), None);
        meters.put_back(&taken);
        // Ten of eleven stay, and ten are an even number: five minutes of each key.
        let mut taken = meters.take_out();
        let dropped = Dropped {
            minutes: 10,
            checks: 15,
        };
        assert_eq!(taken.drop_oldest(11), Some(dropped));
        meters.put_back(&taken);
        meters.count(&one, UsageOutcome::Successful, at(9));

        let kept = meters.take_out();
        let minutes = kept.rows.minutes.iter().map(|row| row.minute);
        assert_eq!(minutes.min(), Some(5));
        let checks = kept.rows.minutes.iter().map(|row| row.counts.total());
        assert_eq!(checks.sum::<u64>(), 16);
        // When a key was used first and last does not take a row a minute, and stays.
        assert_eq!(kept.first_uses.len(), 2);
        assert_eq!(kept.rows.last_uses.len(), 2);
    }
}
