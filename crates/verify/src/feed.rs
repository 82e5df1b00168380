//! Other programs over the same database: what they change is forgotten here, and what is in memory
//! is believed for as long as it is known what they changed.

mod forget;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use claviger_domain::time::Timestamp;
use claviger_store::{Feed, FeedError, Heard, accounts};

use crate::Verifier;

/// How long memory is believed without word of what others changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// While the database is there: after that it is asked instead.
    pub staleness: Duration,
    /// While it is away, so that there is nothing else to be asked.
    pub away: Duration,
}

/// The least time that the database gets to answer.
const LEAST_PATIENCE: Duration = Duration::from_millis(200);

impl Bounds {
    /// How long to wait for an answer, so that a connection that is silent, and then a database that
    /// takes no other, are known for that before memory is not believed any more.
    fn patience(self) -> Duration {
        (self.staleness * 2 / 5).max(LEAST_PATIENCE)
    }
}

/// How following others goes, for whoever watches the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// How long ago all that others had changed was known here, in microseconds; 0 where there are
    /// no others.
    pub age_us: u64,
    /// Changes that were heard of, those of this program among them.
    pub changes: u64,
    /// Times that nothing could be heard.
    pub failures: u64,
    /// Times that all was forgotten, since nobody could tell what had been missed.
    pub resets: u64,
}

/// The feed, and until when memory is believed.
#[derive(Debug)]
pub(crate) struct Others {
    listener: tokio::sync::Mutex<Option<Listener>>,
    /// In microseconds since 1970; [`ALWAYS`] where there are no others.
    believed_until: AtomicI64,
    confirmed_at: AtomicI64,
    changes: AtomicU64,
    failures: AtomicU64,
    resets: AtomicU64,
}

#[derive(Debug)]
struct Listener {
    feed: Feed,
    bounds: Bounds,
    /// Nobody could tell what was missed, and it is not all forgotten yet.
    has_missed: bool,
}

/// Where nobody else changes the database.
const ALWAYS: i64 = i64::MAX;
const NEVER: i64 = i64::MIN;

impl Default for Others {
    fn default() -> Self {
        Self {
            listener: tokio::sync::Mutex::default(),
            believed_until: AtomicI64::new(ALWAYS),
            confirmed_at: AtomicI64::new(ALWAYS),
            changes: AtomicU64::default(),
            failures: AtomicU64::default(),
            resets: AtomicU64::default(),
        }
    }
}

impl Others {
    /// Believes memory for that long after the last confirmation.
    fn believe(&self, bound: Duration, now: Timestamp) {
        let confirmed_at = self.confirmed_at.load(Ordering::Relaxed);
        let bound = i64::try_from(bound.as_micros()).unwrap_or(ALWAYS);
        // A clock that was put back would make a bound longer.
        let until = if now.as_micros() < confirmed_at {
            NEVER
        } else {
            confirmed_at.saturating_add(bound)
        };
        self.believed_until.store(until, Ordering::Release);
    }
}

impl Verifier {
    /// Follows what other programs change, from here on: to be called before anything is checked.
    /// Whoever calls it goes on calling [`Verifier::hear`]. It does nothing on SQLite.
    pub async fn follow(&self, bounds: Bounds) -> Result<(), FeedError> {
        let Some(feed) = Feed::of(&self.db, bounds.patience()) else {
            return Ok(());
        };
        self.others.believed_until.store(NEVER, Ordering::Release);
        *self.others.listener.lock().await = Some(Listener {
            feed,
            bounds,
            has_missed: true,
        });
        self.hear().await
    }

    /// Whether others may change the database, so that [`Verifier::hear`] is to be called.
    pub fn follows(&self) -> bool {
        self.others.believed_until.load(Ordering::Relaxed) != ALWAYS
    }

    /// Hears what was changed since the last time, and forgets it.
    pub async fn hear(&self) -> Result<(), FeedError> {
        let mut listener = self.others.listener.lock().await;
        let Some(listener) = &mut *listener else {
            return Ok(());
        };
        // What is committed from here on may not be in the answer.
        let asked_at = self.clock.now();
        let Bounds { staleness, away } = listener.bounds;
        let heard = self.hear_from(listener).await;
        let bound = match &heard {
            Ok(()) => {
                let confirmed_at = &self.others.confirmed_at;
                confirmed_at.store(asked_at.as_micros(), Ordering::Relaxed);
                staleness
            }
            Err(FeedError::Silent(_)) => staleness,
            Err(FeedError::Away(_)) => away.max(staleness),
        };
        if heard.is_err() {
            self.others.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.others.believe(bound, self.clock.now());
        heard
    }

    async fn hear_from(&self, listener: &mut Listener) -> Result<(), FeedError> {
        let changes = match listener.feed.hear().await? {
            Heard::Changes(changes) => changes,
            Heard::Anything => {
                listener.has_missed = true;
                Vec::new()
            }
        };
        if listener.has_missed {
            let foreign = accounts::with_foreign_keys(&self.db).await;
            for root in foreign.map_err(FeedError::Silent)? {
                self.note_foreign_keys(root);
            }
            self.keys.forget_where(|_| true).await;
            self.keys.forget_absences(|_| true);
            self.presenters.forget_where(|_, _| true);
            self.presenters.forget_absences(|_| true);
            self.people.forget_where(|_, _| true);
            self.people.forget_absences(|_| true);
            self.projects.forget_where(|_, _| true);
            self.projects.forget_absences(|_| true);
            self.db.generations().tell_all();
            self.others.resets.fetch_add(1, Ordering::Relaxed);
            listener.has_missed = false;
        }
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        self.others.changes.fetch_add(count, Ordering::Relaxed);
        self.forget_changed(&changes).await;
        Ok(())
    }

    /// Whether what is in memory may be believed now, also what others keep by the store's generations.
    pub fn believes(&self) -> bool {
        let until = self.others.believed_until.load(Ordering::Acquire);
        if until == ALWAYS {
            return true;
        }
        let now = self.clock.now().as_micros();
        // Before the confirmation: the clock was put back, and says nothing of how long ago that is.
        (self.others.confirmed_at.load(Ordering::Relaxed)..=until).contains(&now)
    }

    /// How following others goes.
    pub fn following(&self) -> Following {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let confirmed_at = self.others.confirmed_at.load(Ordering::Relaxed);
        let age = self.clock.now().as_micros().saturating_sub(confirmed_at);
        Following {
            age_us: u64::try_from(age).unwrap_or(0),
            changes: read(&self.others.changes),
            failures: read(&self.others.failures),
            resets: read(&self.others.resets),
        }
    }
}
