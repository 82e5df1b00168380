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
        to_the_end(async move { verifier.flush_now().await }).await
    }

    async fn flush_now(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.flushing.lock().await;
        let mut taken = self.meters.take_out();
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
            return Ok(());
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
        Ok(())
    }

    /// Lets go of counters that nothing needs any more; called each minute.
    pub fn sweep(&self) {
        self.meters.sweep(self.clock.now());
    }
}
