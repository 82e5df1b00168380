//! Ids: a prefix that says what an object is, and base62 characters that say which.

use std::fmt;
use std::marker::PhantomData;

use compact_str::CompactString;
use serde::{Serialize, Serializer};

use crate::base62;
use crate::random::Random;
use crate::time::Timestamp;

/// What an id names.
pub trait Kind: 'static {
    /// The prefix, without the underscore.
    const PREFIX: &'static str;
}

/// The id of one `K`: `{prefix}_` and 16 or more base62 characters.
pub struct Id<K> {
    // An id that we draw has at most 24 bytes, which fit without an allocation.
    text: CompactString,
    kind: PhantomData<fn() -> K>,
}

/// Characters after the prefix in the ids that we draw: 119 bits.
const LENGTH: usize = 20;
/// The fewest characters after the prefix: those of an API key's public part.
const SHORTEST: usize = 16;

impl<K: Kind> Id<K> {
    /// Draws a new id.
    pub fn draw(random: &dyn Random) -> Self {
        // Drawn for each request, and short enough to need no allocation.
        let mut text = CompactString::const_new(K::PREFIX);
        text.push('_');
        base62::draw(random, LENGTH, |character| text.push(character));
        Self::from_trusted(text)
    }

    /// Draws a new id that sorts after those that were drawn at earlier instants: 53 bits of time in
    /// microseconds, 65 of chance.
    pub fn draw_at(at: Timestamp, random: &dyn Random) -> Self {
        let mut suffix = base62::nine_characters(at.as_micros().unsigned_abs());
        suffix.push_str(&base62::random_text(random, LENGTH - suffix.len()));
        Self::from_suffix(&suffix)
    }

    /// The id whose characters after the prefix are `suffix`.
    pub fn from_suffix(suffix: &str) -> Self {
        Self::from_trusted(format!("{}_{suffix}", K::PREFIX))
    }

    /// Reads an id; `None` when it is not one of this kind.
    pub fn parse(text: &str) -> Option<Self> {
        let suffix = text.strip_prefix(K::PREFIX)?.strip_prefix('_')?;
        (suffix.len() >= SHORTEST && suffix.len() <= 64 && base62::is_base62(suffix))
            .then(|| Self::from_trusted(text))
    }
}

impl<K> Id<K> {
    /// Takes text that is known to be an id of this kind, such as a stored row's.
    pub fn from_trusted(text: impl Into<CompactString>) -> Self {
        Self {
            text: text.into(),
            kind: PhantomData,
        }
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K> From<String> for Id<K> {
    /// Takes a stored id.
    fn from(text: String) -> Self {
        Self::from_trusted(text)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// A customer of this instance, or the child of one.
#[derive(Debug, PartialEq, Eq)]
pub enum Account {}
/// A named set of API keys in an account.
#[derive(Debug, PartialEq, Eq)]
pub enum Project {}
/// A key that an end user presents.
#[derive(Debug, PartialEq, Eq)]
pub enum ApiKey {}
/// A credential that a program of the account presents to us.
#[derive(Debug, PartialEq, Eq)]
pub enum AccessKey {}
/// The instance-wide credential.
#[derive(Debug, PartialEq, Eq)]
pub enum OperatorKey {}
/// One change, in the trail of changes.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {}
/// How to talk to one product, as an account brought it.
#[derive(Debug, PartialEq, Eq)]
pub enum Connector {}
/// One tenant's credentials for one connector.
#[derive(Debug, PartialEq, Eq)]
pub enum ConnectedAccount {}
/// A filter over a connected account's tools, with a secret URL.
#[derive(Debug, PartialEq, Eq)]
pub enum McpServer {}
/// A link by which somebody connects an account of theirs.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkToken {}
/// That an access key may read keys of a project back, until an instant.
#[derive(Debug, PartialEq, Eq)]
pub enum RevealGrant {}
/// One logged call of a tool.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {}
/// A URL that is told what happens in an account.
#[derive(Debug, PartialEq, Eq)]
pub enum Webhook {}
/// One event on its way to one webhook.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {}
/// A person.
#[derive(Debug, PartialEq, Eq)]
pub enum User {}
/// That a person is signed in, in one program of theirs.
#[derive(Debug, PartialEq, Eq)]
pub enum Session {}
/// A token of a session.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionToken {}
/// A role that a person holds in one place.
#[derive(Debug, PartialEq, Eq)]
pub enum RoleAssignment {}
/// That somebody is asked into an account.
#[derive(Debug, PartialEq, Eq)]
pub enum Invitation {}
/// Something that the people of an account are told.
#[derive(Debug, PartialEq, Eq)]
pub enum Notification {}
/// One HTTP request.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {}

impl Kind for Account {
    const PREFIX: &'static str = "acc";
}
impl Kind for Connector {
    const PREFIX: &'static str = "con";
}
impl Kind for Project {
    const PREFIX: &'static str = "prj";
}
impl Kind for ApiKey {
    const PREFIX: &'static str = "key";
}
impl Kind for AccessKey {
    const PREFIX: &'static str = "ack";
}
impl Kind for OperatorKey {
    const PREFIX: &'static str = "opr";
}
impl Kind for Event {
    const PREFIX: &'static str = "evt";
}
impl Kind for ConnectedAccount {
    const PREFIX: &'static str = "cac";
}
impl Kind for McpServer {
    const PREFIX: &'static str = "mcp";
}
impl Kind for LinkToken {
    const PREFIX: &'static str = "lnk";
}
impl Kind for RevealGrant {
    const PREFIX: &'static str = "rvg";
}
impl Kind for Call {
    const PREFIX: &'static str = "cal";
}
impl Kind for Webhook {
    const PREFIX: &'static str = "whk";
}
impl Kind for Delivery {
    const PREFIX: &'static str = "dlv";
}
impl Kind for User {
    const PREFIX: &'static str = "usr";
}
impl Kind for Session {
    const PREFIX: &'static str = "ses";
}
impl Kind for SessionToken {
    const PREFIX: &'static str = "tok";
}
impl Kind for RoleAssignment {
    const PREFIX: &'static str = "rol";
}
impl Kind for Invitation {
    const PREFIX: &'static str = "inv";
}
impl Kind for Notification {
    const PREFIX: &'static str = "ntf";
}
impl Kind for Request {
    const PREFIX: &'static str = "req";
}

/// The prefixes of all ids that a caller can meet, also of kinds that are not built yet.
const PREFIXES: [&str; 19] = [
    "acc", "prj", "key", "ack", "opr", "evt", "cac", "mcp", "rvg", "cal", "req", "usr", "whk",
    "dlv", "inv", "ntf", "ses", "rol", "lnk",
];

/// Whether `text` is shaped as one of our ids, of whatever kind.
pub fn is_shaped_as_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, suffix)| {
        PREFIXES.contains(&prefix) && suffix.len() >= SHORTEST && base62::is_base62(suffix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_is_not_read() {
        assert!(Id::<Account>::parse("acc_0123456789abcdef").is_some());
        assert!(Id::<Account>::parse("prj_0123456789abcdef").is_none());
        assert!(Id::<Account>::parse("acc_0123456789abcde").is_none());
        assert!(Id::<Account>::parse("acc_0123456789abcde/").is_none());
        assert!(Id::<Account>::parse("acc").is_none());
    }

    #[test]
    fn ids_of_instants_sort_as_these_do() {
        let random = Repeating(61);
        let later = Repeating(0);
        let at = |micros| Timestamp::from_micros(micros);
        let instants = [0, 1, 61, 62, 1_795_000_000_000_000, 1_795_000_000_000_001];
        for pair in instants.windows(2) {
            let earlier = Id::<Event>::draw_at(at(pair[0]), &random);
            assert!(earlier < Id::draw_at(at(pair[1]), &later), "{earlier}");
            assert_eq!(Id::parse(earlier.as_str()), Some(earlier));
        }
    }

    /// The same byte, for ever.
    struct Repeating(u8);

    impl Random for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn shapes_of_all_kinds_are_known() {
        assert!(is_shaped_as_id("whk_0123456789abcdef0123"));
        assert!(!is_shaped_as_id("customer_0123456789abcdef"));
        assert!(!is_shaped_as_id("key_short"));
    }
}
