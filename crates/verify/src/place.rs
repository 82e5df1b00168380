//! Where keys are: a project with its account, once for all its keys in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::Environment;
use claviger_domain::rights::AccountRef;
use claviger_store::api_keys::ApiKey;

/// A project, as its keys have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) project_id: Id<id::Project>,
    pub(crate) account: AccountRef,
    pub(crate) environment: Environment,
}

/// The places of keys in memory.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<Id<id::Project>, Arc<Place>>>);

impl Places {
    /// The place of a key, the same one for all that are there.
    pub(crate) fn of(&self, key: &ApiKey) -> Arc<Place> {
        let place = Place {
            project_id: key.project_id.clone(),
            account: key.account.clone(),
            environment: key.environment,
        };
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = places.get(&place.project_id)
            && **known == place
        {
            return Arc::clone(known);
        }
        let place = Arc::new(place);
        places.insert(key.project_id.clone(), Arc::clone(&place));
        place
    }

    /// Whether keys in memory may be in one that `is_it` tells.
    pub(crate) fn is_any(&self, is_it: impl Fn(&Place) -> bool) -> bool {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.values().any(|place| is_it(place))
    }

    /// Lets go of places where no key is in memory.
    pub(crate) fn sweep(&self) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| Arc::strong_count(place) > 1);
    }
}
