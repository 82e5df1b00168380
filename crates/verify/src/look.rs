//! Looks into the database for what somebody presents: each in its turn, and within a budget.

use claviger_store::StoreError;

use crate::attempts::Attempter;
use crate::counters::Looked;
use crate::{Crowded, Party, Turn, Verifier};

/// Why it is not known what somebody presents.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The database did not say.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever asks has asked too often for what is not there.
    #[error("too many looks for what is not there")]
    OverBudget {
        /// Seconds until the budget starts anew, rounded up.
        retry_after_seconds: u64,
    },
    /// Too many of the same party wait already.
    #[error("too many wait for the database")]
    Crowded,
}

impl From<Crowded> for LookError {
    fn from(_: Crowded) -> Self {
        Self::Crowded
    }
}

impl Verifier {
    /// Waits for a turn at the database, which are shared out fairly among the parties that want
    /// one. To be held by whoever works there for a request, until it is answered; whoever holds
    /// one takes no second.
    pub async fn turn(&self, party: &Party) -> Result<Turn, Crowded> {
        self.turns.take(party).await
    }

    /// Finds who or what has this digest in a place that is not cached, such as an MCP server by
    /// its token: in a turn of the network that it is presented from, and within its budget.
    pub async fn look_for<T>(
        &self,
        from: &Party,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, LookError> {
        self.look(from, &Attempter::Presenter(from.clone()), find)
            .await
    }

    pub(crate) async fn look<T>(
        &self,
        party: &Party,
        who: &Attempter,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, LookError> {
        let found = self.look_in_turn(party, who, find).await;
        let outcome = match &found {
            Ok(Some(_)) => Looked::Found,
            Ok(None) => Looked::Absent,
            Err(LookError::OverBudget { .. }) => Looked::OverBudget,
            Err(LookError::Crowded) => Looked::Crowded,
            Err(LookError::Store(_)) => Looked::Failed,
        };
        match who {
            Attempter::Caller(_) => self.counters.looked_for_key(outcome),
            Attempter::Presenter(_) => self.counters.looked_for_credential(outcome),
        }
        found
    }

    async fn look_in_turn<T>(
        &self,
        party: &Party,
        who: &Attempter,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, LookError> {
        let may_look = || {
            let now = self.clock.now();
            self.attempts.may_look(who, now).map_err(|level| {
                let micros = level.resets_at.micros_since(now).max(0).unsigned_abs();
                LookError::OverBudget {
                    retry_after_seconds: micros.div_ceil(1_000_000),
                }
            })
        };
        may_look()?;
        let turn = self.turn(party).await?;
        // The budget may have been used up by those who were before.
        may_look()?;
        let found = find().await?;
        drop(turn);
        if found.is_none() {
            self.attempts.found_nothing(who, self.clock.now());
        }
        Ok(found)
    }
}
