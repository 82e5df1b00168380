//! Turns at the database: so many at once, shared out among those who want one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::Asker;

/// Those of one asker that wait, at most.
const WAITING: usize = 256;

/// Turns that are held, and that are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnsTaken {
    /// Those that are held.
    pub in_use: usize,
    /// Those who wait for one.
    pub waiting: usize,
}

/// Too many of the same asker's wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn(Option<Arc<Mutex<Queue>>>);

/// Gives out turns: while there are more askers than turns, to each in its round.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    at_once: usize,
    free: usize,
    /// Askers of whom somebody waits, the next first.
    round: VecDeque<Asker>,
    waiting: HashMap<Asker, VecDeque<oneshot::Sender<Turn>>>,
}

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            at_once,
            free: at_once,
            round: VecDeque::new(),
            waiting: HashMap::new(),
        })))
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self, asker: &Asker) -> Result<Turn, Crowded> {
        let turn = {
            let mut queue = lock(&self.0);
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Turn(Some(Arc::clone(&self.0))));
            }
            queue.wait(asker)?
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
    fn wait(&mut self, asker: &Asker) -> Result<oneshot::Receiver<Turn>, Crowded> {
        let waiting = self.waiting.entry(asker.clone()).or_default();
        // Whoever went away meanwhile takes no place.
        waiting.retain(|one| !one.is_closed());
        if waiting.len() >= WAITING {
            return Err(Crowded);
        }
        if waiting.is_empty() && !self.round.contains(asker) {
            self.round.push_back(asker.clone());
        }
        let (give, turn) = oneshot::channel();
        waiting.push_back(give);
        Ok(turn)
    }

    /// Who is next: the longest waiting of the asker whose round it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(asker) = self.round.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&asker) else {
                continue;
            };
            // Those who went away cost their asker no round.
            let mut next = waiting.pop_front();
            while next.as_ref().is_some_and(oneshot::Sender::is_closed) {
                next = waiting.pop_front();
            }
            if waiting.is_empty() {
                self.waiting.remove(&asker);
            } else {
                self.round.push_back(asker);
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
    use claviger_domain::id::Id;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    fn asker(name: u8) -> Asker {
        Asker::Family(Id::from_trusted(name.to_string()))
    }

    /// A wait that has begun, and did not get its turn yet.
    fn begin(turns: &Arc<Turns>, who: u8) -> BoxFuture<'static, Result<Turn, Crowded>> {
        let turns = Arc::clone(turns);
        let mut wait = async move { turns.take(&asker(who)).await }.boxed();
        assert!((&mut wait).now_or_never().is_none(), "it has to wait");
        wait
    }

    #[tokio::test]
    async fn an_asker_that_comes_late_waits_for_one_turn_and_not_for_a_crowd() {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(&asker(1)).await.unwrap();
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
        let held = turns.take(&asker(1)).await.unwrap();
        let crowd: Vec<_> = (0..WAITING).map(|_| begin(&turns, 1)).collect();
        assert_eq!(turns.take(&asker(1)).await.map(drop), Err(Crowded));
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
        let held = turns.take(&asker(1)).await.unwrap();
        let gone = begin(&turns, 2);
        let next = begin(&turns, 3);
        drop(held);
        // It has its turn now, and goes without looking.
        drop(gone);
        assert!(next.now_or_never().expect("its turn").is_ok());
        assert_eq!(lock(&turns.0).free, 1);
    }
}
