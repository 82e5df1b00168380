//! API keys as the cache has them.

use std::sync::Arc;

use claviger_domain::decision::KeyRules;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::Allowance;
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
        let limit = match self.meters.known_limit(&key.lineage) {
            Some(limit) => limit,
            None => {
                let is_counted = key.rate_limit.is_some() || key.quota.is_some();
                let flushed = if is_counted {
                    usage::allowance(&self.db, &key.lineage).await?
                } else {
                    None
                };
                self.meters.limit(&key.lineage, || {
                    let allowance = flushed.unwrap_or_else(Allowance::default);
                    LimitMeter::new(key.lineage.clone(), allowance, key.rate_limit)
                })
            }
        };
        Ok(KnownKey {
            rules: key.rules(),
            key,
            meter,
            limit,
        })
    }
}
