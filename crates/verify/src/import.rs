//! Keys that are moved here from elsewhere, and are known by a hash alone until somebody presents them.

mod line;
mod pace;

use std::collections::HashSet;
use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::{KeyDigest, KeyShape, PlainKey, check_custom_key};
use claviger_store::api_keys::{self, ApiKey, Incoming, Stored};
use claviger_store::projects::Project;
use claviger_store::{Change, StoreError};
use serde_json::json;

pub(crate) use self::line::Line;
use crate::Verifier;

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
    /// Stores keys in a project, with those of other imports: what is stored stays, also when later
    /// ones cannot be. The ids follow from the key strings. The outcomes are in the keys' order.
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
        let rows = Arc::clone(&incoming.rows);
        let stored = self.store_in_line(change, root, rows).await?;
        Ok(incoming.tell(stored))
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
