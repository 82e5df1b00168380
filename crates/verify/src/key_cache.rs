//! The keys in memory, by what is presented: what it holds is true, or it does not hold it.
//!
//! The same promises as [`ToldCache`](crate::ToldCache), for millions of keys within so many bytes:
//! tables of places, and rows that lie one beside the other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use hashbrown::HashTable;
use quick_cache::sync::Cache;

use crate::KnownKey;
use crate::counters::CacheSize;
use crate::slots::Slots;

/// Where a presented key is looked for: a family of accounts, and the key's digest.
pub(crate) type PresentedAs = (Id<id::Account>, KeyDigest);

/// Into how many parts the keys are divided; a change to one holds up loads of 1 in 256 others.
const SHARDS: usize = 256;

/// Keys by digest, and separately what is known to be absent, both bounded.
#[derive(Debug)]
pub(crate) struct KeyCache {
    shards: Box<[Mutex<Shard>]>,
    /// How many bytes a shard may hold.
    shard_bytes: usize,
    absent: Cache<PresentedAs, ()>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Places among the slots, by digest.
    places: HashTable<u32>,
    slots: Slots<Slot>,
    bytes: usize,
    /// The slot that is looked at next when there are too many bytes.
    hand: usize,
    /// How often something was forgotten here. A load that began before the last time may have read
    /// the old row, and is not kept.
    generation: u64,
}

#[derive(Debug)]
struct Slot {
    /// Half of the digest. Digests are made under a secret, so that nobody can look for two that
    /// share a half, and by chance none do.
    digest: [u64; 2],
    key: KnownKey,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum Known {
    Present(KnownKey),
    Absent,
}

impl Known {
    /// The key, if there is one.
    pub(crate) fn key(self) -> Option<KnownKey> {
        match self {
            Self::Present(key) => Some(key),
            Self::Absent => None,
        }
    }
}

/// A digest as slots have it.
fn half(digest: &KeyDigest) -> [u64; 2] {
    let word = |from: usize| {
        let bytes = digest.as_bytes().iter().skip(from).take(8);
        bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    [word(0), word(8)]
}

impl Slot {
    fn is(&self, root: &Id<id::Account>, digest: [u64; 2]) -> bool {
        self.digest == digest && self.key.account().root == *root
    }
}

impl KeyCache {
    /// Makes a cache of keys of so many bytes, and of that many known absences.
    pub(crate) fn new(bytes: usize, absent: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_bytes: bytes / SHARDS,
            absent: Cache::new(absent),
        }
    }

    /// What is known of a key; `None` when it has to be looked up.
    pub(crate) fn known(&self, presented: &PresentedAs) -> Option<Known> {
        let found = self.shard(&presented.1).find(presented);
        if let Some(key) = found {
            key.touch();
            return Some(Known::Present(key));
        }
        self.absent.get(presented).map(|()| Known::Absent)
    }

    /// The key, read by `load` when it is not known, or when what is known is not to be believed.
    pub(crate) async fn get_or_load<E>(
        &self,
        presented: PresentedAs,
        is_believed: bool,
        load: impl AsyncFnOnce(&PresentedAs) -> Result<Option<KnownKey>, E>,
    ) -> Result<Option<KnownKey>, E> {
        if is_believed && let Some(known) = self.known(&presented) {
            return Ok(known.key());
        }
        let before = self.shard(&presented.1).generation;
        // Boxed: what asks the database is large, and most callers do not come as far as this.
        let loaded = Box::pin(load(&presented)).await?;
        // Held while inserting: a change between the look and the insert would go unnoticed.
        let mut shard = self.shard(&presented.1);
        if shard.generation == before {
            if let Some(key) = &loaded {
                self.absent.remove(&presented);
                shard.insert(&presented, key.clone(), self.shard_bytes);
            } else {
                shard.remove(&presented);
                self.absent.insert(presented, ());
            }
        }
        Ok(loaded)
    }

    /// Drops what is known of a key: called after the change is committed, before it is answered.
    pub(crate) fn forget(&self, presented: &PresentedAs) {
        let mut shard = self.shard(&presented.1);
        shard.generation += 1;
        shard.remove(presented);
        self.absent.remove(presented);
    }

    /// Drops the keys that `is_gone` tells, for more than are worth naming. It looks at all of them, a
    /// shard at a time: others run in between. What is known to be absent stays: it is not there now
    /// either.
    pub(crate) async fn forget_where(&self, is_gone: impl Fn(&KnownKey) -> bool) {
        for shard in &self.shards {
            lock(shard).forget_where(&is_gone);
            tokio::task::yield_now().await;
        }
    }

    /// Sees to it that no load under way is kept.
    pub(crate) fn forget_loads(&self) {
        for shard in &self.shards {
            lock(shard).generation += 1;
        }
    }

    /// Drops what is known to be absent among those that `may_be_there` tells, where nobody can say
    /// which of them is not any more.
    pub(crate) fn forget_absences(&self, may_be_there: impl Fn(&PresentedAs) -> bool) {
        self.forget_loads();
        self.absent.retain(|presented, ()| !may_be_there(presented));
    }

    /// How much is held.
    pub(crate) fn size(&self) -> CacheSize {
        CacheSize {
            present: self.shards.iter().map(|one| lock(one).slots.len()).sum(),
            absent: self.absent.len(),
        }
    }

    fn shard(&self, digest: &KeyDigest) -> MutexGuard<'_, Shard> {
        // A byte that the hash in the tables does not use.
        lock(&self.shards[usize::from(digest.as_bytes()[31])])
    }
}

impl Shard {
    fn find(&self, (root, digest): &PresentedAs) -> Option<KnownKey> {
        let digest = half(digest);
        let is_it = |place: &u32| self.slots[*place as usize].is(root, digest);
        let place = self.places.find(digest[0], is_it)?;
        Some(self.slots[*place as usize].key.clone())
    }

    fn insert(&mut self, presented: &PresentedAs, key: KnownKey, most: usize) {
        // Another load of the same key may have been quicker.
        self.remove(presented);
        self.bytes += key.bytes();
        let digest = half(&presented.1);
        let place = u32::try_from(self.slots.len()).expect("fewer keys than bytes");
        self.slots.push(Slot { digest, key });
        let slots = &self.slots;
        self.places
            .insert_unique(digest[0], place, |place| slots[*place as usize].digest[0]);
        self.let_go(most, place);
    }

    /// Lets keys go that were not in use since the last look, until there are few enough bytes; the
    /// newest stays.
    fn let_go(&mut self, most: usize, newest: u32) {
        let mut newest = newest as usize;
        while self.bytes > most && self.slots.len() > 1 {
            self.hand = (self.hand + 1) % self.slots.len();
            if self.hand == newest || self.slots[self.hand].key.was_in_use() {
                continue;
            }
            let moved = self.slots.len() - 1;
            self.remove_at(self.hand);
            if newest == moved {
                newest = self.hand;
            }
        }
    }

    fn forget_where(&mut self, is_gone: impl Fn(&KnownKey) -> bool) {
        self.generation += 1;
        let mut place = 0;
        while let Some(slot) = self.slots.get(place) {
            if is_gone(&slot.key) {
                self.remove_at(place);
            } else {
                place += 1;
            }
        }
    }

    fn remove(&mut self, (root, digest): &PresentedAs) {
        let digest = half(digest);
        let slots = &self.slots;
        let is_it = |place: &u32| slots[*place as usize].is(root, digest);
        if let Some(place) = self.places.find(digest[0], is_it) {
            self.remove_at(*place as usize);
        }
    }

    /// Removes a slot; the last one takes its place.
    fn remove_at(&mut self, place: usize) {
        let hash = self.slots[place].digest[0];
        if let Ok(entry) = self.places.find_entry(hash, |one| *one as usize == place) {
            entry.remove();
        }
        let last = self.slots.len() - 1;
        if place != last {
            let hash = self.slots[last].digest[0];
            let found = self.places.find_mut(hash, |one| *one as usize == last);
            if let (Some(one), Ok(place)) = (found, u32::try_from(place)) {
                *one = place;
            }
        }
        if let Some(slot) = self.slots.swap_remove(place) {
            self.bytes -= slot.key.bytes();
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use claviger_domain::key_string::{Environment, Pepper};
    use claviger_domain::rights::AccountRef;
    use claviger_domain::time::Timestamp;
    use claviger_store::Base;
    use claviger_store::api_keys::{ApiKey, Status};
    use proptest::prelude::*;

    use super::*;
    use crate::meter::{Meter, SharedMeter};
    use crate::place::Places;

    const PLENTY: usize = 1 << 30;

    fn presented(family: &str, number: u32) -> PresentedAs {
        let digest = Pepper::new(&[7; 32]).digest(&number.to_string());
        (Id::from_suffix(family), digest)
    }

    /// A key whose name says what was read.
    fn key(presented: &PresentedAs, name: &str) -> KnownKey {
        let account = AccountRef::root(presented.0.clone());
        let id = Id::from_suffix(name);
        let at = Timestamp::from_micros(0);
        let row = ApiKey {
            id: id.clone(),
            project_id: Id::from_suffix("project"),
            account,
            environment: Environment::Live,
            name: name.to_owned(),
            is_custom: false,
            metadata: "{}".to_owned(),
            custom_account_id: None,
            custom_user_id: Some("user".to_owned()),
            rate_limit: None,
            quota: None,
            expires_at: None,
            client_ip: None,
            client_user_agent: None,
            allowed_domains: Vec::new(),
            allowed_ips: Vec::new(),
            scopes: Vec::new(),
            status: Status::Active,
            reason: None,
            revoked_at: None,
            revoked_by: None,
            stops_at: None,
            rotated_from: None,
            rotated_to: None,
            lineage: id.clone(),
            first_used_at: None,
            last_used_at: None,
            base: Base {
                created_by: None,
                created_by_type: None,
                created_in: "api".to_owned(),
                last_changed_by: None,
                last_changed_by_type: None,
                created_at: at,
                updated_at: at,
            },
        };
        let place = Places::default().of(&row);
        let meter = SharedMeter::new(Meter::new(id, Some(Arc::clone(&place)), None));
        KnownKey::pack(row, place, meter, None)
    }

    fn name(found: Option<KnownKey>) -> Option<String> {
        found.map(|key| key.view().name.to_owned())
    }

    async fn read(cache: &KeyCache, one: &PresentedAs, row: Option<&str>) -> Option<String> {
        let load = async |_: &PresentedAs| Ok::<_, Infallible>(row.map(|name| key(one, name)));
        name(cache.get_or_load(one.clone(), true, load).await.unwrap())
    }

    #[tokio::test]
    async fn a_read_in_flight_does_not_put_the_old_row_back() {
        let cache = KeyCache::new(PLENTY, 10);
        let one = presented("mine", 1);
        for (old, new) in [
            (Some("old"), Some("new")),
            (None, Some("made")),
            (Some("gone"), None),
        ] {
            cache.forget(&one);
            let during = cache
                .get_or_load(one.clone(), true, async |_| {
                    // The row changes after it was read and before it is kept.
                    cache.forget(&one);
                    Ok::<_, Infallible>(old.map(|name| key(&one, name)))
                })
                .await
                .unwrap();
            assert_eq!(name(during).as_deref(), old);
            assert_eq!(read(&cache, &one, new).await.as_deref(), new);
            // And that one is kept.
            assert_eq!(read(&cache, &one, Some("not asked")).await.as_deref(), new);
        }
    }

    #[tokio::test]
    async fn families_that_have_the_same_string_are_kept_apart() {
        let cache = KeyCache::new(PLENTY, 10);
        for family in ["mine", "theirs"] {
            read(&cache, &presented(family, 1), Some(family)).await;
        }
        let mine = Id::from_suffix("mine");
        cache.forget_where(|key| key.account().root == mine).await;
        for (family, expected) in [("mine", "read anew"), ("theirs", "theirs")] {
            let found = read(&cache, &presented(family, 1), Some("read anew")).await;
            assert_eq!(found.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_pushes_no_real_one_out() {
        let cache = KeyCache::new(PLENTY, 10);
        read(&cache, &presented("mine", 0), Some("real")).await;
        for unknown in 1..10_000 {
            read(&cache, &presented("mine", unknown), None).await;
        }
        let kept = read(&cache, &presented("mine", 0), None).await;
        assert_eq!(kept.as_deref(), Some("real"));
        assert!(cache.size().absent <= 20);
    }

    #[tokio::test]
    async fn it_stays_within_its_bytes_and_keeps_what_is_asked_for() {
        let each = key(&presented("mine", 0), "name").bytes();
        // Eight keys in each shard.
        let cache = KeyCache::new(8 * each * SHARDS, 10);
        let often = presented("mine", 0);
        for number in 0..20_000 {
            read(&cache, &presented("mine", number), Some("name")).await;
            assert_eq!(
                read(&cache, &often, Some("read anew")).await.as_deref(),
                Some("name")
            );
        }
        let present = cache.size().present;
        assert!((7 * SHARDS..=8 * SHARDS).contains(&present), "{present}");
    }

    proptest! {
        /// Whatever is read and forgotten in whatever order, it holds what was read last and not
        /// forgotten since, or nothing.
        #[test]
        fn it_holds_what_was_read_last(steps in prop::collection::vec((0u32..12, 0u8..4), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let cache = KeyCache::new(PLENTY, 100);
                let mut model = std::collections::HashMap::new();
                for (step, (number, what)) in steps.into_iter().enumerate() {
                    let one = presented("mine", number);
                    let row = format!("row{step}");
                    match what {
                        0 => {
                            cache.forget(&one);
                            model.remove(&number);
                        }
                        1 => {
                            let id = Id::from_suffix(&row);
                            cache.forget_where(|key| *key.id() == id).await;
                        }
                        _ => {
                            let found = read(&cache, &one, Some(&row)).await;
                            let expected = model.entry(number).or_insert(row);
                            assert_eq!(found.as_ref(), Some(&*expected));
                        }
                    }
                    assert_eq!(cache.size().present, model.len());
                }
            });
        }
    }
}
