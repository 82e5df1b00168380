//! API keys as the cache has them.

use std::sync::Arc;

use claviger_domain::decision::KeyRules;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::{Allowance, Level};
use claviger_store::api_keys::ApiKey;
use claviger_store::{StoreError, usage};

use crate::meters::{Bounds, KeyMeter, LimitMeter};
use crate::{Activity, Verifier};

/// Where a presented key is looked for: a family of accounts, and the key's digest.
pub(crate) type PresentedAs = (Id<id::Account>, KeyDigest);

/// A key with what is counted of it.
#[derive(Debug)]
pub struct KnownKey {
    /// The key as its row has it.
    pub key: ApiKey,
    /// The rules that decide who passes with it.
    pub rules: KeyRules,
    pub(crate) meter: Arc<KeyMeter>,
    /// Where it has a limit or a quota. Made when it gets one, so that it begins as it was left.
    pub(crate) limit: Option<Arc<LimitMeter>>,
}

impl KnownKey {
    /// When it was used, as far as it is not flushed yet.
    pub fn activity(&self) -> Activity {
        self.meter.activity()
    }
}

impl Verifier {
    /// Joins a row with the meters that count it.
    pub(crate) async fn known(&self, key: ApiKey) -> Result<KnownKey, StoreError> {
        let meter = self.meters.key(&key.id, || {
            KeyMeter::new(
                key.id.clone(),
                key.project_id.clone(),
                key.first_used_at.is_some(),
            )
        });
        let limit = if is_limited(&key) {
            Some(self.limit_meter(&key.lineage).await?)
        } else {
            None
        };
        Ok(KnownKey {
            rules: key.rules(),
            key,
            meter,
            limit,
        })
    }

    /// How much of its quota a key has used, where it has one.
    ///
    /// The database is asked when nothing is counted of its lineage here. Making, changing and
    /// rotating a key see to that before they commit, and a sweep leaves it for a minute more: what
    /// they answer with does not fail after the commit.
    pub async fn quota_level(&self, key: &ApiKey) -> Result<Option<Level>, StoreError> {
        if key.quota.is_none() {
            return Ok(None);
        }
        let meter = self.limit_meter(&key.lineage).await?;
        Ok(meter.look(bounds(key), 0, self.clock.now()).quota)
    }

    /// The meter of a key that is about to be made, where it has a limit or a quota: nothing was
    /// counted of it yet.
    pub(crate) fn meter_of_new(&self, key: &ApiKey) -> Option<Arc<LimitMeter>> {
        let make = || LimitMeter::new(key.lineage.clone(), Allowance::default());
        is_limited(key).then(|| self.meters.limit(&key.lineage, make))
    }

    /// The meter that a key's limit and quota are counted by, also while it has none.
    pub(crate) async fn meter_of(&self, key: &ApiKey) -> Result<Arc<LimitMeter>, StoreError> {
        self.limit_meter(&key.lineage).await
    }

    /// The running limit of a lineage: the one that counts here, else as it was flushed last.
    pub(crate) async fn limit_meter(
        &self,
        lineage: &Id<id::ApiKey>,
    ) -> Result<Arc<LimitMeter>, StoreError> {
        if let Some(known) = self.meters.known_limit(lineage) {
            return Ok(known);
        }
        let flushed = usage::allowance(&self.db, lineage).await?;
        Ok(self.meters.limit(lineage, || {
            LimitMeter::new(lineage.clone(), flushed.unwrap_or_default())
        }))
    }
}

/// What a request with the key is counted by.
pub(crate) fn bounds(key: &ApiKey) -> Bounds {
    Bounds {
        limit: key.rate_limit,
        quota: key.quota,
        is_rotated: key.rotated_to.is_some(),
    }
}

fn is_limited(key: &ApiKey) -> bool {
    key.rate_limit.is_some() || key.quota.is_some()
}
