//! Imports that come at the same time are written in one transaction, since each commit waits for the
//! disk; and in pieces, so that whoever writes something else waits for one of those only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_store::api_keys::{self, Incoming, Stored};
use claviger_store::{Change, StoreError, Turn, Tx};
use tokio::sync::oneshot;

use super::pace::Pace;
use crate::Verifier;
use crate::told::{Notes, Touched};

/// Rows after which a transaction takes in no more: those who wait for its commit bring no others
/// meanwhile, and the writer would have nothing to do after it.
const SHARED_ROWS: usize = 48_000;

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: Mutex<Waiting>,
    pace: Pace,
}

#[derive(Debug, Default)]
struct Waiting {
    loads: Vec<Load>,
    /// Whether somebody is on the way to the database for them.
    is_led: bool,
}

/// The keys of one request, until its caller is told.
#[derive(Debug)]
struct Load {
    change: Change,
    root: Id<id::Account>,
    rows: Arc<Vec<Incoming>>,
    /// What came of its first rows.
    stored: Vec<Stored>,
    /// Of how many of them that is committed.
    committed: usize,
    answer: oneshot::Sender<Result<Vec<Stored>, StoreError>>,
    /// Let go of with the load.
    _turn: Turn,
}

impl Load {
    /// Whether rows are left, and somebody wants to know about them.
    fn goes_on(&self) -> bool {
        self.stored.len() < self.rows.len() && !self.answer.is_closed()
    }

    fn tell(self, outcome: Result<(), StoreError>) {
        // Who went away does not want it.
        drop(self.answer.send(outcome.map(|()| self.stored)));
    }
}

impl Line {
    /// Adds one; whether nobody leads them yet.
    fn join(&self, load: Load) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.loads.push(load);
        !std::mem::replace(&mut waiting.is_led, true)
    }

    /// All that wait, but for those whose callers have gone.
    fn take(&self) -> Vec<Load> {
        let mut loads = std::mem::take(&mut lock(&self.waiting).loads);
        loads.retain(|load| !load.answer.is_closed());
        loads
    }
}

/// Whoever goes to the database once, for all. After it the next one does, however it ended.
struct Leader(Arc<Verifier>);

impl Drop for Leader {
    fn drop(&mut self) {
        let mut waiting = lock(&self.0.imports.waiting);
        waiting.is_led = !waiting.loads.is_empty();
        if waiting.is_led {
            tokio::spawn(Self(Arc::clone(&self.0)).lead());
        }
    }
}

impl Verifier {
    /// Stores keys of a family of accounts, after those that others brought earlier. The outcomes are
    /// in the rows' order. Where the caller goes away no more of them are stored.
    pub(super) async fn store_in_line(
        self: &Arc<Self>,
        change: &Change,
        root: &Id<id::Account>,
        rows: Arc<Vec<Incoming>>,
    ) -> Result<Vec<Stored>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let turn = self.db.turn_to_import().await?;
        let (answer, answered) = oneshot::channel();
        let load = Load {
            change: change.clone(),
            root: root.clone(),
            stored: Vec::with_capacity(rows.len()),
            committed: 0,
            rows,
            answer,
            _turn: turn,
        };
        if self.imports.join(load) {
            tokio::spawn(Leader(Arc::clone(self)).lead());
        }
        answered.await.map_err(|_| StoreError::Busy)?
    }

    /// Stores rows of these loads, one load after another, and of those that come meanwhile; until
    /// somebody waits to write anything else.
    async fn store_loads(
        &self,
        tx: &mut Tx,
        touched: &Notes,
        loads: &mut Vec<Load>,
        takes_others: bool,
    ) -> Result<(), StoreError> {
        let (mut place, mut written) = (0, 0);
        while written < SHARED_ROWS {
            if place == loads.len() && takes_others {
                loads.extend(self.imports.take());
            }
            let Some(load) = loads.get_mut(place) else {
                break;
            };
            if !load.goes_on() {
                place += 1;
                continue;
            }
            written += self.store_piece(tx, touched, load).await?;
            // One is this transaction's own.
            if self.db.changes().in_use > 1 {
                break;
            }
        }
        Ok(())
    }

    /// Stores as many of its next rows as others may wait for, and tells how many.
    async fn store_piece(
        &self,
        tx: &mut Tx,
        touched: &Notes,
        load: &mut Load,
    ) -> Result<usize, StoreError> {
        let pace = &self.imports.pace;
        let began = self.clock.now();
        let left = &load.rows[load.stored.len()..];
        let length = api_keys::fitting(left.iter().take(pace.rows()));
        let piece = &left[..length];
        for row in piece {
            touched.note(Touched::Key((load.root.clone(), row.digest)));
        }
        let keys: Vec<_> = piece.iter().map(|row| (&load.change, row)).collect();
        let stored = api_keys::store_new(tx, &keys).await?;
        // Nobody knows which key strings the hashes are of, and so which are not absent.
        let has_new_hash = piece.iter().zip(&stored).any(|(row, stored)| {
            Some(row.digest) == row.digest_of_hash && matches!(stored, Stored::Created)
        });
        if has_new_hash {
            touched.note(Touched::AbsencesOf(load.root.clone()));
        }
        load.stored.extend(stored);
        let micros = self.clock.now().micros_since(began);
        pace.learn(length, micros);
        Ok(length)
    }
}

impl Leader {
    async fn lead(self) {
        let (outcome, loads) = self.transaction(Vec::new(), true).await;
        match outcome {
            Ok(()) => self.pass_on(loads),
            // One of them may be the reason, and the others need not suffer for it.
            Err(_) if loads.len() > 1 => {
                for load in loads {
                    let (outcome, loads) = self.transaction(vec![load], false).await;
                    match outcome {
                        Ok(()) => self.pass_on(loads),
                        Err(error) => refuse(loads, error),
                    }
                }
            }
            Err(error) => {
                // Where it did not even begin, they wait still.
                let mut loads = loads;
                if loads.is_empty() {
                    loads = self.0.imports.take();
                }
                refuse(loads, error);
            }
        }
    }

    /// Stores what it can of these loads, and of those that wait if there are to be others; gives those
    /// that it took, with nothing of what failed.
    async fn transaction(
        &self,
        loads: Vec<Load>,
        takes_others: bool,
    ) -> (Result<(), StoreError>, Vec<Load>) {
        let place = Arc::new(Mutex::new(loads));
        let (verifier, inside) = (Arc::clone(&self.0), Arc::clone(&place));
        let outcome = self.0.change_by_import(move |tx, touched| {
            Box::pin(async move {
                let mut loads = std::mem::take(&mut *lock(&inside));
                let stored = verifier.store_loads(tx, &touched, &mut loads, takes_others);
                let outcome = stored.await;
                *lock(&inside) = loads;
                outcome
            })
        });
        let outcome = outcome.await;
        let mut loads = std::mem::take(&mut *lock(&place));
        for load in &mut loads {
            if outcome.is_ok() {
                load.committed = load.stored.len();
            } else {
                load.stored.truncate(load.committed);
            }
        }
        (outcome, loads)
    }

    /// Tells those that are through; the others are the first again.
    fn pass_on(&self, loads: Vec<Load>) {
        let (left, through): (Vec<_>, Vec<_>) = loads.into_iter().partition(Load::goes_on);
        lock(&self.0.imports.waiting).loads.splice(0..0, left);
        for load in through {
            load.tell(Ok(()));
        }
    }
}

/// Tells all of them the one error.
fn refuse(loads: Vec<Load>, error: StoreError) {
    let error = Arc::new(error);
    for load in loads {
        load.tell(Err(StoreError::Shared(Arc::clone(&error))));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
