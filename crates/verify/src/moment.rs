//! An instant that may be none, in eight bytes: an `Option` of one takes sixteen.

use claviger_domain::time::Timestamp;

/// An instant, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(i64);

impl Moment {
    /// None: the first instant that there is, 292,000 years ago.
    pub(crate) const NONE: Self = Self(i64::MIN);

    pub(crate) fn get(self) -> Option<Timestamp> {
        (self != Self::NONE).then(|| Timestamp::from_micros(self.0))
    }
}

impl From<Option<Timestamp>> for Moment {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::NONE, |at| Self(at.as_micros()))
    }
}
