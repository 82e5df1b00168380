//! What is wrong with a connector, and where in its file.

use std::fmt;

use serde_saphyr::Location;

/// One fault of a connector file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1, where the fault has one.
    pub line: Option<u64>,
    /// The column, counted from 1, where the fault has one.
    pub column: Option<u64>,
    /// What is wrong, naming the member.
    pub message: String,
}

impl Fault {
    pub(crate) fn at(place: &Location, message: String) -> Self {
        let known = *place != Location::UNKNOWN;
        Self {
            line: known.then(|| place.line()),
            column: known.then(|| place.column()),
            message,
        }
    }

    pub(crate) fn perhaps_at(place: Option<&Location>, message: String) -> Self {
        match place {
            Some(place) => Self::at(place, message),
            None => Self::without_place(message),
        }
    }

    pub(crate) fn without_place(message: String) -> Self {
        Self {
            line: None,
            column: None,
            message,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line} column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Every fault that was found in one connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Faults(pub Vec<Fault>);
