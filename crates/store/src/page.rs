//! Parts of a list.

use claviger_domain::time::Timestamp;

/// Rows that one query of a long list reads.
pub const PAGE_SIZE: i64 = 500;

/// Which part of a list, ordered by creation and id, to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Creation and id of the row before the first.
    pub after: (Timestamp, String),
    /// Rows to skip from there.
    pub offset: i64,
    /// Rows to read, at most.
    pub limit: i64,
}

impl Page {
    /// The first `limit` rows after skipping `offset`.
    pub fn first(limit: i64, offset: i64) -> Self {
        Self {
            after: (Timestamp::from_micros(i64::MIN), String::new()),
            offset,
            limit,
        }
    }

    /// The next `limit` rows after one.
    pub fn after(created_at: Timestamp, id: &str, limit: i64) -> Self {
        Self {
            after: (created_at, id.to_owned()),
            offset: 0,
            limit,
        }
    }
}
