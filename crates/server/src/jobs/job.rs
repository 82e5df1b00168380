//! The jobs that others see the figures of: those that remove what is past its time, and those that look
//! each minute whether there is something to do.

use crate::usage_export;

const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 86_400;

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    Calls,
    Requests,
    Events,
    Deleted,
    Usage,
}

impl Job {
    pub(crate) const ALL: [Self; 5] = [
        Self::Calls,
        Self::Requests,
        Self::Events,
        Self::Deleted,
        Self::Usage,
    ];

    /// Its name, in the database and in figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Requests => "requests",
            Self::Events => "events",
            Self::Deleted => "deleted",
            Self::Usage => "usage",
        }
    }

    pub(super) const fn every_seconds(self) -> i64 {
        match self {
            Self::Calls | Self::Requests | Self::Events | Self::Deleted => HOUR_SECONDS,
            // Every key that was ever used is looked at.
            Self::Usage => DAY_SECONDS,
        }
    }
}

/// A job that looks each minute whether there is something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Regular {
    /// Tells of keys that expire.
    Expiry,
    /// Exports usage.
    UsageExport,
}

impl Regular {
    pub(crate) const ALL: [Self; 2] = [Self::Expiry, Self::UsageExport];

    /// Its name, in the database and in figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::UsageExport => usage_export::JOB,
        }
    }
}
