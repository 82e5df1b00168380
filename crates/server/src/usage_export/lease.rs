//! The lease under which the program exports by itself.

use anyhow::{Context, Result};
use claviger_edge::Core;
use claviger_store::jobs::{self, Claim};

/// A lease that is held.
pub(super) struct Lease<'a> {
    pub(super) core: &'a Core,
    pub(super) claim: Claim,
}

impl Lease<'_> {
    /// Holds it for longer; an error where another program has it.
    pub(super) async fn keep(&self) -> Result<()> {
        let held = jobs::claim(&self.core.db, &self.claim, self.core.now()).await?;
        held.context("another program has taken it over")?;
        Ok(())
    }
}
