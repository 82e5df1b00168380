//! API keys as the cache has them.

use std::sync::Arc;

use claviger_domain::decision::KeyRules;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::Level;
use claviger_store::api_keys::ApiKey;
use claviger_store::{StoreError, usage};

use crate::Verifier;
use crate::meters::{KeyMeter, LimitMeter};

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
    pub(crate) limit: Arc<LimitMeter>,
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
        let limit = self.limit_meter(&key).await?;
        Ok(KnownKey {
            rules: key.rules(),
            key,
            meter,
            limit,
        })
    }

    /// How much of its quota a key has used, where it has one.
    pub async fn quota_level(&self, key: &ApiKey) -> Result<Option<Level>, StoreError> {
        if key.quota.is_none() {
            return Ok(None);
        }
        let meter = self.limit_meter(key).await?;
        Ok(meter.look(None, key.quota, 0, self.clock.now()).quota)
    }

    async fn limit_meter(&self, key: &ApiKey) -> Result<Arc<LimitMeter>, StoreError> {
        if let Some(meter) = self.meters.known_limit(&key.lineage) {
            return Ok(meter);
        }
        // Also where the key has no limit now: it may have one again before the window is over.
        let flushed = usage::allowance(&self.db, &key.lineage).await?;
        Ok(self.meters.limit(&key.lineage, || {
            LimitMeter::new(
                key.lineage.clone(),
                flushed.unwrap_or_default(),
                key.rate_limit,
            )
        }))
    }
}
