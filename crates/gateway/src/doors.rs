//! How many connectors are read and compiled at once: each takes many times its size meanwhile.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claviger_domain::id::{self, Id};
use claviger_edge::{ApiError, ErrorCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// How many bodies arrive or wait at once.
const BODIES: usize = 8;
/// How many connectors of one kind, sent or stored, are compiled at once.
const AT_ONCE: usize = 2;
/// How long somebody waits for others.
const PATIENCE: Duration = Duration::from_secs(10);

type Families = Mutex<HashSet<Id<id::Account>>>;

/// The doors to reading and compiling connectors.
#[derive(Debug)]
pub(crate) struct Doors {
    /// Who has a body that arrives: one for a family, so that slow ones keep nobody else waiting.
    families: Families,
    bodies: Semaphore,
    sent: Semaphore,
    stored: Semaphore,
}

/// The place of one body, from before it arrives until it is taken in.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    families: &'a Families,
    family: Id<id::Account>,
    _body: SemaphorePermit<'a>,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            families: Families::default(),
            bodies: Semaphore::new(BODIES),
            sent: Semaphore::new(AT_ONCE),
            stored: Semaphore::new(AT_ONCE),
        }
    }
}

impl Doors {
    /// A place for the body of an account of this family, which has one at a time.
    pub(crate) fn place(&self, family: &Id<id::Account>) -> Result<Place<'_>, ApiError> {
        let body = self.bodies.try_acquire().map_err(|_| too_busy())?;
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if !families.insert(family.clone()) {
            return Err(too_busy());
        }
        Ok(Place {
            families: &self.families,
            family: family.clone(),
            _body: body,
        })
    }

    /// Lets a connector in whose body is there.
    pub(crate) async fn sent(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        through(&self.sent).await
    }

    /// Lets a stored connector in.
    pub(crate) async fn stored(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        through(&self.stored).await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.remove(&self.family);
    }
}

async fn through(door: &Semaphore) -> Result<SemaphorePermit<'_>, ApiError> {
    let permit = timeout(PATIENCE, door.acquire()).await;
    permit.ok().and_then(Result::ok).ok_or_else(too_busy)
}

fn too_busy() -> ApiError {
    let message = "Other connectors are being read, try again";
    ApiError::new(ErrorCode::TooBusy, message).with_retry_after(1)
}
