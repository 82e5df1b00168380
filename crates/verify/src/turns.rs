//! Turns at the database: so many at once, shared out among those who want one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use tokio::sync::oneshot;

use crate::counters::TurnsTaken;

/// Turns at once. More than there are connections, so that none of these is idle while a request
/// reads a body or writes an answer, and so that changes find others to share a commit with.
const AT_ONCE: usize = 64;
/// Those of one party who wait, at most.
const WAITING: usize = 256;

/// Among whom turns are shared out: none of them can take what another's wait is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// A family of accounts, by its root.
    Family(Id<id::Account>),
    /// Whoever runs the instance.
    Operator,
    /// Whoever has presented nothing known yet, by the network that they come from.
    Network(IpAddr),
}

impl Party {
    /// Those who come from an address; of version 6 its first half, all of which one subscriber has.
    pub fn from_address(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Too many of the same party wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

/// A turn at the database, until it is dropped.
#[derive(Debug)]
pub struct Turn(Option<Arc<Mutex<Queue>>>);

/// Gives out turns: while there are more parties than turns, each in its round.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    at_once: usize,
    free: usize,
    /// Parties of whom somebody waits, the next first.
    round: VecDeque<Party>,
    waiting: HashMap<Party, VecDeque<oneshot::Sender<Turn>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self::new(AT_ONCE)
    }
}

impl Turns {
    fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            at_once,
            free: at_once,
            round: VecDeque::new(),
            waiting: HashMap::new(),
        })))
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self, party: &Party) -> Result<Turn, Crowded> {
        let turn = {
            let mut queue = lock(&self.0);
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Turn(Some(Arc::clone(&self.0))));
            }
            queue.wait(party)?
        };
        // The other end goes only after it was used.
        turn.await.map_err(|_| Crowded)
    }

    /// How many are held and waited for. Those who went away still wait until their turn comes.
    pub(crate) fn taken(&self) -> TurnsTaken {
        let queue = lock(&self.0);
        TurnsTaken {
            in_use: queue.at_once - queue.free,
            waiting: queue.waiting.values().map(VecDeque::len).sum(),
        }
    }
}

impl Queue {
    fn wait(&mut self, party: &Party) -> Result<oneshot::Receiver<Turn>, Crowded> {
        let waiting = self.waiting.entry(party.clone()).or_default();
        // Whoever went away meanwhile takes no place.
        waiting.retain(|one| !one.is_closed());
        if waiting.len() >= WAITING {
            return Err(Crowded);
        }
        if waiting.is_empty() && !self.round.contains(party) {
            self.round.push_back(party.clone());
        }
        let (give, turn) = oneshot::channel();
        waiting.push_back(give);
        Ok(turn)
    }

    /// Who is next: the longest waiting of the party whose round it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(party) = self.round.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&party) else {
                continue;
            };
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.waiting.remove(&party);
            } else {
                self.round.push_back(party);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else {
            return;
        };
        let mut turn = Self(Some(Arc::clone(&queue)));
        loop {
            let next = {
                let mut queue = lock(&queue);
                let next = queue.next();
                if next.is_none() {
                    queue.free += 1;
                }
                next
            };
            let Some(next) = next else {
                turn.0 = None;
                return;
            };
            match next.send(turn) {
                Ok(()) => return,
                // That one does not wait any more.
                Err(back) => turn = back,
            }
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    fn party(last: u8) -> Party {
        Party::from_address(IpAddr::from([192, 0, 2, last]))
    }

    /// A wait that has begun, and did not get its turn yet.
    fn begin(turns: &Arc<Turns>, who: u8) -> BoxFuture<'static, Result<Turn, Crowded>> {
        let turns = Arc::clone(turns);
        let mut wait = async move { turns.take(&party(who)).await }.boxed();
        assert!((&mut wait).now_or_never().is_none(), "it has to wait");
        wait
    }

    #[tokio::test]
    async fn a_party_that_comes_late_waits_for_one_turn_and_not_for_a_crowd() {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(&party(1)).await.unwrap();
        let mut crowd: Vec<_> = (0..100).map(|_| begin(&turns, 1)).collect();
        let mut late = begin(&turns, 2);
        drop(held);
        let first = (&mut crowd[0]).now_or_never().expect("its turn").unwrap();
        assert!((&mut late).now_or_never().is_none());
        drop(first);
        assert!(late.now_or_never().expect("its turn").is_ok());
    }

    #[tokio::test]
    async fn a_crowd_is_told_to_come_again_and_others_are_not() {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(&party(1)).await.unwrap();
        let crowd: Vec<_> = (0..WAITING).map(|_| begin(&turns, 1)).collect();
        assert_eq!(turns.take(&party(1)).await.map(drop), Err(Crowded));
        let other = begin(&turns, 2);
        let taken = TurnsTaken {
            in_use: 1,
            waiting: WAITING + 1,
        };
        assert_eq!(turns.taken(), taken);
        // They go away without their turn, and leave their places.
        drop(crowd);
        let again = begin(&turns, 1);
        drop(held);
        let (other, again) = tokio::join!(async { other.await.map(drop) }, async {
            again.await.map(drop)
        });
        assert_eq!((other, again), (Ok(()), Ok(())));
        assert_eq!(lock(&turns.0).free, 1);
        assert!(lock(&turns.0).waiting.is_empty());
    }

    #[tokio::test]
    async fn a_turn_that_was_given_to_one_who_went_away_goes_on_to_the_next() {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(&party(1)).await.unwrap();
        let gone = begin(&turns, 2);
        let next = begin(&turns, 3);
        drop(held);
        // It has its turn now, and goes without looking.
        drop(gone);
        assert!(next.now_or_never().expect("its turn").is_ok());
        assert_eq!(lock(&turns.0).free, 1);
    }

    #[test]
    fn one_subscriber_of_version_6_is_one_party() {
        let party = |text: &str| Party::from_address(text.parse().unwrap());
        assert_eq!(party("2001:db8::1"), party("2001:db8::ffff:1:2:3"));
        assert_ne!(party("2001:db8::1"), party("2001:db8:0:1::1"));
        assert_eq!(party("::ffff:192.0.2.1"), party("192.0.2.1"));
    }
}
