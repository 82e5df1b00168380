//! A cache that is told of changes: what it holds is true, or it does not hold it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::counters::CacheSize;

/// Stripes by which changes are told; a change to one key holds up loads of 1 in 256 others.
const STRIPES: usize = 256;

/// Values by key, and separately the keys that are known to be absent, both bounded.
///
/// A flood of unknown keys fills the second and cannot push real ones out of the first.
pub struct ToldCache<K, V> {
    present: Cache<K, V>,
    absent: Cache<K, ()>,
    /// How often something in the stripe was forgotten. A load that began before the last time
    /// may have read the old row, and is not kept.
    generations: Box<[Mutex<u64>]>,
    hasher: RandomState,
}

impl<K, V> std::fmt::Debug for ToldCache<K, V> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[told cache]")
    }
}

impl<K: Hash + Eq + Clone, V: Clone> ToldCache<K, V> {
    /// Makes a cache of that many values and that many known absences.
    pub fn new(present: usize, absent: usize) -> Self {
        Self {
            present: Cache::new(present),
            absent: Cache::new(absent),
            generations: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// What is known of `key`: its value, or that there is none; `None` when neither is.
    pub fn known(&self, key: &K) -> Option<Option<V>> {
        if let Some(value) = self.present.get(key) {
            return Some(Some(value));
        }
        self.absent.get(key).map(|()| None)
    }

    /// The value of `key`, read by `load` when it is not known, or when what is known is not to be
    /// believed.
    pub async fn get_or_load<E>(
        &self,
        key: K,
        is_believed: bool,
        load: impl AsyncFnOnce(&K) -> Result<Option<V>, E>,
    ) -> Result<Option<V>, E> {
        if is_believed && let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let before = *self
            .generation(&key)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Boxed: what asks the database is large, and most callers do not come as far as this.
        let loaded = Box::pin(load(&key)).await?;
        // Held while inserting: a change between the look and the insert would go unnoticed.
        let now = self
            .generation(&key)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *now == before {
            if let Some(value) = &loaded {
                self.absent.remove(&key);
                self.present.insert(key, value.clone());
            } else {
                self.present.remove(&key);
                self.absent.insert(key, ());
            }
        }
        Ok(loaded)
    }

    /// Drops what is known of `key`: called after the change is committed, before it is answered.
    pub fn forget(&self, key: &K) {
        let mut generation = self
            .generation(key)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.present.remove(key);
        self.absent.remove(key);
    }

    /// Drops the values that `is_gone` tells, for more keys than are worth naming. It looks at all
    /// of them. What is known to be absent stays: it is not there now either.
    pub fn forget_where(&self, is_gone: impl Fn(&K, &V) -> bool) {
        for generation in &self.generations {
            *generation.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        self.present.retain(|key, value| !is_gone(key, value));
    }

    /// Drops what is known to be absent among those that `may_be_there` tells, where nobody can say
    /// which of them is not any more.
    pub fn forget_absences(&self, may_be_there: impl Fn(&K) -> bool) {
        for generation in &self.generations {
            *generation.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        self.absent.retain(|key, ()| !may_be_there(key));
    }

    /// How much is held.
    pub(crate) fn size(&self) -> CacheSize {
        CacheSize {
            present: self.present.len(),
            absent: self.absent.len(),
        }
    }

    fn generation(&self, key: &K) -> &Mutex<u64> {
        let hash = self.hasher.hash_one(key);
        &self.generations[usize::from(hash.to_le_bytes()[0])]
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn a_read_in_flight_does_not_put_the_old_row_back() {
        let cache = ToldCache::<u8, &str>::new(10, 10);
        let read = cache
            .get_or_load(1, true, async |_| {
                // The row changes after it was read and before it is kept.
                cache.forget(&1);
                Ok::<_, Infallible>(Some("old"))
            })
            .await;
        assert_eq!(read, Ok(Some("old")));
        let again = cache
            .get_or_load(1, true, async |_| Ok::<_, Infallible>(Some("new")))
            .await;
        assert_eq!(again, Ok(Some("new")));
    }

    #[tokio::test]
    async fn forgetting_some_leaves_the_others_and_stops_reads_in_flight() {
        let cache = ToldCache::<u8, &str>::new(10, 10);
        for key in [1, 2] {
            let _ = cache
                .get_or_load(key, true, async |_| Ok::<_, Infallible>(Some("old")))
                .await;
        }
        let _ = cache
            .get_or_load(3, true, async |_| {
                cache.forget_where(|key, _| *key == 1);
                Ok::<_, Infallible>(Some("old"))
            })
            .await;
        for (key, expected) in [(1, "new"), (2, "old"), (3, "new")] {
            let read = cache
                .get_or_load(key, true, async |_| Ok::<_, Infallible>(Some("new")))
                .await;
            assert_eq!(read, Ok(Some(expected)), "{key}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_pushes_no_real_one_out() {
        let cache = ToldCache::<u32, &str>::new(100, 10);
        let _ = cache
            .get_or_load(0, true, async |_| Ok::<_, Infallible>(Some("real")))
            .await;
        for unknown in 1..10_000 {
            let _ = cache
                .get_or_load(unknown, true, async |_| Ok::<_, Infallible>(None))
                .await;
        }
        let kept = cache
            .get_or_load(0, true, async |_| Err("asked the database"))
            .await;
        assert_eq!(kept, Ok(Some("real")));
    }
}
