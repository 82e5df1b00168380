//! Looks into the database for what somebody presents, within a budget of wrong guesses.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::time::Timestamp;
use claviger_store::{Asker, StoreError};

use crate::counters::Looked;
use crate::guesses::Guesser;
use crate::{Network, Verifier};

/// Why it is not known what somebody presents.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The database did not say.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too much was presented that does not exist.
    #[error("too many wrong guesses")]
    OverBudget {
        /// Seconds until the budget starts anew, rounded up.
        retry_after_seconds: u64,
    },
    /// Too much was asked for or tried, whatever came of it.
    #[error("too many attempts")]
    TooManyAttempts {
        /// Seconds until the budget starts anew, rounded up.
        retry_after_seconds: u64,
    },
}

impl LookError {
    /// Over the budget of guesses until then.
    pub(crate) fn until(later: Timestamp, now: Timestamp) -> Self {
        Self::OverBudget {
            retry_after_seconds: seconds(later, now),
        }
    }

    /// Over the budget of attempts until then.
    pub(crate) fn too_many(later: Timestamp, now: Timestamp) -> Self {
        Self::TooManyAttempts {
            retry_after_seconds: seconds(later, now),
        }
    }
}

fn seconds(later: Timestamp, now: Timestamp) -> u64 {
    let micros = later.micros_since(now).max(0).unsigned_abs();
    micros.div_ceil(1_000_000)
}

impl Verifier {
    /// Reads what has the digest of something that counts once, such as an invitation's token.
    pub async fn look_for_one_time<T>(
        &self,
        from: Option<Network>,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, LookError> {
        self.look(from.map(Guesser::Tokens), find).await
    }

    /// Reads what has the digest of a token that is not cached here, as work for the family that it
    /// leads to. `root_of` tells that.
    ///
    /// What a token leads to never changes, and one that leads nowhere never will: tokens are drawn
    /// at random. So that is remembered, and a dead one costs nothing.
    pub async fn look_for_token<T>(
        &self,
        digest: KeyDigest,
        from: Option<Network>,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
        root_of: impl FnOnce(&T) -> Id<id::Account>,
    ) -> Result<Option<T>, LookError> {
        match self.tokens.get(&digest) {
            Some(None) => return Ok(None),
            Some(Some(root)) => return Ok(Asker::Family(root).scope(find()).await?),
            None => {}
        }
        let found = self.look(from.map(Guesser::Tokens), find).await?;
        self.tokens.insert(digest, found.as_ref().map(root_of));
        Ok(found)
    }

    /// Looks for what may not be there; without a guesser there is no budget.
    pub(crate) async fn look<T>(
        &self,
        who: Option<Guesser>,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, LookError> {
        let found = self.look_within_budget(who.as_ref(), find).await;
        let outcome = match &found {
            Ok(Some(_)) => Looked::Found,
            Ok(None) => Looked::Absent,
            Err(LookError::OverBudget { .. }) => Looked::OverBudget,
            Err(LookError::Store(StoreError::Crowded)) => Looked::Crowded,
            Err(LookError::Store(_) | LookError::TooManyAttempts { .. }) => Looked::Failed,
        };
        match who {
            Some(Guesser::Keys(..)) => self.counters.looked_for_key(outcome),
            _ => self.counters.looked_for_credential(outcome),
        }
        found
    }

    async fn look_within_budget<T>(
        &self,
        who: Option<&Guesser>,
        find: impl AsyncFnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, LookError> {
        let now = self.clock.now();
        if let Some(who) = who
            && let Err(later) = self.guesses.check_budget(who, now)
        {
            return Err(LookError::until(later, now));
        }
        let mut pending = Pending {
            verifier: self,
            who,
        };
        let found = find().await;
        // A guess is wrong when nothing is there; what the database did not say is none.
        if !matches!(found, Ok(None)) {
            pending.who = None;
        }
        drop(pending);
        Ok(found?)
    }
}

/// A guess that counts as wrong unless it is told otherwise, also when nobody waits for the answer.
struct Pending<'a> {
    verifier: &'a Verifier,
    who: Option<&'a Guesser>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(who) = self.who {
            self.verifier.guesses.count(who, self.verifier.clock.now());
        }
    }
}
