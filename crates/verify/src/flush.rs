//! The flush: what was counted becomes rows.

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_store::{Change, StoreError, api_keys, usage};

use crate::Verifier;
use crate::meters::Dropped;
use crate::told::to_the_end;

/// Minutes of keys that wait to be written, at most; 200 to 300 bytes each.
const MOST_WAITING: usize = 200_000;

impl Verifier {
    /// Writes what was counted since the last flush. What cannot be written is kept for the next, up
    /// to 200,000 minutes of keys: where there are more, the oldest are dropped, which the log tells.
    ///
    /// Called each second, and once more at a clean stop. No check waits for it. It goes on to its
    /// end when its caller does not wait for that.
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
        let mut taken = self.meters.take_out();
        let rows = taken.rows.minutes.len() + taken.rows.allowances.len();
        if !taken.rows.is_empty()
            && let Err(error) = usage::add(&self.db, &taken.rows).await
        {
            if let Some(Dropped { minutes, checks }) = taken.drop_oldest(MOST_WAITING) {
                tracing::error!(
                    minutes,
                    checks,
                    "too much usage waits, the oldest is dropped"
                );
            }
            self.meters.put_back(&taken);
            return Err(error);
        }
        if taken.first_uses.is_empty() {
            return Ok(rows);
        }
        let change = Change {
            actor: Actor::System,
            now: self.clock.now(),
            random: Arc::clone(&self.random),
        };
        let uses = taken.first_uses.clone();
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
        Ok(rows)
    }

    /// Lets go of counters that nothing needs any more; called each minute.
    pub fn sweep(&self) {
        self.meters.sweep(self.clock.now());
    }
}
