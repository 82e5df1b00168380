//! Keys over their limit, or at the end of their quota, as events: noted by checks as a flag, and told by
//! the next flush, so that no check waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_store::key_notices::{self, Notice};
use claviger_store::{Change, StoreError};

use crate::Verifier;
use crate::meter::{Crossing, SharedMeter};
use crate::meters::TakenOut;

/// Seconds for which it is remembered that somebody was told: then the database is asked whether that is
/// still enough.
const REMEMBERED_SECONDS: i64 = 300;
/// Keys that are told of in one flush, at most; the others are left to the next.
const MOST: usize = 250;

impl Verifier {
    /// Tells of keys that nobody was told of for the time. Those that were told of stay flagged check by
    /// check, and are sorted out here without a look into the database.
    pub(crate) async fn tell_crossings(&self, taken: &TakenOut) -> Result<(), StoreError> {
        let now = self.clock.now();
        let crossings = taken.crossings.iter();
        let untold: Vec<_> = crossings
            .filter(|(meter, crossing)| {
                // Of a period that is over it is too late to tell, and of the next one it is not so.
                let is_over = matches!(crossing, Crossing::QuotaReached { until } if *until <= now);
                !is_over && !self.is_told(meter, *crossing, now)
            })
            .cloned()
            .collect();
        let (some, rest) = untold.split_at(untold.len().min(MOST));
        self.meters.put_back_crossings(rest);
        if some.is_empty() {
            return Ok(());
        }
        let told = self.tell_some(some, now).await;
        match &told {
            Ok(()) => {
                let until = now.plus_seconds(REMEMBERED_SECONDS);
                for (meter, crossing) in some {
                    let what = (meter.id().clone(), *crossing);
                    self.crossings_told.insert(what, until);
                }
            }
            Err(_) => self.meters.put_back_crossings(some),
        }
        told
    }

    fn is_told(&self, meter: &SharedMeter, crossing: Crossing, now: Timestamp) -> bool {
        let until = self.crossings_told.get(&(meter.id().clone(), crossing));
        // One that is far ahead was worked out by a clock that has been put back since.
        until.is_some_and(|until| now < until && until <= now.plus_seconds(REMEMBERED_SECONDS))
    }

    async fn tell_some(
        &self,
        crossings: &[(SharedMeter, Crossing)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut notices: BTreeMap<Notice, Vec<Id<id::ApiKey>>> = BTreeMap::new();
        for (meter, crossing) in crossings {
            let notice = match *crossing {
                Crossing::None => continue,
                Crossing::RateLimited => Notice::RateLimited,
                Crossing::QuotaReached { until } => Notice::QuotaReached { until },
            };
            notices.entry(notice).or_default().push(meter.id().clone());
        }
        let change = Change {
            actor: Actor::System,
            now,
            random: Arc::clone(&self.random),
        };
        self.db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    for (notice, ids) in notices {
                        let keys = key_notices::of_ids(tx, &ids).await?;
                        key_notices::tell(tx, &change, notice, &keys).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}
