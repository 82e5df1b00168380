//! Keys that are moved here from elsewhere: written in slices, so that others get their turn, and
//! known by a hash alone until somebody presents them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::{KeyDigest, KeyShape, PlainKey, check_custom_key};
use claviger_store::api_keys::{self, ApiKey, Incoming, Stored};
use claviger_store::projects::Project;
use claviger_store::{Change, StoreError, Turn, Tx};
use serde_json::json;

use crate::Verifier;
use crate::told::{Notes, Touched};

/// Rows of a piece, at first, at least and at most.
const FIRST_ROWS: usize = 100;
const FEWEST_ROWS: usize = 10;
const MOST_ROWS: usize = 1_000;
/// How long a piece should take the one writer that SQLite has: somebody who comes meanwhile waits for it,
/// and for the commit, and that is to be below 50 ms.
const PIECE_MICROS: i64 = 20_000;

/// How many rows a piece has, by how long the last one took.
#[derive(Debug)]
pub(crate) struct Pace(AtomicUsize);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(FIRST_ROWS))
    }
}

impl Pace {
    fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a piece of so many rows.
    fn learn(&self, rows: usize, micros: i64) {
        let now = self.rows();
        let micros = usize::try_from(micros).unwrap_or(0).max(1);
        let target = usize::try_from(PIECE_MICROS).unwrap_or(usize::MAX);
        // Not more than twice as many: one that was quick says little.
        let wanted = (rows * target / micros).min(now * 2);
        // A short piece that was quick, such as the last of a request, says nothing.
        if rows >= now || wanted < now {
            let next = wanted.clamp(FEWEST_ROWS, MOST_ROWS);
            // Pieces come one after another.
            self.0.store(next, Ordering::Relaxed);
        }
    }
}

/// A key as whoever moves it here has it.
#[derive(Clone, Debug)]
pub enum Brought {
    /// The key string.
    Plain(PlainKey),
    /// Its hash alone.
    Hash(KeyHash),
}

/// What came of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is stored under that id.
    Created(Id<id::ApiKey>),
    /// The project has a key with that key string.
    Exists(Id<id::ApiKey>),
    /// Its family of accounts has one elsewhere.
    Taken,
    /// An earlier row of the same request has that key string.
    Repeated,
    /// The project is gone.
    NoProject,
}

impl Verifier {
    /// Stores keys in a project, slice by slice: what is stored stays, also when a later slice
    /// fails. The ids follow from the key strings. The outcomes are in the keys' order.
    pub async fn import_api_keys(
        self: &Arc<Self>,
        change: &Change,
        project: &Project,
        keys: Vec<(ApiKey, Brought)>,
    ) -> Result<Vec<Imported>, StoreError> {
        let incoming = self.prepare(project, keys);
        let root = &project.root_account_id;
        if incoming.is_foreign {
            self.mark_foreign(root.clone()).await?;
        }
        let rows = &incoming.rows;
        let mut outcomes = Vec::with_capacity(rows.len());
        while outcomes.len() < rows.len() {
            // One slice at a time: whoever else writes waits for one import, not for all of them.
            let turn = self.db.turn_to_import().await?;
            let first = outcomes.len();
            let stored = self.store_slice(change, root, rows, first, turn).await?;
            outcomes.extend(stored);
        }
        Ok(incoming.tell(outcomes))
    }

    /// Tells what importing them would come to. Nothing is stored.
    pub async fn try_import(
        &self,
        project: &Project,
        keys: Vec<(ApiKey, Brought)>,
    ) -> Result<Vec<Imported>, StoreError> {
        let incoming = self.prepare(project, keys);
        let mut earlier = api_keys::find_earlier(&self.db, &incoming.rows).await?;
        let rows = incoming.rows.iter();
        let outcomes = rows.map(|row| earlier.remove(row.key.id.as_str()));
        let outcomes: Vec<_> = outcomes
            .map(|stored| stored.unwrap_or(Stored::Created))
            .collect();
        Ok(incoming.tell(outcomes))
    }

    /// Finds the key that was imported as the hash of this key string, which is presented for the
    /// first time, and stores its digest in place of that of the hash.
    pub(crate) async fn adopt(
        &self,
        root: &Id<id::Account>,
        digest: &KeyDigest,
        text: &str,
    ) -> Result<Option<ApiKey>, StoreError> {
        // What could not have been imported as it is, such as no text at all, an id or a reference,
        // is no key as a hash either.
        if check_custom_key(text).is_err() {
            return Ok(None);
        }
        let of_hash = self.digest_of_hash(text);
        let known = api_keys::find_presented(&self.db, root, &of_hash).await?;
        if known.is_none() {
            // It may have got its digest after that was looked for, and before its hash was.
            return api_keys::find_presented(&self.db, root, digest).await;
        }
        let change = Change {
            actor: Actor::System,
            now: self.clock.now(),
            random: Arc::clone(&self.random),
        };
        let (root, digest) = (root.clone(), *digest);
        let inside = root.clone();
        self.db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(
                    async move { api_keys::adopt(tx, &change, &inside, &of_hash, &digest).await },
                )
            })
            .await?;
        // Whoever was first, it has its digest now. No cache knows of it yet, but the one that asks.
        api_keys::find_presented(&self.db, &root, &digest).await
    }

    /// Stores a slice from that row on in its turn, which ends with the slice: whoever asked for it may
    /// go before. A slice goes on while nobody waits to write anything else: each commit waits for the
    /// disk.
    async fn store_slice(
        self: &Arc<Self>,
        change: &Change,
        root: &Id<id::Account>,
        rows: &Arc<Vec<Incoming>>,
        first: usize,
        turn: Turn,
    ) -> Result<Vec<Stored>, StoreError> {
        let (change, root, rows) = (change.clone(), root.clone(), Arc::clone(rows));
        let verifier = Arc::clone(self);
        let outcome = self.change_alone(move |tx, touched| {
            Box::pin(async move {
                let mut slice = Vec::new();
                loop {
                    let left = &rows[first + slice.len()..];
                    let piece = verifier.store_piece(tx, &change, &root, left, &touched);
                    slice.extend(piece.await?);
                    if first + slice.len() == rows.len() || verifier.db.changes().in_use > 1 {
                        return Ok((slice, turn));
                    }
                }
            })
        });
        let (stored, turn) = outcome.await?;
        drop(turn);
        Ok(stored)
    }

    /// Stores as many of the rows as one may wait for.
    async fn store_piece(
        &self,
        tx: &mut Tx,
        change: &Change,
        root: &Id<id::Account>,
        left: &[Incoming],
        touched: &Notes,
    ) -> Result<Vec<Stored>, StoreError> {
        let began = self.clock.now();
        let length = api_keys::fitting(left.iter().take(self.import_pace.rows()));
        let piece = &left[..length];
        for row in piece {
            touched.note(Touched::Key((root.clone(), row.digest)));
        }
        let keys: Vec<_> = piece.iter().map(|row| (change, row)).collect();
        let stored = api_keys::store_new(tx, &keys).await?;
        // Nobody knows which key strings the hashes are of, and so which are not absent.
        let has_new_hash = piece.iter().zip(&stored).any(|(row, stored)| {
            Some(row.digest) == row.digest_of_hash && matches!(stored, Stored::Created)
        });
        if has_new_hash {
            touched.note(Touched::AbsencesOf(root.clone()));
        }
        let micros = self.clock.now().micros_since(began);
        self.import_pace.learn(length, micros);
        Ok(stored)
    }

    /// Gives each key its id and its digests, and finds those that come twice.
    fn prepare(&self, project: &Project, keys: Vec<(ApiKey, Brought)>) -> Prepared {
        let mut rows = Vec::with_capacity(keys.len());
        let mut prepared = Prepared {
            rows: Arc::default(),
            places: Vec::with_capacity(keys.len()),
            is_foreign: false,
        };
        let mut seen = HashSet::with_capacity(keys.len());
        for (mut key, brought) in keys {
            let (hash, plain) = match &brought {
                Brought::Plain(plain) => (KeyHash::of(plain.expose()), Some(plain.expose())),
                Brought::Hash(hash) => (*hash, None),
            };
            let id = hash.id_in(&self.pepper, &project.id);
            if !seen.insert(id.clone()) {
                prepared.places.push(None);
                continue;
            }
            let is_ours = plain.is_some_and(|plain| {
                KeyShape::read(plain).is_none_or(|shape| shape.checksum_holds)
            });
            prepared.is_foreign |= !is_ours;
            let digest_of_hash = hash.digest(&self.pepper);
            let sealed = match &brought {
                Brought::Plain(plain) => self.sealed_for(project.key_storage, &id, plain),
                Brought::Hash(_) => None,
            };
            key.lineage = id.clone();
            key.id = id;
            prepared.places.push(Some(rows.len()));
            let data = json!({
                "name": key.name, "customAccountId": key.custom_account_id, "imported": true,
            });
            rows.push(Incoming {
                key,
                digest: plain.map_or(digest_of_hash, |plain| self.pepper.digest(plain)),
                digest_of_hash: Some(digest_of_hash),
                sealed,
                data,
            });
        }
        prepared.rows = Arc::new(rows);
        prepared
    }
}

/// Keys that are ready to be stored.
struct Prepared {
    rows: Arc<Vec<Incoming>>,
    /// For each key that was given, which row it is; none where an earlier one is the same.
    places: Vec<Option<usize>>,
    /// Whether one may have our shape without our checksum; of a hash nobody can tell.
    is_foreign: bool,
}

impl Prepared {
    /// What came of each key that was given.
    fn tell(self, outcomes: Vec<Stored>) -> Vec<Imported> {
        let told = self.rows.iter().zip(outcomes);
        let mut told: Vec<_> = told
            .map(|(row, stored)| match stored {
                Stored::Created => Imported::Created(row.key.id.clone()),
                Stored::Exists(id) => Imported::Exists(id),
                Stored::Taken => Imported::Taken,
                Stored::NoProject => Imported::NoProject,
            })
            .map(Some)
            .collect();
        let places = self.places.into_iter();
        places
            .map(|place| place.and_then(|place| told[place].take()))
            .map(|outcome| outcome.unwrap_or(Imported::Repeated))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_get_shorter_where_they_take_long_and_longer_again() {
        let pace = Pace::default();
        pace.learn(100, 200_000);
        assert_eq!(pace.rows(), 10);
        pace.learn(10, 5_000);
        assert_eq!(pace.rows(), 20);
        // The rest of a request says nothing by being quick.
        pace.learn(1, 1);
        assert_eq!(pace.rows(), 20);
        for _ in 0..9 {
            pace.learn(pace.rows(), 0);
        }
        assert_eq!(pace.rows(), MOST_ROWS);
        pace.learn(MOST_ROWS, 40_000);
        assert_eq!(pace.rows(), MOST_ROWS / 2);
    }
}
