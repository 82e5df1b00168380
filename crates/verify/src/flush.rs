//! The flush: what was counted becomes rows.

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;
use claviger_store::{
    Change, StoreError, api_keys, idempotency, mails, one_time_codes, reveal_grants, sealed_keys,
    sessions, usage,
};

use crate::Verifier;
use crate::meter::SharedMeter;
use crate::meters::{Dropped, TakenOut};
use crate::told::to_the_end;

/// Hours of keys that wait to be written, at most; some 200 bytes each with what keeps them.
const MOST_WAITING: usize = 1_000_000;

/// Keys a second that are written out of the journal, about: a tenth of a core, see `docs/performance.md`.
const FOLDED_A_SECOND: i64 = 2_000;

/// First uses in one change, and in one flush, at most.
const FIRST_USES_AT_ONCE: usize = 250;
const MOST_FIRST_USES: usize = 2_000;

/// Microseconds for which a part of the journal is paid off, at most.
const LONGEST_REST: i64 = 60_000_000;

/// Which part of the journal is written next, and when: a part that was many rows is paid off in
/// time, so that checks have the processor and rows collect more before they are written.
#[derive(Debug)]
pub(crate) struct Folding {
    shard: u16,
    not_before: Timestamp,
}

impl Default for Folding {
    fn default() -> Self {
        Self {
            shard: 0,
            not_before: Timestamp::from_micros(0),
        }
    }
}

impl Verifier {
    /// Writes what was counted since the last flush. What cannot be written is kept for the next, up
    /// to 1,000,000 hours of keys: where there are more, the oldest are dropped, which the log tells.
    ///
    /// Called each second, and once more at a clean stop. No check waits for it. It goes on to its
    /// end when its caller does not wait for that. What was counted of very many keys is in the
    /// journal then, and becomes rows by [`Self::fold`].
    pub async fn flush(self: &Arc<Self>) -> Result<(), StoreError> {
        let verifier = Arc::clone(self);
        to_the_end(async move {
            let _one_at_a_time = verifier.flushing.lock().await;
            let began = verifier.clock.now();
            let written = verifier.flush_now().await;
            let duration_us = verifier.clock.now().micros_since(began);
            let rows = written.as_ref().ok().copied();
            verifier.counters.flushed(duration_us, rows);
            written.map(drop)
        })
        .await
    }

    /// Gives how many rows of counters were written.
    async fn flush_now(&self) -> Result<usize, StoreError> {
        let mut taken = self.meters.take_out().await;
        let rows = taken.rows(self.clock.now()).await;
        let count = rows.len();
        let added = usage::add(&self.db, &rows).await;
        drop(rows);
        if let Err(error) = added {
            if let Some(Dropped { hours, checks }) = taken.drop_oldest(MOST_WAITING) {
                tracing::error!(hours, checks, "too much usage waits, the oldest is dropped");
            }
            self.meters.put_back(&taken);
            return Err(error);
        }
        let noted = self.note_first_uses(&taken).await;
        let told = self.tell_crossings(&taken).await;
        taken.let_go().await;
        told?;
        noted?;
        Ok(count)
    }

    /// Notes first uses, some in one change, so that others get their turns in between. What is too
    /// much for one flush is left to the next ones: keys that were never used before come in crowds.
    async fn note_first_uses(&self, taken: &TakenOut) -> Result<(), StoreError> {
        let mut uses = &taken.first_uses[..];
        let (mut left, mut outcome) = (MOST_FIRST_USES, Ok(()));
        while left > 0 && !uses.is_empty() && outcome.is_ok() {
            let (some, rest) = uses.split_at(uses.len().min(FIRST_USES_AT_ONCE));
            outcome = self.note_some_first_uses(some).await;
            if outcome.is_ok() {
                uses = rest;
                left -= some.len();
            }
        }
        self.meters.put_back_first_uses(uses);
        outcome
    }

    async fn note_some_first_uses(
        &self,
        uses: &[(SharedMeter, Timestamp)],
    ) -> Result<(), StoreError> {
        let uses = uses.iter().map(|(meter, at)| (meter.id().clone(), *at));
        let uses: Vec<_> = uses.collect();
        let change = Change {
            actor: Actor::System,
            now: self.clock.now(),
            random: Arc::clone(&self.random),
        };
        self.db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { api_keys::note_first_uses(tx, &change, &uses).await })
            })
            .await
            .map(drop)
    }

    /// Writes parts of the journal where they belong; called each second. When its caller does not
    /// wait for it any more, what it has not finished stays in the journal.
    pub async fn fold(&self) -> Result<(), StoreError> {
        let mut folding = self.folding.lock().await;
        let now = self.clock.now();
        // One that is far ahead was worked out by a clock that has been put back since.
        let wait = folding.not_before.micros_since(now);
        if (1..LONGEST_REST).contains(&wait) {
            return Ok(());
        }
        let waiting = usage::waiting(&self.db).await?;
        let next = waiting.partition_point(|shard| *shard < folding.shard);
        let (mut left, mut outcome) = (FOLDED_A_SECOND, Ok(()));
        for shard in waiting[next..].iter().chain(&waiting[..next]) {
            if left <= 0 {
                break;
            }
            // One that cannot be read does not keep the others.
            folding.shard = shard + 1;
            match usage::fold(&self.db, *shard, now).await {
                Ok(rows) => left -= i64::try_from(rows).unwrap_or(i64::MAX),
                Err(error) => outcome = Err(error),
            }
        }
        folding.not_before = now.plus_seconds((-left).max(0) / FOLDED_A_SECOND);
        outcome
    }

    /// Lets go of counters that nothing needs any more; called each minute.
    pub async fn sweep(&self) {
        self.meters.sweep(self.clock.now()).await;
        self.places.sweep();
    }

    /// Erases answers and keys that were kept sealed for a time, and grants that have ended; called each
    /// minute, anywhere and any number of times. None of them is given out any more, erased or not.
    pub async fn erase_due(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        idempotency::erase_due(&self.db, now).await?;
        sealed_keys::erase_due(&self.db, now).await?;
        reveal_grants::forget_ended(&self.db, now).await?;
        sessions::forget_ended(&self.db, now).await?;
        one_time_codes::forget_ended(&self.db, now).await?;
        mails::forget_ended(&self.db, now).await
    }
}
