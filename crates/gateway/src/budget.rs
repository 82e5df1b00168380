//! What one MCP server may use: calls in a minute, calls at once, and the size of a result. Counted in
//! memory, by this program alone; a server that rests takes no room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use http::StatusCode;

use crate::failure::Failure;
use crate::limits::Limits;

const MINUTE: i64 = 60_000_000;
/// So many servers are counted before those that rest are looked for.
const BEFORE_SWEEP: usize = 1_024;

/// The budget of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) calls_per_minute: u32,
    pub(crate) calls_in_flight: u32,
    /// The most that the JSON text of a result has, in KiB.
    pub(crate) result_kib: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            calls_per_minute: 600,
            calls_in_flight: 32,
            result_kib: 256,
        }
    }
}

/// What servers have used; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budgets {
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    servers: HashMap<Id<id::McpServer>, Spent>,
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    minute_began: Timestamp,
    calls: u32,
    in_flight: u32,
}

impl Spent {
    fn rests_at(self, now: Timestamp) -> bool {
        self.in_flight == 0 && now.micros_since(self.minute_began) >= MINUTE
    }
}

/// One call that is being made; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    budgets: Budgets,
    server: Id<id::McpServer>,
    minute_began: Timestamp,
}

impl Budgets {
    /// Counts a call, or says when there is room for it. What is refused is not counted.
    pub(crate) fn take(
        &self,
        server: &Id<id::McpServer>,
        budget: Budget,
        now: Timestamp,
    ) -> Result<Turn, Box<Failure>> {
        let mut used = self.lock();
        used.sweep(now);
        let fresh = Spent {
            minute_began: now,
            calls: 0,
            in_flight: 0,
        };
        let spent = used.servers.entry(server.clone()).or_insert(fresh);
        let gone = now.micros_since(spent.minute_began);
        if !(0..MINUTE).contains(&gone) {
            spent.minute_began = now;
            spent.calls = 0;
        }
        if spent.calls >= budget.calls_per_minute {
            let rest = MINUTE - now.micros_since(spent.minute_began);
            let seconds = u64::try_from(rest).unwrap_or(0).div_ceil(1_000_000);
            return Err(Box::new(budget.over_in_a_minute(seconds)));
        }
        if spent.in_flight >= budget.calls_in_flight {
            return Err(Box::new(budget.over_at_once()));
        }
        spent.calls += 1;
        spent.in_flight += 1;
        Ok(Turn {
            budgets: self.clone(),
            server: server.clone(),
            minute_began: spent.minute_began,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Forgets servers that rest, each time that twice as many are counted as were left the last time.
    fn sweep(&mut self, now: Timestamp) {
        if self.servers.len() < self.sweep_at.max(BEFORE_SWEEP) {
            return;
        }
        self.servers.retain(|_, spent| !spent.rests_at(now));
        self.servers.shrink_to(2 * self.servers.len());
        self.sweep_at = 2 * self.servers.len();
    }
}

impl Turn {
    /// Ends a call that was refused after all: it does not count.
    pub(crate) fn give_back(self) {
        let mut used = self.budgets.lock();
        let spent = used.servers.get_mut(&self.server);
        if let Some(spent) = spent.filter(|spent| spent.minute_began == self.minute_began) {
            spent.calls = spent.calls.saturating_sub(1);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(spent) = self.budgets.lock().servers.get_mut(&self.server) {
            spent.in_flight = spent.in_flight.saturating_sub(1);
        }
    }
}

impl Budget {
    /// The most that the JSON text of a result has, in bytes.
    pub(crate) fn result_bytes(self) -> usize {
        usize::try_from(self.result_kib).map_or(usize::MAX, |kib| kib.saturating_mul(1_024))
    }

    fn over_in_a_minute(self, seconds: u64) -> Failure {
        let most = self.calls_per_minute;
        let message = format!(
            "this MCP server takes {most} calls a minute, and they are used up; try again in {seconds} s"
        );
        let limits = Limits {
            limit: Some(u64::from(most)),
            remaining: Some(0),
            reset_s: Some(seconds),
            retry_after_s: Some(seconds),
        };
        over(message, limits)
    }

    fn over_at_once(self) -> Failure {
        let most = self.calls_in_flight;
        let message =
            format!("this MCP server takes {most} calls at once; wait for one of them to end");
        let limits = Limits {
            retry_after_s: Some(1),
            ..Limits::default()
        };
        over(message, limits)
    }
}

fn over(message: String, limits: Limits) -> Failure {
    Failure {
        limits,
        ..Failure::refused(StatusCode::TOO_MANY_REQUESTS, "over_budget", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Budget = Budget {
        calls_per_minute: 3,
        calls_in_flight: 2,
        result_kib: 1,
    };

    fn server(number: usize) -> Id<id::McpServer> {
        Id::from_trusted(format!("mcp_{number:020}"))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus_seconds(seconds)
    }

    fn refused(taken: Result<Turn, Box<Failure>>) -> Option<u64> {
        let failure = taken.err().unwrap();
        assert_eq!(failure.status, 429);
        failure.limits.retry_after_s
    }

    #[test]
    fn a_minute_begins_with_its_first_call() {
        let budgets = Budgets::default();
        for seconds in [0, 10, 59] {
            drop(budgets.take(&server(1), FEW, at(seconds)).unwrap());
        }
        assert_eq!(refused(budgets.take(&server(1), FEW, at(59))), Some(1));
        drop(budgets.take(&server(2), FEW, at(59)).unwrap());
        drop(budgets.take(&server(1), FEW, at(60)).unwrap());
        // A clock that is set back begins anew, too.
        drop(budgets.take(&server(1), FEW, at(0)).unwrap());
    }

    #[test]
    fn calls_at_once_are_bounded_until_one_ends() {
        let budgets = Budgets::default();
        let one = budgets.take(&server(1), FEW, at(0)).unwrap();
        let two = budgets.take(&server(1), FEW, at(0)).unwrap();
        assert_eq!(refused(budgets.take(&server(1), FEW, at(0))), Some(1));
        drop(one);
        // What was refused was not counted: this is the third of the minute.
        drop(budgets.take(&server(1), FEW, at(0)).unwrap());
        assert_eq!(refused(budgets.take(&server(1), FEW, at(0))), Some(60));
        drop(two);
    }

    #[test]
    fn a_call_that_is_refused_after_all_does_not_count() {
        let budgets = Budgets::default();
        for _ in 0..10 {
            budgets.take(&server(1), FEW, at(0)).unwrap().give_back();
        }
        for _ in 0..3 {
            drop(budgets.take(&server(1), FEW, at(0)).unwrap());
        }
        assert_eq!(refused(budgets.take(&server(1), FEW, at(0))), Some(60));
    }

    #[test]
    fn servers_that_rest_are_forgotten() {
        let budgets = Budgets::default();
        let held = budgets.take(&server(0), FEW, at(0)).unwrap();
        for minute in 0..10 {
            for number in 0..BEFORE_SWEEP {
                let number = 1 + number + usize::try_from(minute).unwrap() * BEFORE_SWEEP;
                drop(budgets.take(&server(number), FEW, at(61 * minute)).unwrap());
            }
        }
        let used = budgets.lock();
        assert!(
            used.servers.len() <= 2 * BEFORE_SWEEP + 1,
            "{}",
            used.servers.len()
        );
        assert!(used.servers.contains_key(&server(0)));
        drop(used);
        drop(held);
        assert_eq!(budgets.lock().servers[&server(0)].in_flight, 0);
    }
}
