//! What every handler needs: the database, the verifier, the time, randomness.

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::random::Random;
use claviger_domain::time::{Clock, Timestamp};
use claviger_outbound::Webhooks;
use claviger_store::sealing::SealingKey;
use claviger_store::{Change, Db};
use claviger_verify::Verifier;
use ipnet::IpNet;

use crate::{People, Traffic};

/// The shared parts of a running program, as one: layers clone it some dozen times a request.
#[derive(Clone)]
pub struct Core(Arc<CoreParts>);

/// What a running program is made of.
pub struct CoreParts {
    /// The database.
    pub db: Db,
    /// Checks keys, and carries out every change to one.
    pub verifier: Arc<Verifier>,
    /// What is sealed under.
    pub sealing: Arc<SealingKey>,
    /// What is told to whom of what happens.
    pub webhooks: Arc<Webhooks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for keys and ids.
    pub random: Arc<dyn Random>,
    /// Whether operator keys are taken from other machines than this one.
    pub remote_operator: bool,
    /// The networks of proxies that are believed when they tell whom they were asked by.
    pub trusted_proxies: Arc<[IpNet]>,
    /// How people come in.
    pub people: People,
    /// What was asked of it, counted.
    pub traffic: Arc<Traffic>,
}

impl std::fmt::Debug for CoreParts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[parts]")
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[core]")
    }
}

impl std::ops::Deref for Core {
    type Target = CoreParts;

    fn deref(&self) -> &CoreParts {
        &self.0
    }
}

impl Core {
    /// Puts them together.
    pub fn of(parts: CoreParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A change that `actor` makes now.
    pub fn change(&self, actor: &Actor) -> Change {
        Change {
            actor: actor.clone(),
            now: self.now(),
            random: Arc::clone(&self.random),
        }
    }
}
