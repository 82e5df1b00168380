//! The flush: what was counted becomes rows.

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;
use claviger_store::{Change, StoreError, api_keys, usage};

use crate::Verifier;
use crate::meters::Dropped;
use crate::told::to_the_end;

/// Hours of keys that wait to be written, at most; about 50 bytes each.
const MOST_WAITING: usize = 1_000_000;

/// Rows a second that are written out of the journal, about: a fiftieth of a core.
const FOLDED_A_SECOND: i64 = 2_000;

/// Which part of the journal is written next, and when: a part that was many rows is paid off in
/// time, so that checks have the processor and rows collect more before they are written.
#[derive(Debug)]
pub(crate) struct Folding {
    shard: u8,
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
        let rows = taken.rows(self.clock.now());
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
        let uses = taken.first_uses();
        if uses.is_empty() {
            return Ok(count);
        }
        let change = Change {
            actor: Actor::System,
            now: self.clock.now(),
            random: Arc::clone(&self.random),
        };
        let written = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { api_keys::note_first_uses(tx, &change, &uses).await })
            })
            .await;
        if let Err(error) = written {
            self.meters.put_back_first_uses(&taken);
            return Err(error);
        }
        Ok(count)
    }

    /// Writes a part of the journal where it belongs; called each second, after the flush.
    pub async fn fold(self: &Arc<Self>) -> Result<(), StoreError> {
        let verifier = Arc::clone(self);
        to_the_end(async move {
            let _one_at_a_time = verifier.flushing.lock().await;
            let mut folding = verifier.folding.lock().await;
            let now = verifier.clock.now();
            let mut left = FOLDED_A_SECOND;
            // Most parts have nothing, or little: once around at most.
            for _ in 0..usage::SHARDS {
                if left <= 0 || now < folding.not_before {
                    break;
                }
                let rows = usage::fold(&verifier.db, folding.shard).await?;
                folding.shard = (folding.shard + 1) % usage::SHARDS;
                left -= i64::try_from(rows).unwrap_or(i64::MAX);
            }
            if left < 0 {
                folding.not_before = now.plus_seconds(-left / FOLDED_A_SECOND);
            }
            Ok(())
        })
        .await
    }

    /// Lets go of counters that nothing needs any more; called each minute.
    pub async fn sweep(&self) {
        self.meters.sweep(self.clock.now()).await;
        self.places.sweep();
    }
}
