//! Randomness, passed in so that tests can seed it.

/// A source of random bytes that nobody can foresee.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
}
