//! Key strings: what a generated key looks like, its public parts, and the digest that is stored.
//!
//! `<env>_` + 64 for an API key, `<env>_access_` + 64 for an access key, `operator_` + 64 for the
//! operator key. The 64 are 16 of public id, 42 of secret (250 bits) and 6 of checksum, so that a
//! typo is refused without a look-up and a leak scanner can tell a real key.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::base62;
use crate::id::{self, Id};
use crate::random::Random;
use crate::token;

/// Characters of the public part.
pub const PUBLIC_LENGTH: usize = 16;
const SECRET_LENGTH: usize = 42;
const CHECKSUM_LENGTH: usize = 6;
const BODY_LENGTH: usize = PUBLIC_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH;
const MASK: &str = "*********";

/// Whether a project's keys are for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Keys that begin with `live_`.
    Live,
    /// Keys that begin with `test_`.
    Test,
}

impl Environment {
    /// `live` or `test`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Reads `live` or `test`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Test]
            .into_iter()
            .find(|env| text.eq_ignore_ascii_case(env.as_str()))
    }
}

/// A full key as its holder presents it. It prints as `[key]` and is wiped from memory.
#[derive(Clone)]
pub struct PlainKey(SecretString);

impl PlainKey {
    /// Takes text that may be a key.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The key itself: for the one answer that shows it, and for its digest.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[key]")
    }
}

/// What is stored of a key: HMAC-SHA-256 under the pepper.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest as bytes, for a row.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes a stored digest; `None` when it is not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Compares in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[digest]")
    }
}

/// The secret under which keys are digested: usually one layer of 32 bytes. A later layer digests
/// what those before it gave, so that stored digests can be brought under it without the keys.
#[derive(Clone)]
pub struct Pepper {
    first: Hmac<Sha256>,
    later: Vec<Hmac<Sha256>>,
}

impl Pepper {
    /// Takes 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self {
            first: layer(bytes),
            later: Vec::new(),
        }
    }

    /// Adds a layer of 32 random bytes.
    #[must_use]
    pub fn under(mut self, bytes: &[u8; 32]) -> Self {
        self.later.push(layer(bytes));
        self
    }

    /// What a digest of before the last layer was added is now.
    pub fn lift(&self, digest: KeyDigest) -> KeyDigest {
        match self.later.last() {
            Some(last) => mac(last, &[&digest.0]),
            None => digest,
        }
    }

    /// Digests a key as it was presented.
    pub fn digest(&self, key: &str) -> KeyDigest {
        self.digest_parts(&[key.as_bytes()])
    }

    /// Digests bytes that are one after another.
    pub(crate) fn digest_parts(&self, parts: &[&[u8]]) -> KeyDigest {
        let first = self.first_digest_parts(parts);
        let layers = self.later.iter();
        layers.fold(first, |digest, layer| mac(layer, &[&digest.0]))
    }

    /// Draws the key that follows another: always the same one, which nobody finds without the pepper.
    pub fn successor(&self, of: &PlainKey, purpose: KeyPurpose) -> DrawnKey {
        let stream = Successor {
            pepper: self.clone(),
            of: of.clone(),
            purpose: purpose.prefix(),
            blocks: AtomicU32::new(0),
        };
        purpose.draw(&stream)
    }

    /// The same by the first layer alone: for what must not change when another is added.
    pub(crate) fn first_digest_parts(&self, parts: &[&[u8]]) -> KeyDigest {
        mac(&self.first, parts)
    }
}

/// A byte that begins no text in UTF-8: what follows is digested for no other end.
const OF_SUCCESSOR: &[u8] = &[0xfd];

/// Bytes that follow from a key, block by block.
struct Successor {
    pepper: Pepper,
    of: PlainKey,
    purpose: &'static str,
    blocks: AtomicU32,
}

impl Random for Successor {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let (purpose, of) = (self.purpose.as_bytes(), self.of.expose().as_bytes());
            let drawn = self
                .pepper
                .digest_parts(&[OF_SUCCESSOR, &block, purpose, of]);
            chunk.copy_from_slice(&drawn.0[..chunk.len()]);
        }
    }
}

fn layer(bytes: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(bytes).expect("HMAC takes a key of any length")
}

fn mac(layer: &Hmac<Sha256>, parts: &[&[u8]]) -> KeyDigest {
    let mut mac = layer.clone();
    for part in parts {
        mac.update(part);
    }
    KeyDigest(mac.finalize().into_bytes().into())
}

impl fmt::Debug for Pepper {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[pepper]")
    }
}

/// A key that was just drawn: the only time that it is known in full.
#[derive(Debug)]
pub struct DrawnKey {
    /// The full key.
    pub plain: PlainKey,
    /// Its 16 public characters.
    pub public: String,
}

/// What a key is for, which is what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// `live_…`: presented by end users.
    ApiKey(Environment),
    /// `live_access_…`: presented by programs of the account.
    AccessKey(Environment),
    /// `operator_…`: presented by whoever runs the instance.
    Operator,
    /// `user_access_…`: presented by a person who is signed in.
    UserAccess,
    /// `user_refresh_…`: exchanged for another pair of tokens, once.
    UserRefresh,
}

impl KeyPurpose {
    /// What such a key begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey(Environment::Live) => "live_",
            Self::ApiKey(Environment::Test) => "test_",
            Self::AccessKey(Environment::Live) => "live_access_",
            Self::AccessKey(Environment::Test) => "test_access_",
            Self::Operator => "operator_",
            Self::UserAccess => "user_access_",
            Self::UserRefresh => "user_refresh_",
        }
    }

    /// Draws a new key.
    pub fn draw(self, random: &dyn Random) -> DrawnKey {
        let body = base62::random_text(random, PUBLIC_LENGTH + SECRET_LENGTH);
        let mut text = format!("{}{body}", self.prefix());
        let checksum = base62::six_characters(crc32fast::hash(text.as_bytes()));
        text.extend(checksum.map(char::from));
        DrawnKey {
            plain: PlainKey::new(text),
            public: body[..PUBLIC_LENGTH].to_owned(),
        }
    }

    /// The reference by which such a key is shown: prefix, public characters and a mask.
    pub fn reference(self, public: &str) -> String {
        format!("{}{public}{MASK}", self.prefix())
    }
}

/// The reference by which a custom or imported key is shown: its id and a mask.
pub fn custom_reference(id: &Id<id::ApiKey>) -> String {
    format!("{id}{MASK}")
}

/// A text read as a key of ours. It borrows the text and says nothing of whether the key exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyShape<'a> {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its public characters.
    pub public: &'a str,
    /// Whether the last six characters are the checksum of the others.
    pub checksum_holds: bool,
}

impl<'a> KeyShape<'a> {
    /// Reads a full key; `None` when it is not shaped as one of ours.
    pub fn read(text: &'a str) -> Option<Self> {
        let (purpose, body) = split_purpose(text)?;
        if body.len() != BODY_LENGTH || !base62::is_base62(body) {
            return None;
        }
        let (signed, checksum) = text.split_at(text.len() - CHECKSUM_LENGTH);
        let expected = base62::six_characters(crc32fast::hash(signed.as_bytes()));
        Some(Self {
            purpose,
            public: &body[..PUBLIC_LENGTH],
            checksum_holds: expected == checksum.as_bytes(),
        })
    }
}

/// A way to name a key on a management path.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyName<'a, K> {
    /// Its id, or a reference, which carries the id.
    Id(Id<K>),
    /// Perhaps the full key.
    Full(&'a str),
}

/// Reads what stands in `/api-keys/{id}`: an id, a reference, or else perhaps the full key.
pub fn name_of_api_key(text: &str) -> KeyName<'_, id::ApiKey> {
    if let Some(masked) = text.strip_suffix(MASK) {
        if let Some(id) = Id::parse(masked) {
            return KeyName::Id(id);
        }
        if let Some((KeyPurpose::ApiKey(_), public)) = split_purpose(masked)
            && public.len() == PUBLIC_LENGTH
            && base62::is_base62(public)
        {
            return KeyName::Id(Id::from_suffix(public));
        }
    }
    Id::parse(text).map_or(KeyName::Full(text), KeyName::Id)
}

/// Reads what stands in `/access-keys/{id}`: an id, a reference, or else perhaps the full key.
pub fn name_of_access_key(text: &str) -> KeyName<'_, id::AccessKey> {
    if let Some(masked) = text.strip_suffix(MASK)
        && let Some((KeyPurpose::AccessKey(_), public)) = split_purpose(masked)
        && public.len() == PUBLIC_LENGTH
        && base62::is_base62(public)
    {
        return KeyName::Id(Id::from_suffix(public));
    }
    Id::parse(text).map_or(KeyName::Full(text), KeyName::Id)
}

fn split_purpose(text: &str) -> Option<(KeyPurpose, &str)> {
    use Environment::{Live, Test};
    // The longer prefixes first: `live_` also begins `live_access_`.
    [
        KeyPurpose::AccessKey(Live),
        KeyPurpose::AccessKey(Test),
        KeyPurpose::ApiKey(Live),
        KeyPurpose::ApiKey(Test),
        KeyPurpose::Operator,
        KeyPurpose::UserAccess,
        KeyPurpose::UserRefresh,
    ]
    .into_iter()
    .find_map(|purpose| {
        text.strip_prefix(purpose.prefix())
            .map(|body| (purpose, body))
    })
}

/// Why a caller's own key is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomKeyError {
    /// Shorter than 12 or longer than 255 characters.
    #[error("key must have 12 to 255 characters, it has {0}")]
    Length(usize),
    /// A character that would not survive a path, or that nobody can type.
    #[error("key must be printable ASCII without white space and without / ? # % * \\")]
    Character,
    /// It could be taken for an id, a reference or a credential of ours.
    #[error("key must not be shaped as one of our ids, references or access keys")]
    Shape,
}

/// Tells whether a caller's own text can be a key.
pub fn check_custom_key(text: &str) -> Result<(), CustomKeyError> {
    if !(12..=255).contains(&text.len()) {
        return Err(CustomKeyError::Length(text.chars().count()));
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/?#%*\\".contains(&byte))
    {
        return Err(CustomKeyError::Character);
    }
    let is_credential = [
        "live_access_",
        "test_access_",
        "operator_",
        "user_access_",
        "user_refresh_",
        token::MCP_SERVER_PREFIX,
        token::LINK_TOKEN_PREFIX,
    ]
    .iter()
    .any(|prefix| text.starts_with(prefix));
    if id::is_shaped_as_id(text) || is_credential {
        return Err(CustomKeyError::Shape);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(7, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    fn drawn(purpose: KeyPurpose) -> DrawnKey {
        purpose.draw(&Counting(3.into()))
    }

    #[test]
    fn a_drawn_key_has_the_published_shape() {
        let key = drawn(KeyPurpose::ApiKey(Environment::Live));
        let text = key.plain.expose();
        assert_eq!(text.len(), "live_".len() + 64);
        let shape = KeyShape::read(text).unwrap();
        assert!(shape.checksum_holds);
        assert_eq!(shape.public, key.public);
        assert_eq!(shape.purpose, KeyPurpose::ApiKey(Environment::Live));
    }

    #[test]
    fn an_access_key_is_not_taken_for_an_api_key() {
        let key = drawn(KeyPurpose::AccessKey(Environment::Test));
        let shape = KeyShape::read(key.plain.expose()).unwrap();
        assert_eq!(shape.purpose, KeyPurpose::AccessKey(Environment::Test));
    }

    #[test]
    fn a_key_can_be_named_by_id_reference_or_itself() {
        let key = drawn(KeyPurpose::ApiKey(Environment::Live));
        let id = Id::<id::ApiKey>::from_suffix(&key.public);
        let reference = KeyPurpose::ApiKey(Environment::Live).reference(&key.public);
        assert_eq!(name_of_api_key(id.as_str()), KeyName::Id(id.clone()));
        assert_eq!(name_of_api_key(&reference), KeyName::Id(id.clone()));
        assert_eq!(name_of_api_key(&custom_reference(&id)), KeyName::Id(id));
        let full = key.plain.expose();
        assert_eq!(name_of_api_key(full), KeyName::Full(full));
    }

    #[test]
    fn secrets_do_not_print() {
        let key = drawn(KeyPurpose::Operator);
        assert_eq!(format!("{:?}", key.plain), "[key]");
        let pepper = Pepper::new(&[1; 32]);
        assert_eq!(
            format!("{:?}", pepper.digest(key.plain.expose())),
            "[digest]"
        );
    }

    #[test]
    fn a_digest_is_brought_under_a_later_layer_without_its_key() {
        let one = Pepper::new(&[1; 32]);
        let two = one.clone().under(&[2; 32]);
        let three = two.clone().under(&[3; 32]);
        let digest = one.digest("a key");
        assert!(two.lift(digest) == two.digest("a key"));
        assert!(three.lift(two.lift(digest)) == three.digest("a key"));
        assert!(two.digest("a key") != digest && three.digest("a key") != two.digest("a key"));
    }

    #[test]
    fn custom_key_shaped_as_an_id_a_reference_an_access_key_or_shorter_than_12() {
        let access = drawn(KeyPurpose::AccessKey(Environment::Live));
        let refused = [
            "short-key01",
            "key_0123456789abcdef",
            "acc_0123456789abcdefgh",
            "live_0123456789abcdef*********",
            access.plain.expose(),
            "with space 123",
            "slash/slash/slash",
            "per%cent%20abcdef",
            "schlüssel-123456",
            "operator_abcdefghijklm",
        ];
        for text in refused {
            assert!(check_custom_key(text).is_err(), "{text}");
        }
        assert_eq!(check_custom_key("customer-42-key"), Ok(()));
        assert_eq!(check_custom_key(&"x".repeat(255)), Ok(()));
        assert!(check_custom_key(&"x".repeat(256)).is_err());
    }

    proptest! {
        #[test]
        fn one_changed_character_breaks_the_checksum(place in 0usize..64, other in "[0-9A-Za-z]") {
            let key = drawn(KeyPurpose::ApiKey(Environment::Live));
            let mut text = key.plain.expose().to_owned();
            let at = "live_".len() + place;
            prop_assume!(text[at..=at] != other);
            text.replace_range(at..=at, &other);
            prop_assert!(!KeyShape::read(&text).unwrap().checksum_holds);
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".*") {
            let _ = KeyShape::read(&text);
            let _ = name_of_api_key(&text);
            let _ = name_of_access_key(&text);
            let _ = check_custom_key(&text);
        }
    }
}
