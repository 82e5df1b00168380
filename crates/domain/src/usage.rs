//! Usage: what is counted of each check.

/// What a check came to, as usage counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UsageOutcome {
    /// The key passed.
    Successful,
    /// The key exists and did not pass: revoked, expired, wrong origin, address or scope.
    Failed,
    /// The key was over its limit or quota.
    RateLimited,
}

/// Checks of one key in one hour, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageCounts {
    /// Checks that passed.
    pub successful: u64,
    /// Checks that did not pass.
    pub failed: u64,
    /// Checks over limit or quota.
    pub rate_limited: u64,
}

impl UsageCounts {
    /// Counts one check.
    pub const fn count(&mut self, outcome: UsageOutcome) {
        match outcome {
            UsageOutcome::Successful => self.successful += 1,
            UsageOutcome::Failed => self.failed += 1,
            UsageOutcome::RateLimited => self.rate_limited += 1,
        }
    }

    /// Adds what was counted elsewhere.
    pub const fn add(&mut self, other: Self) {
        self.successful += other.successful;
        self.failed += other.failed;
        self.rate_limited += other.rate_limited;
    }

    /// All checks.
    pub const fn total(self) -> u64 {
        self.successful + self.failed + self.rate_limited
    }
}
