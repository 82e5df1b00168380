//! The turns of whoever tells webhooks: from events to deliveries, and who is served next.

use std::sync::PoisonError;

use claviger_store::StoreError;
use claviger_store::webhook_deliveries::{self as deliveries, Busy, Claimed, Health};
use claviger_store::webhooks;
use tokio::sync::watch;

use crate::webhooks::Webhooks;

/// What one transaction looks at to fan events out: each for each webhook of its account.
const LOOKED_AT: usize = 1_000;
/// Deliveries that one transaction lets go of.
const SWEPT: i64 = 500;
/// How long a receiver's webhook rests when what is ours went wrong with it, in seconds.
const REST: i64 = 60;

impl Webhooks {
    /// Makes deliveries of some of the events that wait for it, and tells whether there may be more.
    pub async fn fan_out(&self) -> Result<bool, StoreError> {
        if !deliveries::is_awaited(&self.db).await? {
            return Ok(false);
        }
        let (change, after) = (self.change(), self.after());
        let fanned = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { deliveries::fan_out(tx, &change, &after, LOOKED_AT).await })
            })
            .await?;
        *self.fanned.lock().unwrap_or_else(PoisonError::into_inner) = fanned.after;
        Ok(fanned.events > 0)
    }

    fn after(&self) -> String {
        let after = self.fanned.lock();
        after.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes hold of the webhook whose deliveries have waited longest, but for those that are busy.
    pub async fn claim(&self, busy: Busy) -> Result<Option<Claimed>, StoreError> {
        let change = self.change();
        if !deliveries::is_due(&self.db, change.now, &busy).await? {
            return Ok(None);
        }
        self.db
            .write(move |tx| Box::pin(async move { deliveries::claim(tx, &change, &busy).await }))
            .await
    }

    /// Sends what is due of a webhook that is held, for a while, and lets go of it.
    pub async fn serve(
        &self,
        claimed: Claimed,
        stopped: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let mut health = Health::default();
        let worked = self.work(&claimed, &mut health, stopped).await;
        if worked.is_err() {
            // Else it would be claimed again at once, and fail again.
            let rest = self.clock.now().plus_seconds(REST);
            health.rests_until = health.rests_until.max(Some(rest));
        }
        let change = self.change();
        let released = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { deliveries::release(tx, &change, &claimed, health).await })
            })
            .await;
        if released? {
            self.figures.disabled_one();
        }
        worked
    }

    /// Lets go of some deliveries that are older than they are kept, and of secrets that sign nothing any
    /// more, and tells whether there are more.
    pub async fn sweep(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let swept = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    webhooks::forget(tx, now, SWEPT).await?;
                    deliveries::sweep(tx, now, SWEPT).await
                })
            })
            .await?;
        deliveries::recount(&self.db).await?;
        Ok(swept == SWEPT.unsigned_abs())
    }

    /// Looks how much waits.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (waiting, oldest) = deliveries::backlog(&self.db, now).await?;
        let late = oldest.map_or(0, |due| now.micros_since(due).max(0));
        self.figures
            .measured(waiting.unsigned_abs(), late.unsigned_abs());
        Ok(())
    }
}
