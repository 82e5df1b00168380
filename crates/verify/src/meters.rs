//! All meters, by key, and those with something to write.

use std::cmp::Reverse;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, Quota, RateLimit, Taken};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageOutcome;
use claviger_store::usage::{Flush, SHARDS, UsageHour, shard_of};
use hashbrown::HashTable;

use crate::Activity;
use crate::meter::{Bounds, CountedHour, Crossing, Meter, SharedMeter};

type ApiKeyId = Id<id::ApiKey>;

/// Meters of a flush that are looked at before others have their turn: checks wait for it on the same thread,
/// and a hundred microseconds are not felt.
const IN_ONE_GO: usize = 250;

/// All meters, found again when a key is read anew.
#[derive(Debug)]
pub(crate) struct Meters {
    /// By the shard of the key: what a flush takes out of one is one piece of the journal.
    shards: Vec<Shard>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    known: Mutex<HashTable<SharedMeter>>,
    unwritten: Mutex<Vec<SharedMeter>>,
}

/// What a flush took out of the meters, to be written or put back. It holds the meters, so that a
/// sweep meanwhile does not let go of them.
#[derive(Debug, Default)]
pub(crate) struct TakenOut {
    hours: Vec<(SharedMeter, CountedHour)>,
    allowances: Vec<(SharedMeter, Allowance)>,
    /// Keys that were used for the first time, and when.
    pub(crate) first_uses: Vec<(SharedMeter, Timestamp)>,
    /// Keys that came over their limit, or to the end of their quota.
    pub(crate) crossings: Vec<(SharedMeter, Crossing)>,
}

/// Usage that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// How many hours of keys.
    pub(crate) hours: usize,
    /// How many checks in them.
    pub(crate) checks: u64,
}

impl TakenOut {
    /// The rows that it is, as they are at `now`. Some at a time: others run in between.
    pub(crate) async fn rows(&self, now: Timestamp) -> Flush<'_> {
        let mut flush = Flush::at(now);
        for some in self.hours.chunks(IN_ONE_GO) {
            let hours = some.iter().filter_map(|(meter, counted)| {
                Some(UsageHour {
                    key: meter.id(),
                    project: &meter.place()?.project_id,
                    hour: counted.hour.into(),
                    counts: counted.counts,
                    last_used_at: counted.last_used_at,
                })
            });
            flush.hours.extend(hours);
            tokio::task::yield_now().await;
        }
        for some in self.allowances.chunks(IN_ONE_GO) {
            let allowances = some.iter();
            let allowances = allowances.map(|(meter, allowance)| (meter.id(), *allowance, now));
            flush.allowances.extend(allowances);
            tokio::task::yield_now().await;
        }
        flush
    }

    /// Lets go of the meters. Some at a time: each is somewhere else in memory.
    pub(crate) async fn let_go(mut self) {
        while !(self.hours.is_empty() && self.allowances.is_empty()) {
            self.hours
                .truncate(self.hours.len().saturating_sub(IN_ONE_GO));
            self.allowances
                .truncate(self.allowances.len().saturating_sub(IN_ONE_GO));
            tokio::task::yield_now().await;
        }
    }

    /// Drops the oldest hours when there are more than `most`, and a tenth of the rest with them, so
    /// that this does not happen each second.
    pub(crate) fn drop_oldest(&mut self, most: usize) -> Option<Dropped> {
        if self.hours.len() <= most {
            return None;
        }
        self.hours
            .sort_unstable_by_key(|(_, counted)| Reverse(counted.hour));
        let dropped = self.hours.split_off(most - most / 10);
        Some(Dropped {
            hours: dropped.len(),
            checks: dropped.iter().map(|(_, one)| one.counts.total()).sum(),
        })
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Meters {
    /// The meter of a key or a lineage, if there is one.
    pub(crate) fn known(&self, id: &ApiKeyId) -> Option<SharedMeter> {
        let hash = self.hasher.hash_one(id);
        let known = lock(&self.shard(id).known);
        known.find(hash, |one| one.id() == id).cloned()
    }

    /// The meter of a key or a lineage; made where there is none.
    pub(crate) fn of(&self, id: &ApiKeyId, make: impl FnOnce() -> Meter) -> SharedMeter {
        let hash = self.hasher.hash_one(id);
        let mut known = lock(&self.shard(id).known);
        let rehash = |one: &SharedMeter| self.hasher.hash_one(one.id());
        let entry = known.entry(hash, |one| one.id() == id, rehash);
        entry
            .or_insert_with(|| SharedMeter::new(make()))
            .get()
            .clone()
    }

    pub(crate) fn activity(&self, id: &ApiKeyId) -> Activity {
        self.known(id)
            .map(|meter| meter.activity())
            .unwrap_or_default()
    }

    pub(crate) fn count(
        &self,
        meter: &SharedMeter,
        outcome: UsageOutcome,
        crossing: Crossing,
        now: Timestamp,
    ) {
        if meter.count(outcome, crossing, now) {
            self.list(meter);
        }
    }

    pub(crate) fn take(
        &self,
        meter: &SharedMeter,
        bounds: Bounds,
        cost: u64,
        now: Timestamp,
    ) -> Taken {
        let (taken, must_list) = meter.take(bounds, cost, now);
        if must_list {
            self.list(meter);
        }
        taken
    }

    /// Applies a limit and a quota that were changed to what runs, before anything is taken.
    pub(crate) fn apply(
        &self,
        meter: &SharedMeter,
        limit: Option<RateLimit>,
        quota: Option<Quota>,
        now: Timestamp,
    ) {
        if meter.apply(limit, quota, now) {
            self.list(meter);
        }
    }

    /// Takes out all that is not written yet. A shard at a time: others run in between.
    pub(crate) async fn take_out(&self) -> TakenOut {
        let mut taken = TakenOut::default();
        for shard in &self.shards {
            for meter in std::mem::take(&mut *lock(&shard.unwritten)) {
                let unwritten = meter.take_out();
                let hours = unwritten.hours.as_slice().iter();
                taken.hours.extend(hours.map(|hour| (meter.clone(), *hour)));
                let first_use = unwritten.first_use.map(|at| (meter.clone(), at));
                taken.first_uses.extend(first_use);
                let limited = unwritten.is_rate_limited.then_some(Crossing::RateLimited);
                let until = unwritten.quota_reached_until;
                let reached = until.map(|until| Crossing::QuotaReached { until });
                let crossings = limited.into_iter().chain(reached);
                taken
                    .crossings
                    .extend(crossings.map(|crossing| (meter.clone(), crossing)));
                let allowance = unwritten.allowance;
                taken
                    .allowances
                    .extend(allowance.map(|allowance| (meter, allowance)));
            }
            tokio::task::yield_now().await;
        }
        taken
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, taken: &TakenOut) {
        for (meter, hour) in &taken.hours {
            if meter.put_back(*hour) {
                self.list(meter);
            }
        }
        for (meter, _) in &taken.allowances {
            if meter.put_back_allowance() {
                self.list(meter);
            }
        }
        self.put_back_first_uses(&taken.first_uses);
        self.put_back_crossings(&taken.crossings);
    }

    /// Puts back what nobody could be told of.
    pub(crate) fn put_back_crossings(&self, crossings: &[(SharedMeter, Crossing)]) {
        for (meter, crossing) in crossings {
            if meter.put_back_crossing(*crossing) {
                self.list(meter);
            }
        }
    }

    /// Puts back first uses that could not be written.
    pub(crate) fn put_back_first_uses(&self, uses: &[(SharedMeter, Timestamp)]) {
        for (meter, _) in uses {
            if meter.put_back_first_use() {
                self.list(meter);
            }
        }
    }

    /// How many have something to write.
    pub(crate) fn unwritten(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| lock(&shard.unwritten).len()).sum()
    }

    /// Lets go of meters that no key in memory uses and that count nothing any more. A shard at a
    /// time: others run in between.
    pub(crate) async fn sweep(&self, now: Timestamp) {
        for shard in &self.shards {
            lock(&shard.known)
                .retain(|meter| !SharedMeter::is_unique(meter) || meter.is_needed(now));
            tokio::task::yield_now().await;
        }
    }

    /// The meter says once that it must be listed, until it is taken out: nothing is left behind.
    fn list(&self, meter: &SharedMeter) {
        lock(&self.shard(meter.id()).unwritten).push(meter.clone());
    }

    fn shard(&self, id: &ApiKeyId) -> &Shard {
        &self.shards[usize::from(shard_of(id))]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use claviger_domain::key_string::Environment;
    use claviger_domain::rights::AccountRef;

    use super::*;
    use crate::place::Place;

    #[tokio::test]
    async fn of_too_much_that_waits_the_oldest_is_dropped() {
        let meters = Meters::default();
        let place = Arc::new(Place {
            project_id: Id::from_suffix("project"),
            account: AccountRef::root(Id::from_suffix("account")),
            environment: Environment::Live,
        });
        let [one, other] = ["one", "other"].map(|name| {
            let key = Id::from_suffix(name);
            meters.of(&key.clone(), || {
                Meter::new(key, Some(Arc::clone(&place)), None)
            })
        });
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        for hour in 1..11 {
            meters.count(&one, UsageOutcome::Successful, Crossing::None, at(hour));
            meters.count(&other, UsageOutcome::Failed, Crossing::None, at(hour));
            meters.count(&other, UsageOutcome::Successful, Crossing::None, at(hour));
        }
        let mut taken = meters.take_out().await;
        assert_eq!(taken.drop_oldest(20), None);
        meters.put_back(&taken);
        // Ten of eleven stay, and ten are an even number: five hours of each key.
        let mut taken = meters.take_out().await;
        let dropped = Dropped {
            hours: 10,
            checks: 15,
        };
        assert_eq!(taken.drop_oldest(11), Some(dropped));
        meters.put_back(&taken);
        meters.count(&one, UsageOutcome::Successful, Crossing::None, at(10));

        let kept = meters.take_out().await;
        let hours = kept.hours.iter().map(|(_, counted)| counted.hour);
        assert_eq!(hours.min(), Some(6));
        let checks = kept.hours.iter().map(|(_, counted)| counted.counts.total());
        assert_eq!(checks.sum::<u64>(), 16);
        // When a key was used first does not take a row an hour, and stays.
        assert_eq!(kept.first_uses.len(), 2);
        assert_eq!(meters.unwritten(), 0);
    }
}
