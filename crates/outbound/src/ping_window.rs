//! What is remembered of pings, so that nobody makes too many.

/// Pings of everybody that are in flight at once, at most.
pub(crate) const AT_ONCE: usize = 32;

/// The pings of a family in the present minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) minute: i64,
    pub(crate) used: u32,
}
