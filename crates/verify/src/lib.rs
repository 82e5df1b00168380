//! The hot path: who presents which key, may it pass, and what that took from limit and quota.
//!
//! No database is asked while a key is cached. The caches are told of changes, not timed, so every
//! change to a key goes through here. What is counted is flushed each second.

mod changes;
mod check;
mod counters;
mod figures;
mod flush;
mod guesses;
mod import;
mod keys;
mod look;
mod meters;
mod presenters;
mod told;
mod told_cache;
mod verifier;

pub use changes::{Creation, Edit, Rotation, RotationRefused};
pub use check::{Checked, Counting, Found, Question};
pub use counters::{CacheSize, Histogram, Looked};
pub use guesses::Network;
pub use import::{Brought, Imported};
pub use keys::KnownKey;
pub use look::LookError;
pub use meters::Activity;
pub use presenters::{CallerLimit, KnownAccessKey, Presenter};
pub use told_cache::ToldCache;
pub use verifier::{Settings, Verifier};
