//! How often the status of a connected account changed lately, by what upstreams said.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_store::connected_accounts::Status;

/// How often the status of one connected account changes by calls within a minute. Past it the next call
/// after the minute notes what it finds: an upstream that takes a credential in turns would fill the trail.
const MOST: u32 = 4;
const MINUTE: i64 = 60;
/// How many connected accounts are counted before those are forgotten whose minute is over.
const KEPT: usize = 10_000;

/// How often statuses changed lately.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashMap<Id<id::ConnectedAccount>, Minute>>);

#[derive(Debug, Clone, Copy)]
struct Minute {
    ends_at: Timestamp,
    changes: u32,
    last: Status,
}

impl Noted {
    /// Whether a status is noted. Many calls at once that find the same are one change.
    pub(crate) fn may_change(
        &self,
        connected: &Id<id::ConnectedAccount>,
        status: Status,
        now: Timestamp,
    ) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, minute| now < minute.ends_at);
        }
        let fresh = Minute {
            ends_at: now.plus_seconds(MINUTE),
            changes: 1,
            last: status,
        };
        let minute = kept.entry(connected.clone()).or_insert(fresh);
        if now >= minute.ends_at {
            *minute = fresh;
        }
        if minute.last == status {
            return true;
        }
        if minute.changes == MOST {
            return false;
        }
        minute.changes += 1;
        minute.last = status;
        true
    }
}
