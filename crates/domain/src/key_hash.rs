//! Hashes of keys that are moved here from elsewhere: what stands for a key string that only its
//! holder still has.
//!
//! A stored hash is no credential: what is stored for it begins, before it is digested under the
//! pepper, with a byte that no text has. Whoever presents the hash itself presents another text.

use std::fmt;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};

use crate::base62;
use crate::id::{self, Id};
use crate::key_string::{KeyDigest, PUBLIC_LENGTH, Pepper};
use crate::random::Random;

/// Bytes that begin no text in UTF-8: the digest of what follows is not that of any key string.
const OF_HASH: &[u8] = &[0xff];
const OF_ID: &[u8] = &[0xfe];

/// SHA-256 of a key string. It prints as `[hash]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[hash]")
    }
}

impl KeyHash {
    /// The hash of a key string.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits, or base64 of either alphabet with or without padding.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = if text.len() == 64 {
            from_hexadecimal(text)?
        } else {
            let alphabet = if text.contains(['-', '_']) {
                base64::alphabet::URL_SAFE
            } else {
                base64::alphabet::STANDARD
            };
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            GeneralPurpose::new(&alphabet, config).decode(text).ok()?
        };
        bytes.try_into().ok().map(Self)
    }

    /// What is stored of a key of which only this hash is known.
    pub fn digest(&self, pepper: &Pepper) -> KeyDigest {
        pepper.digest_parts(&[OF_HASH, &self.0])
    }

    /// The id of the key when it is imported into that project: the same each time, so that a row
    /// that is sent again is known, also once the key has got another digest or the pepper a layer.
    pub fn id_in(&self, pepper: &Pepper, project: &Id<id::Project>) -> Id<id::ApiKey> {
        let drawn = pepper.first_digest_parts(&[OF_ID, project.as_str().as_bytes(), &self.0]);
        Id::from_suffix(&base62::random_text(&Repeating(drawn), PUBLIC_LENGTH))
    }
}

/// The bytes of a digest, over and over.
struct Repeating(KeyDigest);

impl Random for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        for (byte, drawn) in bytes.iter_mut().zip(self.0.as_bytes().iter().cycle()) {
            *byte = *drawn;
        }
    }
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "customer-42-key";
    const HEXADECIMAL: &str = "b4f35bd5b9d9e4db0a4aee7f4f0a44ef2c6d97a4bd6c5d5cd1ba5cf8a0a0d0e5";

    #[test]
    fn every_spelling_of_a_hash_is_the_same_hash() {
        let hash = KeyHash::parse(HEXADECIMAL).unwrap();
        assert_eq!(KeyHash::parse(&HEXADECIMAL.to_uppercase()), Some(hash));
        let standard = base64::engine::general_purpose::STANDARD.encode(hash.0);
        let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash.0);
        assert_eq!(KeyHash::parse(&standard), Some(hash));
        assert_eq!(KeyHash::parse(&url_safe), Some(hash));
        for text in [
            "",
            "b4f3",
            &HEXADECIMAL[..62],
            &"x".repeat(64),
            &"é".repeat(32),
        ] {
            assert_eq!(KeyHash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_imported_key_has_one_id_in_a_project() {
        let pepper = Pepper::new(&[7; 32]);
        let (here, there) = (
            Id::from_suffix(&"a".repeat(20)),
            Id::from_suffix(&"b".repeat(20)),
        );
        let id = |key, project| KeyHash::of(key).id_in(&pepper, project);
        assert_eq!(id(KEY, &here), id(KEY, &here));
        assert_ne!(id(KEY, &here), id(KEY, &there));
        assert_ne!(id(KEY, &here), id("customer-43-key", &here));
        assert_eq!(Id::parse(id(KEY, &here).as_str()), Some(id(KEY, &here)));
    }

    proptest! {
        #[test]
        fn no_text_is_digested_as_a_hash(text in "\\PC{0,80}", key in ".{0,80}") {
            let pepper = Pepper::new(&[7; 32]);
            let hash = KeyHash::of(&key);
            prop_assert_ne!(pepper.digest(&text), hash.digest(&pepper));
            let digits = hash.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let hexadecimal: String = digits
                .filter_map(|digit| char::from_digit(digit.into(), 16))
                .collect();
            prop_assert_ne!(pepper.digest(&hexadecimal), hash.digest(&pepper));
            prop_assert_eq!(KeyHash::parse(&hexadecimal), Some(hash));
        }
    }
}
