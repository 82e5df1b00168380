//! What a deletion took along, for the caches that have to forget it.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;

/// Digests of one kind of keys that were deleted together, in bounded memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digests {
    /// These.
    Of(Vec<KeyDigest>),
    /// More than are worth naming.
    Many,
}

/// Digests that are named, at most: 2 MiB of them.
const MOST_NAMED: usize = 65_536;

impl Default for Digests {
    fn default() -> Self {
        Self::Of(Vec::new())
    }
}

impl Digests {
    pub(crate) fn add(&mut self, digest: &[u8]) {
        // A digest of another length is no key's, so that no cache has it.
        let (Self::Of(named), Some(digest)) = (&mut *self, KeyDigest::from_bytes(digest)) else {
            return;
        };
        if named.len() < MOST_NAMED {
            named.push(digest);
        } else {
            *self = Self::Many;
        }
    }
}

/// The keys that went with a project or an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The root of their family of accounts.
    pub root: Id<id::Account>,
    /// API keys.
    pub api_keys: Digests,
    /// Access keys, deleted or for fewer projects now.
    pub access_keys: Digests,
}

impl Gone {
    pub(crate) fn none_of(root: Id<id::Account>) -> Self {
        Self {
            root,
            api_keys: Digests::default(),
            access_keys: Digests::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_not_named() {
        let mut digests = Digests::default();
        for _ in 0..MOST_NAMED {
            digests.add(&[7; 32]);
        }
        assert!(matches!(&digests, Digests::Of(named) if named.len() == MOST_NAMED));
        digests.add(&[7; 32]);
        assert_eq!(digests, Digests::Many);
    }
}
