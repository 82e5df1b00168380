//! API keys as the cache has them.

use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::key_storage::KeyStorage;
use claviger_domain::key_string::PlainKey;
use claviger_domain::limit::{Allowance, Level};
use claviger_store::api_keys::ApiKey;
use claviger_store::sealing::Purpose;
use claviger_store::{StoreError, usage};
use secrecy::ExposeSecret;

use crate::meter::{Bounds, Meter, SharedMeter};
use crate::place::Place;
use crate::{KnownKey, Verifier};

impl Verifier {
    /// A key string as it is kept where it can be read back: sealed, for the row of that key alone.
    pub(crate) fn sealed_for(
        &self,
        storage: KeyStorage,
        key: &Id<id::ApiKey>,
        plain: &PlainKey,
    ) -> Option<Vec<u8>> {
        let (subject, text) = (key.as_str(), plain.expose().as_bytes());
        let seal = || {
            self.sealing
                .seal(Purpose::ApiKeys, subject, text, &*self.random)
        };
        storage.is_recoverable().then(seal)
    }

    /// Opens what [`sealed_keys::reveal`](claviger_store::sealed_keys::reveal) read of a key.
    pub fn unsealed(&self, key: &Id<id::ApiKey>, sealed: &[u8]) -> Result<PlainKey, StoreError> {
        let opened = self.sealing.open(Purpose::ApiKeys, key.as_str(), sealed)?;
        let text = std::str::from_utf8(opened.expose_secret());
        text.map(PlainKey::new).map_err(|_| StoreError::Row {
            table: "sealed_keys",
            what: "sealed",
        })
    }

    /// Joins a row with the meters that count it.
    pub(crate) async fn known(&self, key: ApiKey) -> Result<KnownKey, StoreError> {
        let limit = if is_limited(&key) {
            Some(self.meter_of(&key).await?)
        } else {
            None
        };
        let place = self.places.of(&key);
        let meter = match &limit {
            Some(limit) if key.lineage == key.id => limit.clone(),
            _ => self.meters.of(&key.id, || {
                Meter::new(key.id.clone(), Some(Arc::clone(&place)), None)
            }),
        };
        Ok(KnownKey::pack(key, place, meter, limit))
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
        let meter = self.meter_of(key).await?;
        Ok(meter.look(bounds(key), 0, self.clock.now()).quota)
    }

    /// The meter of a key that is about to be made, where it has a limit or a quota: nothing was
    /// counted of it yet.
    pub(crate) fn meter_of_new(&self, key: &ApiKey) -> Option<SharedMeter> {
        let place = self.places.of(key);
        let make = || Meter::new(key.lineage.clone(), Some(place), Some(Allowance::default()));
        is_limited(key).then(|| self.meters.of(&key.lineage, make))
    }

    /// The meter that a key's limit and quota are counted by, also while it has none.
    pub(crate) async fn meter_of(&self, key: &ApiKey) -> Result<SharedMeter, StoreError> {
        let place = self.places.of(key);
        self.limit_meter(&key.lineage, Some(place)).await
    }

    /// The running limit of a lineage: as it is counted here, else as it was flushed last.
    pub(crate) async fn limit_meter(
        &self,
        lineage: &Id<id::ApiKey>,
        place: Option<Arc<Place>>,
    ) -> Result<SharedMeter, StoreError> {
        let known = self.meters.known(lineage);
        if let Some(known) = known.filter(|meter| meter.has_allowance()) {
            return Ok(known);
        }
        let flushed = usage::allowance(&self.db, lineage).await?;
        let allowance = flushed.unwrap_or_default();
        let make = || Meter::new(lineage.clone(), place, Some(allowance));
        let meter = self.meters.of(lineage, make);
        meter.resume(&allowance);
        Ok(meter)
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
