//! Deliveries: each event that a webhook is told of, until its receiver has taken it.
//!
//! An event waits in its own row until it is fanned out, once, by whichever program is first. A
//! webhook with deliveries that are due is held by one worker at a time, under a lease: what that one
//! is doing is done by another when the lease is over. So each delivery is sent at least once, and
//! twice only where it is not known what became of it.

mod fan_out;
mod log;
mod room;
mod work;

pub use self::fan_out::{Fanned, fan_out, is_awaited};
pub use self::log::{
    Filter, LOOKED_AT, Span, list, replay, replay_all, replayable, resume, take_away,
};
pub use self::room::{MOST_WAITING, recount};
pub use self::work::{
    Attempt, Busy, Claimed, Due, Health, LEASE, Outcome, backlog, claim, due, is_due, record,
    release, sweep,
};

/// A delivery as its log shows it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// Its id, `dlv_…`.
    pub id: String,
    /// The event that it tells of, which is also what receivers know it by.
    pub event_id: String,
    /// What happened.
    pub topic: String,
    /// What became of it, as [`DeliveryStatus`](claviger_domain::webhook::DeliveryStatus) spells it.
    pub status: String,
    /// What each attempt came to, the oldest first, JSON: a list of [`Attempt`]s.
    pub attempts: String,
    /// When it is tried next.
    pub next_at: Option<i64>,
    /// When the event happened.
    pub created_at: i64,
}
