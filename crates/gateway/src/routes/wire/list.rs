//! A list with its cursors.

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct ListBody<T> {
    /// What is on the page.
    result: Vec<T>,
    /// `next_cursor` of the page after this one; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// `next_cursor` of the page before this one; null on the first, and of the log.
    #[schema(required)]
    prev_cursor: Option<String>,
    /// How much is on the page.
    result_count: usize,
}

impl<T> ListBody<T> {
    pub(crate) fn of(
        items: impl Iterator<Item = T>,
        (next_cursor, prev_cursor): (Option<String>, Option<String>),
    ) -> Self {
        let result: Vec<T> = items.collect();
        Self {
            result_count: result.len(),
            result,
            next_cursor,
            prev_cursor,
        }
    }
}
