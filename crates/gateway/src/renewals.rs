//! What is known of the tokens of consents that were fetched: by whom one is being fetched, which were refused,
//! and which are not taken.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use sha2::{Digest, Sha256};

use crate::tokens::NoToken;

/// How many connected accounts are remembered; past it all are let go, since nothing is lost by that.
const KEPT: usize = 10_000;

/// Whether another token is wanted although the one that is there is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanting {
    AGoodOne,
    AnotherOne,
}

/// What is known of tokens that were fetched.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    places: Mutex<HashMap<Id<id::ConnectedAccount>, Arc<Place>>>,
    /// Credentials, by digest, whose token an upstream did not take.
    rejected: Mutex<HashSet<[u8; 32]>>,
}

/// Whoever fetches a token holds its place, and the others wait for it.
pub(crate) type Place = tokio::sync::Mutex<Option<Left>>;

/// What whoever held a place has left there, of credentials by digest.
#[derive(Debug)]
pub(crate) enum Left {
    /// A refusal, for a while.
    Refused {
        with: [u8; 32],
        why: NoToken,
        until: Timestamp,
    },
    /// Others, sealed, which could not be stored. What they were fetched with may be good no more: these are
    /// stored before anything is asked for again.
    Unstored { with: [u8; 32], renewed: Vec<u8> },
}

impl Renewals {
    pub(crate) fn place(&self, id: &Id<id::ConnectedAccount>) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= KEPT && !places.contains_key(id) {
            // One that is held stays its holder's, and what was not stored yet is nowhere else.
            places.retain(|_, place| {
                let left = place.try_lock();
                left.map_or(true, |left| matches!(*left, Some(Left::Unstored { .. })))
            });
        }
        Arc::clone(places.entry(id.clone()).or_default())
    }

    /// Notes that the token of these credentials is not taken: before it is used again another one is
    /// fetched.
    pub(crate) fn reject(&self, sealed: &[u8]) {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if rejected.len() >= KEPT {
            rejected.clear();
        }
        rejected.insert(digest(sealed));
    }

    pub(crate) fn is_rejected(&self, sealed: &[u8]) -> bool {
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        !rejected.is_empty() && rejected.contains(&digest(sealed))
    }
}

/// What tells credentials from others, as they are sealed.
pub(crate) fn digest(sealed: &[u8]) -> [u8; 32] {
    Sha256::digest(sealed).into()
}
