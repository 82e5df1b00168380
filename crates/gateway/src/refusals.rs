//! How many refused calls have a line in the log. Whoever holds a URL may call without end, and what is
//! refused costs them nothing: past so many within a minute the rest is counted, and told in one line of the
//! program's own log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::time::Timestamp;

/// How many refused calls of one server, or of the proxy on one connected account, have a line in a minute.
const MOST: u32 = 60;
const MINUTE: i64 = 60;
/// How many are counted before those are told and forgotten whose minute is over.
const KEPT: usize = 1_024;

/// The refused calls of a minute, by what was called; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<HashMap<String, Minute>>>);

#[derive(Debug, Clone, Copy)]
struct Minute {
    ends_at: Timestamp,
    refused: u32,
}

impl Refusals {
    /// Counts a refused call, and tells whether it has a line.
    pub(crate) fn has_line(&self, called: &str, now: Timestamp) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|called, minute| {
                let is_over = now >= minute.ends_at;
                if is_over {
                    minute.tell(called);
                }
                !is_over
            });
        }
        let fresh = Minute {
            ends_at: now.plus_seconds(MINUTE),
            refused: 0,
        };
        let minute = kept.entry(called.to_owned()).or_insert(fresh);
        if now >= minute.ends_at {
            minute.tell(called);
            *minute = fresh;
        }
        minute.refused = minute.refused.saturating_add(1);
        if minute.refused == MOST + 1 {
            tracing::warn!(
                called,
                "too many calls are refused: the rest of a minute has no lines"
            );
        }
        minute.refused <= MOST
    }
}

impl Minute {
    fn tell(self, called: &str) {
        let without_line = self.refused.saturating_sub(MOST);
        if without_line > 0 {
            tracing::warn!(
                called,
                without_line,
                "refused calls of a minute have no lines"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_lines_a_minute() {
        let refusals = Refusals::default();
        let at = |seconds| Timestamp::from_micros(1_800_000_000_000_000).plus_seconds(seconds);
        let lines = |called: &str, now| (0..100).filter(|_| refusals.has_line(called, now)).count();
        assert_eq!(lines("mcp_one", at(0)), 60);
        assert_eq!(lines("mcp_one", at(59)), 0);
        assert_eq!(lines("mcp_two", at(59)), 60);
        assert_eq!(lines("mcp_one", at(60)), 60);
    }

    #[test]
    fn those_whose_minute_is_over_are_forgotten() {
        let refusals = Refusals::default();
        for number in 0..10 * KEPT {
            let now = Timestamp::from_micros(i64::try_from(number).unwrap() * 1_000_000);
            refusals.has_line(&number.to_string(), now);
        }
        assert!(refusals.0.lock().unwrap().len() <= KEPT);
    }
}
