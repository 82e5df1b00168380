//! How often a family of accounts may have something done in a minute: who may make accounts gets no
//! more by that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;

/// Families that are remembered before those are let go whose minute is over.
const REMEMBERED: usize = 1_000;

/// The family has had what it may have in this minute, or too much of everybody's is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// When to come again.
    pub retry_after_seconds: u64,
}

/// What each family may have in a minute.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u32,
    windows: Mutex<HashMap<Id<id::Account>, Window>>,
}

/// What a family had in a minute.
#[derive(Clone, Copy, Debug)]
struct Window {
    minute: i64,
    used: u32,
}

impl Budget {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            windows: Mutex::default(),
        }
    }

    /// Takes one of a family's, by its root.
    pub(crate) fn take(&self, root: &Id<id::Account>, now: Timestamp) -> Result<(), OverBudget> {
        let seconds = now.as_seconds();
        let minute = seconds.div_euclid(60);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= REMEMBERED {
            windows.retain(|_, window| window.minute == minute);
        }
        let fresh = Window { minute, used: 0 };
        let window = windows.entry(root.clone()).or_insert(fresh);
        if window.minute != minute {
            *window = fresh;
        }
        if window.used >= self.most {
            return Err(OverBudget {
                retry_after_seconds: 60 - seconds.rem_euclid(60).unsigned_abs(),
            });
        }
        window.used += 1;
        Ok(())
    }
}
