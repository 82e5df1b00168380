//! The lease under which the program exports by itself.

use anyhow::{Result, ensure};
use claviger_edge::Core;
use claviger_store::jobs::{self, Claim};
use claviger_store::usage_exports::{self, Part, Progress};

use super::Period;

/// A lease that is held.
pub(super) struct Lease<'a> {
    pub(super) core: &'a Core,
    pub(super) claim: Claim,
}

impl Lease<'_> {
    /// Holds it for longer; an error where another program has it.
    pub(super) async fn keep(&self) -> Result<()> {
        let (claim, now) = (self.claim.clone(), self.core.now());
        let kept = self
            .core
            .db
            .write(move |tx| Box::pin(async move { jobs::keep(tx, &claim, now).await }));
        expect_held(kept.await?)
    }

    /// Notes how far the export of a period came, and the part that is sent next, and holds the lease for
    /// longer; an error where another program has it.
    pub(super) async fn note(
        &self,
        period: &Period,
        progress: &Progress,
        part: Option<Part>,
    ) -> Result<()> {
        let (core, name) = (self.core, period.to_string());
        let noted = usage_exports::note(&core.db, &self.claim, &name, progress, part, core.now());
        expect_held(noted.await?)
    }
}

fn expect_held(is_held: bool) -> Result<()> {
    ensure!(is_held, "another program has taken it over");
    Ok(())
}
