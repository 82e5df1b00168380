//! New keys that wait at the same time are written by one statement, in one transaction.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::{Incoming, Stored, fitting, store_new};
use crate::db::Open;
use crate::{Change, Db, StoreError, Tx};

/// The way in for new keys that come one by one.
///
/// The first that comes goes to the database for all that come until its transaction begins. Each
/// is told its own outcome, once it is committed.
#[derive(Clone, Debug)]
pub struct NewKeys {
    db: Db,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    keys: Vec<Arrival>,
    /// Whether somebody is on the way to the database for them.
    is_led: bool,
}

#[derive(Debug)]
struct Arrival {
    change: Change,
    incoming: Incoming,
    answer: oneshot::Sender<Result<Stored, StoreError>>,
}

impl NewKeys {
    /// The way into that database. Keys that come by different ways are not written together.
    pub fn of(db: &Db) -> Self {
        Self {
            db: db.clone(),
            waiting: Arc::default(),
        }
    }

    /// Stores a key with its event, in its asker's turn.
    ///
    /// One whose caller goes away is stored all the same, once it is on its way to the database.
    pub async fn store(&self, change: Change, incoming: Incoming) -> Result<Stored, StoreError> {
        let _turn = self.db.turn_to_create().await?;
        let (answer, answered) = oneshot::channel();
        let arrival = Arrival {
            change,
            incoming,
            answer,
        };
        if self.join(arrival) {
            self.send_leader();
        }
        answered.await.map_err(|_| StoreError::Busy)?
    }

    /// Adds one; whether nobody leads them yet.
    fn join(&self, arrival: Arrival) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.keys.push(arrival);
        !std::mem::replace(&mut waiting.is_led, true)
    }

    /// Has somebody go to the database for those that wait: a task of its own, for none of them, since
    /// it must not end with the one who happened to be the first.
    fn send_leader(&self) {
        tokio::spawn(self.clone().lead());
    }

    /// Those that wait, as many as one statement takes; the rest, and who comes from here on, wait for
    /// the next.
    fn take(&self) -> Vec<Arrival> {
        let mut waiting = lock(&self.waiting);
        waiting.keys.retain(|arrival| !arrival.answer.is_closed());
        let fitting = fitting(waiting.keys.iter().map(|arrival| &arrival.incoming));
        self.part(&mut waiting, fitting)
    }

    /// The first so many. There is a new leader for the others.
    fn part(&self, waiting: &mut Waiting, count: usize) -> Vec<Arrival> {
        let others = waiting.keys.split_off(count);
        let first = std::mem::replace(&mut waiting.keys, others);
        waiting.is_led = !waiting.keys.is_empty();
        if waiting.is_led {
            self.send_leader();
        }
        first
    }

    async fn lead(self) {
        let here_first = lock(&self.waiting).keys.len();
        let taken = Arc::new(Mutex::new(None));
        let (inside, here) = (Arc::clone(&taken), self.clone());
        let outcome = self
            .db
            .write_alone(move |tx| {
                Box::pin(async move { store_all(tx, &inside, here.take()).await })
            })
            .await;
        let arrivals = lock(&taken).take();
        let arrivals = arrivals.unwrap_or_else(|| {
            // The transaction did not begin, and they wait still. Who came meanwhile has not waited
            // for as long.
            self.part(&mut lock(&self.waiting), here_first)
        });
        match outcome {
            Ok(stored) => {
                for (arrival, stored) in arrivals.into_iter().zip(stored) {
                    // Who went away does not want it.
                    drop(arrival.answer.send(Ok(stored)));
                }
            }
            Err(error) if arrivals.len() > 1 && was_refused(&error) => {
                self.store_apart(arrivals).await;
            }
            Err(error) => {
                let error = Arc::new(error);
                for arrival in arrivals {
                    let error = StoreError::Shared(Arc::clone(&error));
                    drop(arrival.answer.send(Err(error)));
                }
            }
        }
    }

    /// Stores one after another what the database refused together, so that each is told what is its
    /// own fault only.
    async fn store_apart(&self, arrivals: Vec<Arrival>) {
        // Whoever holds a project holds up its other keys too, and those do not wait for it again.
        let mut held = HashMap::<_, Arc<StoreError>>::new();
        for arrival in arrivals {
            let Arrival {
                change,
                incoming,
                answer,
            } = arrival;
            let project = incoming.key.project_id.clone();
            if let Some(error) = held.get(&project) {
                drop(answer.send(Err(StoreError::Shared(Arc::clone(error)))));
                continue;
            }
            let stored = self.db.write(move |tx| {
                Box::pin(async move {
                    wait_for_rows(tx, SHARING).await?;
                    store_new(tx, &[(&change, &incoming)]).await
                })
            });
            let stored = stored.await.map(|mut stored| stored.remove(0));
            let stored = stored.map_err(|error: StoreError| {
                let waited = code_of(&error).is_some_and(|code| code == TOO_LONG);
                let error = Arc::new(error);
                if waited {
                    held.insert(project, Arc::clone(&error));
                }
                StoreError::Shared(error)
            });
            drop(answer.send(stored));
        }
    }
}

/// How long what others have locked is waited for on PostgreSQL, by new keys that hold each other up,
/// and by one that is alone.
const SHARING: &str = "SET LOCAL lock_timeout = '200ms'";
const ALONE: &str = "SET LOCAL lock_timeout = '1s'";
/// What PostgreSQL says once that is over.
const TOO_LONG: &str = "55P03";

/// On SQLite no row is locked.
async fn wait_for_rows(tx: &mut Tx, how_long: &'static str) -> Result<(), StoreError> {
    if let Open::Postgres(open) = &mut tx.open {
        sqlx::raw_sql(how_long).execute(&mut **open).await?;
    }
    Ok(())
}

/// Stores keys, and leaves them where they are found whatever comes of it.
async fn store_all(
    tx: &mut Tx,
    place: &Mutex<Option<Vec<Arrival>>>,
    arrivals: Vec<Arrival>,
) -> Result<Vec<Stored>, StoreError> {
    let keys: Vec<_> = arrivals
        .iter()
        .map(|arrival| (&arrival.change, &arrival.incoming))
        .collect();
    let stored = if keys.is_empty() {
        Ok(Vec::new())
    } else {
        store_within(tx, &keys).await
    };
    *lock(place) = Some(arrivals);
    stored
}

async fn store_within(
    tx: &mut Tx,
    keys: &[(&Change, &Incoming)],
) -> Result<Vec<Stored>, StoreError> {
    wait_for_rows(tx, if keys.len() > 1 { SHARING } else { ALONE }).await?;
    store_new(tx, keys).await
}

/// Whether the database itself said that nothing was stored: one of many may have been the reason,
/// also by what it waited for.
fn was_refused(error: &StoreError) -> bool {
    const IN_ANOTHERS_WAY: [&str; 3] = ["40001", "40P01", TOO_LONG];
    code_of(error).is_some_and(|code| !error.is_unavailable() || IN_ANOTHERS_WAY.contains(&&*code))
}

/// What the database said.
fn code_of(error: &StoreError) -> Option<Cow<'_, str>> {
    match error {
        StoreError::Database(sqlx::Error::Database(told)) => told.code(),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
