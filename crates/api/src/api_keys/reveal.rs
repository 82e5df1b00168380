//! Keys that are read back, for access keys that were granted that.

use std::collections::{HashMap, HashSet};

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::PlainKey;
use claviger_edge::{Core, Identity};
use claviger_store::api_keys::ApiKey;
use claviger_store::{StoreError, reveal_grants, sealed_keys};

/// An access key that may read keys of some projects back.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    access_key: Id<id::AccessKey>,
    projects: HashSet<Id<id::Project>>,
}

impl Reader {
    /// The caller, where it may read anything back now; mostly it may not.
    pub(super) async fn of(core: &Core, caller: &Identity) -> Result<Option<Self>, StoreError> {
        let Some(access_key) = caller.may_hold_reveal() else {
            return Ok(None);
        };
        let projects = reveal_grants::projects_of(&core.db, access_key, core.now()).await?;
        Ok((!projects.is_empty()).then(|| Self {
            access_key: access_key.clone(),
            projects: projects.into_iter().collect(),
        }))
    }

    /// Those of the keys that it may read back, in full. They are noted in the trail before anything
    /// of them is answered; where that cannot be written, none is read. Whether it may is asked once
    /// more there: a grant may have ended since.
    pub(super) async fn read(
        &self,
        core: &Core,
        keys: &[ApiKey],
    ) -> Result<HashMap<Id<id::ApiKey>, PlainKey>, StoreError> {
        let granted = keys
            .iter()
            .filter(|key| self.projects.contains(&key.project_id));
        let ids: Vec<_> = granted.map(|key| key.id.clone()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let to = self.access_key.clone();
        let change = core.change(&Actor::AccessKey(to.clone()));
        let read = core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { sealed_keys::reveal(tx, &change, &to, ids.iter()).await })
        });
        // One that does not open is shown by its reference, and holds up no other.
        let opened = read.await?.into_iter().filter_map(|(id, sealed)| {
            match core.verifier.unsealed(&id, &sealed) {
                Ok(plain) => Some((id, plain)),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, key_id = %id, "a key that was kept sealed does not open");
                    None
                }
            }
        });
        Ok(opened.collect())
    }
}
