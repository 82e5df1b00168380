//! Why a document is not read. What is told is where and what, never what stands there: a document may
//! come from anybody, and its text is nobody's to repeat.

use std::fmt;

use super::{DEEPEST, LARGEST, MOST_OPERATIONS, MOST_PARAMETERS};

/// A place in a document's text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Position {
    /// The place of a byte of the text.
    pub(super) fn of(text: &[u8], at: usize) -> Self {
        let before = &text[..at.min(text.len())];
        let count = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let lines = before.split(|byte| *byte == b'\n').count();
        Self {
            line: u64::try_from(lines).unwrap_or(u64::MAX),
            column: count(&before[start.map_or(0, |start| start + 1)..]) + 1,
        }
    }
}

/// Why a document cannot be read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    /// What is wrong.
    pub kind: DocumentFault,
    /// The place, where the fault has one.
    pub position: Option<Position>,
}

/// What can be wrong with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentFault {
    /// It is larger than any document that is read.
    TooLarge,
    /// It is nested too deep.
    TooDeep,
    /// Reading it takes too long.
    TooSlow,
    /// It has the character NUL, which not every database keeps.
    Nul,
    /// It is no JSON.
    NotJson,
    /// It is neither JSON nor YAML.
    NotYaml,
    /// A mapping has a key twice.
    DuplicateKey,
    /// It has a YAML alias where none is taken.
    Alias,
    /// It is of another kind or version.
    Version,
    /// It has no `paths`.
    NoPaths,
    /// It has more operations than are read.
    TooManyOperations,
    /// An operation has more parameters than are read.
    TooManyParameters,
    /// A reference leads out of the document.
    OutsideReference,
    /// A reference leads to nothing, or in a circle.
    LostReference,
}

impl From<DocumentFault> for DocumentError {
    fn from(kind: DocumentFault) -> Self {
        Self {
            kind,
            position: None,
        }
    }
}

impl DocumentFault {
    pub(super) fn at(self, position: Option<Position>) -> DocumentError {
        DocumentError {
            kind: self,
            position,
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the OpenAPI document, ")?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "line {line} column {column}: ")?;
        } else {
            f.write_str("as a whole: ")?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "more than {} MiB", LARGEST / 1_024 / 1_024),
            Self::TooDeep => write!(f, "nested deeper than {DEEPEST}"),
            Self::TooSlow => f.write_str("reading it takes too long"),
            Self::Nul => f.write_str("the character NUL, which cannot be kept"),
            Self::NotJson => f.write_str("not JSON"),
            Self::NotYaml => f.write_str("neither JSON nor YAML"),
            Self::DuplicateKey => f.write_str("a key that the same mapping has already"),
            Self::Alias => f.write_str("a YAML alias; write out what it stands for"),
            Self::Version => f.write_str(
                "no version that is read: it must begin with `openapi: 3.0…`, `openapi: 3.1…` or `swagger: \"2.0\"`",
            ),
            Self::NoPaths => f.write_str("no `paths`"),
            Self::TooManyOperations => {
                write!(f, "more than {MOST_OPERATIONS} operations; keep those that are to be tools")
            }
            Self::TooManyParameters => {
                write!(f, "an operation with more than {MOST_PARAMETERS} parameters")
            }
            Self::OutsideReference => {
                f.write_str("a `$ref` out of the document; bundle what it refers to into it")
            }
            Self::LostReference => f.write_str("a `$ref` to what is not in the document"),
        }
    }
}
