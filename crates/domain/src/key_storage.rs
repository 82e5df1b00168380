//! What is kept of the keys of a project.

/// Whether the keys of a project can be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStorage {
    /// Only their digests are kept.
    Hashed,
    /// They are kept sealed, too, and shown to whoever holds `keys:reveal` there.
    Recoverable,
}

impl KeyStorage {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hashed, Self::Recoverable];

    /// The name on the wire and in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::Recoverable => "recoverable",
        }
    }

    /// Reads a name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| text.eq_ignore_ascii_case(one.as_str()))
    }

    /// Whether full keys are kept, sealed.
    pub fn is_recoverable(self) -> bool {
        self == Self::Recoverable
    }
}

impl TryFrom<String> for KeyStorage {
    type Error = UnknownKeyStorage;

    fn try_from(text: String) -> Result<Self, UnknownKeyStorage> {
        Self::parse(&text).ok_or(UnknownKeyStorage)
    }
}

/// A row names a way of keeping keys that this program does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the way of keeping keys is not known")]
pub struct UnknownKeyStorage;
