//! The verifier: the caches, the meters and what they need.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use claviger_domain::id::{self, Id};
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::{KeyDigest, Pepper};
use claviger_domain::random::Random;
use claviger_domain::time::{Clock, Timestamp};
use claviger_store::api_keys::{self, NewKeys};
use claviger_store::sealing::SealingKey;
use claviger_store::{Db, StoreError, accounts, usage};
use quick_cache::sync::Cache;

use crate::counters::Counters;
use crate::feed::Others;
use crate::flush::Folding;
use crate::guesses::{Guesser, Guesses};
use crate::import::Line;
use crate::key_cache::{KeyCache, PresentedAs};
use crate::meter::Crossing;
use crate::meters::Meters;
use crate::place::Places;
use crate::presenters::KnownAccessKey;
use crate::projects::Projects;
use crate::{Activity, KnownKey, KnownUser, LookError, Network, ToldCache};

/// What the verifier is made of.
#[derive(Clone)]
pub struct Settings {
    /// The database.
    pub db: Db,
    /// The secret under which keys are digested.
    pub pepper: Pepper,
    /// What keys are sealed under that can be read back.
    pub sealing: Arc<SealingKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for keys and ids.
    pub random: Arc<dyn Random>,
    /// How many bytes keys in memory may take, about. Keys beyond it are read when they are checked.
    pub key_cache_bytes: usize,
}

/// Bytes for keys in memory where nothing else is wanted: some million keys.
pub const KEY_CACHE_BYTES: usize = 512 * 1_024 * 1_024;

impl std::fmt::Debug for Settings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[settings]")
    }
}

/// Keys that are known not to exist.
const KNOWN_ABSENCES: usize = 65_536;
/// Access keys and operator keys that are kept in memory.
const CACHED_PRESENTERS: usize = 16_384;
const CACHED_OPERATORS: usize = 256;
/// Keys over their limit of which it is remembered that somebody was told; of others the database is
/// asked.
const CROSSINGS_TOLD: usize = 65_536;
/// Projects that keys were made in, and absent ones that were named.
const CACHED_PROJECTS: usize = 4_096;

/// Checks keys, and carries out every change to one.
pub struct Verifier {
    pub(crate) db: Db,
    pub(crate) new_keys: NewKeys,
    pub(crate) pepper: Pepper,
    pub(crate) sealing: Arc<SealingKey>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) keys: KeyCache,
    pub(crate) presenters: ToldCache<KeyDigest, Arc<KnownAccessKey>>,
    /// People who are signed in, by their access tokens.
    pub(crate) people: ToldCache<KeyDigest, Arc<KnownUser>>,
    pub(crate) projects: Projects,
    pub(crate) meters: Meters,
    pub(crate) places: Places,
    pub(crate) guesses: Guesses,
    /// Operator keys that were there when they were presented last: no guesses, whoever guesses
    /// beside them.
    pub(crate) operators: Cache<KeyDigest, ()>,
    /// The families that tokens lead to, or that they lead nowhere.
    pub(crate) tokens: Cache<KeyDigest, Option<Id<id::Account>>>,
    /// Until when it is enough that somebody was told that a key met its limit or its quota.
    pub(crate) crossings_told: Cache<(Id<id::ApiKey>, Crossing), Timestamp>,
    pub(crate) counters: Counters,
    pub(crate) flushing: tokio::sync::Mutex<()>,
    pub(crate) folding: tokio::sync::Mutex<Folding>,
    pub(crate) imports: Line,
    pub(crate) others: Others,
    /// Roots of families that have keys of our shape without our checksum.
    foreign: RwLock<HashSet<Id<id::Account>>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[verifier]")
    }
}

impl Verifier {
    /// Makes a verifier with empty caches.
    pub async fn start(settings: Settings) -> Result<Arc<Self>, StoreError> {
        let Settings {
            db,
            pepper,
            sealing,
            clock,
            random,
            key_cache_bytes,
        } = settings;
        // What was counted last, by a process that was killed. Checks need no room on a disk, and do
        // not wait for some.
        if let Err(error) = usage::fold_all(&db, clock.now()).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "usage of an earlier run is not written yet");
        }
        let foreign = accounts::with_foreign_keys(&db).await?;
        Ok(Arc::new(Self {
            new_keys: NewKeys::of(&db),
            db,
            pepper,
            sealing,
            clock,
            random,
            keys: KeyCache::new(key_cache_bytes, KNOWN_ABSENCES),
            presenters: ToldCache::new(CACHED_PRESENTERS, KNOWN_ABSENCES),
            people: ToldCache::new(CACHED_PRESENTERS, KNOWN_ABSENCES),
            projects: Projects::new(CACHED_PROJECTS, CACHED_PROJECTS),
            meters: Meters::default(),
            places: Places::default(),
            guesses: Guesses::default(),
            operators: Cache::new(CACHED_OPERATORS),
            tokens: Cache::new(KNOWN_ABSENCES),
            crossings_told: Cache::new(CROSSINGS_TOLD),
            counters: Counters::default(),
            flushing: tokio::sync::Mutex::new(()),
            folding: tokio::sync::Mutex::default(),
            imports: Line::default(),
            others: Others::default(),
            foreign: RwLock::new(foreign.into_iter().collect()),
        }))
    }

    /// The digest under which a key is stored.
    pub fn digest(&self, key: &str) -> KeyDigest {
        self.pepper.digest(key)
    }

    /// The digest under which a key is stored that was brought as a hash of this key string, until
    /// somebody presents it.
    pub fn digest_of_hash(&self, key: &str) -> KeyDigest {
        KeyHash::of(key).digest(&self.pepper)
    }

    /// When a key was used, as far as it is not flushed yet.
    pub fn activity(&self, key: &Id<id::ApiKey>) -> Activity {
        self.meters.activity(key)
    }

    /// The key that is presented, from memory or by one look into the database.
    pub(crate) async fn known_presented(
        &self,
        from: Option<Network>,
        presented: PresentedAs,
        text: &str,
    ) -> Result<Option<KnownKey>, LookError> {
        self.keys
            .get_or_load(presented, self.believes(), async |(root, digest)| {
                let who = Guesser::Keys(Some(root.clone()), from);
                self.look(Some(who), async || {
                    let mut found = api_keys::find_presented(&self.db, root, digest).await?;
                    if found.is_none() && self.may_have_foreign_keys(root) {
                        found = self.adopt(root, digest, text).await?;
                    }
                    match found {
                        Some(key) => Ok(Some(self.known(key).await?)),
                        None => Ok(None),
                    }
                })
                .await
            })
            .await
    }

    pub(crate) fn has_foreign_keys(&self, root: &Id<id::Account>) -> bool {
        self.foreign
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(root)
    }

    /// The same while others may have brought some that are not heard of yet.
    pub(crate) fn may_have_foreign_keys(&self, root: &Id<id::Account>) -> bool {
        self.has_foreign_keys(root) || !self.believes()
    }

    pub(crate) fn note_foreign_keys(&self, root: Id<id::Account>) {
        self.foreign
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(root);
    }
}
