//! The limit of an access key's own calls, in its two members.

use claviger_domain::limit::{DEFAULT_WINDOW_SECONDS, RateLimit};
use claviger_edge::{ApiError, Patch};

/// The limit after a change of its members.
pub(crate) fn changed(
    stored: Option<RateLimit>,
    limit: &Patch<u64>,
    seconds: &Patch<u32>,
) -> Result<Option<RateLimit>, ApiError> {
    let kept_seconds = stored.map_or(DEFAULT_WINDOW_SECONDS, RateLimit::window_seconds);
    let seconds = match seconds {
        Patch::Keep => kept_seconds,
        Patch::Clear => DEFAULT_WINDOW_SECONDS,
        Patch::Set(seconds) => *seconds,
    };
    let limit = match limit {
        Patch::Keep => stored.map(RateLimit::limit),
        Patch::Clear => None,
        Patch::Set(limit) => Some(*limit),
    };
    let Some(limit) = limit else { return Ok(None) };
    RateLimit::new(limit, seconds).map(Some).ok_or_else(|| {
        let message = "must be at least 1, with rateLimitTtl 1 to 2678400 seconds";
        ApiError::field("rateLimit", message)
    })
}
