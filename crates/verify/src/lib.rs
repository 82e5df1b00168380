//! The hot path: who presents which key, may it pass, and what that took from limit and quota.
//!
//! No database is asked while a key is cached. The caches are told of changes, not timed, so every
//! change to a key goes through here. What is counted is flushed each second.

mod changes;
mod check;
mod counters;
mod crossings;
mod feed;
mod figures;
mod flush;
mod guesses;
mod import;
mod key_cache;
mod keys;
mod known_key;
mod look;
mod meter;
mod meters;
mod moment;
mod people;
mod place;
mod presenters;
mod projects;
mod slots;
mod told;
mod told_cache;
mod verifier;

pub use changes::{Creation, Edit, Rotation, RotationRefused};
pub use check::{Checked, Counting, Found, Question};
pub use counters::{CacheSize, Histogram, Looked};
pub use feed::{Bounds, Following};
pub use guesses::{Attempt, Network};
pub use import::{Brought, Imported};
pub use known_key::KnownKey;
pub use look::LookError;
pub use meter::Activity;
pub use people::{KnownUser, Refreshed, Tokens};
pub use presenters::{CallerLimit, KnownAccessKey, Presenter};
pub use told_cache::ToldCache;
pub use verifier::{KEY_CACHE_BYTES, Settings, Verifier};
