//! How many calls of other APIs are made at once. Each may hold an answer of 8 MiB and what is read of it,
//! for as long as the other API takes; and what is large is read where it keeps nobody else waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_edge::{ApiError, ErrorCode};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// How many calls are made at once.
const ALL: usize = 128;
/// How many of them are made for one family of accounts.
const OF_FAMILY: usize = 32;
/// From so many on, a family that has a few already gets no more: a few families whose upstreams hang leave
/// room to all others.
const CROWDED: usize = 96;
const FEW: usize = 4;
/// The largest answer that is read where it arrives, in bytes.
const LARGE: usize = 256 * 1024;
/// How many larger ones are read at once.
const READERS: usize = 2;

/// The calls of other APIs that are being made; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    taken: Arc<Mutex<Taken>>,
    readers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    families: HashMap<Id<id::Account>, usize>,
}

/// The place of one call, from before its request until its answer is read.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    family: Id<id::Account>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            taken: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }
}

impl InFlight {
    /// A place for a call of an account of this family. Nobody waits for one.
    pub(crate) fn take(&self, family: &Id<id::Account>) -> Result<Place, ApiError> {
        let mut taken = lock(&self.taken);
        let own = taken.families.get(family).copied().unwrap_or_default();
        if own >= OF_FAMILY {
            let message = format!(
                "{OF_FAMILY} calls of other APIs are being made for this account and those above and below it: \
                 wait for one of them to end"
            );
            return Err(too_busy(message));
        }
        if taken.all >= ALL || taken.all >= CROWDED && own >= FEW {
            let message = "too many calls of other APIs are being made by this instance: try again";
            return Err(too_busy(message.to_owned()));
        }
        taken.all += 1;
        taken.families.insert(family.clone(), own + 1);
        Ok(Place {
            taken: Arc::clone(&self.taken),
            family: family.clone(),
        })
    }

    /// Reads an answer of that size. Whoever waits for a turn has a place, so that they are few.
    pub(crate) async fn read<T>(&self, size: usize, read: impl FnOnce() -> T) -> T {
        if size <= LARGE {
            return read();
        }
        let _turn = self.readers.acquire().await;
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => block_in_place(read),
            // There is no other thread that could go on meanwhile.
            _ => read(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(own) = taken.families.get_mut(&self.family) {
            *own -= 1;
            if *own == 0 {
                taken.families.remove(&self.family);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_busy(message: String) -> ApiError {
    ApiError::new(ErrorCode::TooBusy, message).with_retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(number: usize) -> Id<id::Account> {
        Id::from_trusted(format!("acc_{number:020}"))
    }

    fn taken(in_flight: &InFlight, number: usize, most: usize) -> Vec<Place> {
        let places = (0..most).map_while(|_| in_flight.take(&family(number)).ok());
        places.collect()
    }

    #[test]
    fn a_family_has_a_part_and_gives_it_back() {
        let in_flight = InFlight::default();
        let places = taken(&in_flight, 1, 100);
        assert_eq!(places.len(), OF_FAMILY);
        let refusal = in_flight.take(&family(1)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::TooBusy);
        assert_eq!(taken(&in_flight, 2, 5).len(), 5);
        drop(places);
        assert_eq!(taken(&in_flight, 1, 100).len(), OF_FAMILY);
        assert_eq!(lock(&in_flight.taken).all, 0);
        assert!(lock(&in_flight.taken).families.is_empty());
    }

    #[test]
    fn families_that_take_all_they_can_leave_room_to_others() {
        let in_flight = InFlight::default();
        let mut held: Vec<_> = (0..3)
            .map(|number| taken(&in_flight, number, 100))
            .collect();
        for number in 3..10 {
            let few = taken(&in_flight, number, 100);
            assert_eq!(few.len(), FEW);
            held.push(few);
        }
        held.push(taken(&in_flight, 10, 100));
        assert_eq!(lock(&in_flight.taken).all, ALL);
        assert!(in_flight.take(&family(11)).is_err());
        drop(held);
        assert_eq!(lock(&in_flight.taken).all, 0);
    }

    #[tokio::test]
    async fn what_is_large_is_read_on_any_runtime() {
        assert_eq!(InFlight::default().read(LARGE + 1, || 7).await, 7);
    }
}
