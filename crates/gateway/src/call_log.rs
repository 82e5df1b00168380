//! Writes the log lines of calls, many in one transaction. A call that nobody waits for any more has its
//! line all the same, and a program that stops waits for all of them.
//!
//! While the database is away lines wait for it, and the log is behind: then nothing is begun that has
//! effects, since it would have no line.

mod shares;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claviger_domain::id::{self, Id};
use claviger_store::call_log::{self, Batch, Call, Line};
use claviger_store::{Db, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::shares::Shares;

/// Lines that one transaction writes, at most.
const TOGETHER: usize = 2_048;
/// Lines that wait, at most, before calls wait for room. One family of accounts has a part of it, which is more than
/// what is written together.
const ROOM: usize = 6 * TOGETHER;
/// Lines that wait, at most, with those of calls that nobody waits for any more.
const MOST: usize = 8 * TOGETHER;
/// How long a line that nobody waits for waits for others to be written with. Each transaction holds up the calls
/// that are under way, so that few of all are to meet one.
const COMPANY: Duration = Duration::from_millis(250);
/// How long a database rests that was away.
const REST: Duration = Duration::from_millis(200);

/// The log of calls; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CallLog(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    db: Db,
    queue: Mutex<Queue>,
    state: watch::Sender<State>,
    /// Wakes the task that waits for more lines.
    hurry: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How many lines are written, or have failed.
    written: u64,
    /// Whether the database was away when it was asked last.
    is_behind: bool,
}

impl State {
    /// Whether there is nothing to wait for: the line of that number is written, or not for now.
    fn has(self, number: u64) -> bool {
        self.is_behind || self.written >= number
    }
}

#[derive(Debug, Default)]
struct Queue {
    /// The lines that wait, as the transactions that write them, in the order in which they came.
    batches: VecDeque<Batch>,
    /// Whose they are.
    shares: Shares,
    /// How many lines there were.
    begun: u64,
    /// How many of them somebody waits for.
    wanted: u64,
    /// Whether a task writes them.
    is_led: bool,
}

impl CallLog {
    pub(crate) fn new(db: Db) -> Self {
        Self(Arc::new(Parts {
            db,
            queue: Mutex::default(),
            state: watch::Sender::default(),
            hurry: Notify::new(),
        }))
    }

    /// Whether lines wait for a database that is away.
    pub(crate) fn is_behind(&self) -> bool {
        self.0.state.borrow().is_behind
    }

    /// Completes when there is room for another line of that family; at once while the log is behind.
    pub(crate) async fn room(&self, family: &Id<id::Account>) {
        let has_room = || self.queue().shares.have_room(family, ROOM);
        if has_room() {
            return;
        }
        let mut state = self.0.state.subscribe();
        while !has_room() && !self.is_behind() {
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    /// Begins to write the line of a call, and gives its number. That a line could not be written is told in the
    /// program's log and fails no call. While the database is away, lines of what has effects find place when
    /// the share of their account is full, too.
    pub(crate) fn begin(&self, call: &Call, has_effects: bool) -> u64 {
        let line = Line::from(call);
        let mut queue = self.queue();
        // Without a runtime the program is gone, and its database with it.
        let Ok(runtime) = Handle::try_current() else {
            return queue.begun;
        };
        let shares = &queue.shares;
        let has_room =
            shares.have_room(&line.account.root, MOST) || has_effects && !shares.are_full(MOST);
        if !has_room {
            let call = call.id.as_str();
            tracing::error!(call, "a call is not logged: too many lines wait");
            return queue.begun;
        }
        queue.begun += 1;
        queue.shares.add(&line.account.root);
        let has_room = |batch: &&mut Batch| batch.count() < TOGETHER;
        let is_full = if let Some(batch) = queue.batches.back_mut().filter(has_room) {
            batch.add(&line);
            batch.count() == TOGETHER
        } else {
            queue.batches.push_back(Batch::from_iter([&line]));
            false
        };
        if !std::mem::replace(&mut queue.is_led, true) {
            runtime.spawn(self.clone().lead());
        } else if is_full {
            self.0.hurry.notify_one();
        }
        queue.begun
    }

    /// Completes when the line of that number is written, and all before it, or when the database is away.
    pub(crate) async fn is_written(&self, number: u64) {
        let mut state = self.0.state.subscribe();
        {
            let mut queue = self.queue();
            queue.wanted = queue.wanted.max(number);
        }
        self.0.hurry.notify_one();
        // The other end is in here.
        drop(state.wait_for(|state| state.has(number)).await);
    }

    /// The same of every line that was begun.
    pub(crate) async fn lines_written(&self) {
        let begun = self.queue().begun;
        self.is_written(begun).await;
    }

    /// Writes what waits until nothing does.
    async fn lead(self) {
        let mut leading = Leading {
            log: &self,
            taken: 0,
        };
        loop {
            self.company().await;
            let Some(batch) = self.take() else { return };
            leading.taken = batch.count();
            self.write(batch).await;
            leading.count();
        }
    }

    /// Waits while it may for more lines to be written with.
    async fn company(&self) {
        // One that was woken for lines which are written by now waits on.
        let hurried = async {
            while self.may_wait() {
                self.0.hurry.notified().await;
            }
        };
        // Either way what waits is written.
        drop(timeout(COMPANY, hurried).await);
    }

    /// Whether nobody waits for a line, and more of them have room in a transaction.
    fn may_wait(&self) -> bool {
        let queue = self.queue();
        let first = queue.batches.front();
        first.is_none_or(|batch| batch.count() < TOGETHER)
            && queue.wanted <= self.0.state.borrow().written
    }

    /// Those that are written next; whoever comes when there are none sends another task.
    fn take(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let batch = queue.batches.pop_front();
        queue.is_led = batch.is_some();
        for (family, count) in batch.iter().flat_map(Batch::families) {
            queue.shares.remove(family, count);
        }
        drop(queue);
        // Whoever waits for room has it from now on.
        self.0.state.send_modify(|_| {});
        batch
    }

    async fn write(&self, batch: Batch) {
        if self.append(&batch).await.is_ok() {
            return;
        }
        // One block may be at fault, and the others must not be lost with it.
        for part in batch.apart() {
            if let Err(error) = self.append(&part).await {
                let (first, lines) = (part.first().map(Id::as_str), part.count());
                tracing::error!(first, lines, %error, "calls could not be logged");
            }
        }
    }

    /// Writes lines as soon as the database takes them.
    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        loop {
            let appended = call_log::append(&self.0.db, batch).await;
            let is_behind = appended.as_ref().is_err_and(StoreError::is_unavailable);
            let was_behind = self.is_behind();
            if is_behind != was_behind {
                self.0
                    .state
                    .send_modify(|state| state.is_behind = is_behind);
            }
            match appended {
                Err(error) if is_behind => {
                    if !was_behind {
                        tracing::error!(%error, "calls are not logged until the database is there again");
                    }
                    tokio::time::sleep(REST).await;
                }
                appended => return appended,
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that writes. When it fails, another one goes on: nobody waits for lines that nobody writes.
struct Leading<'a> {
    log: &'a CallLog,
    /// Lines that are being written.
    taken: usize,
}

impl Leading<'_> {
    fn count(&mut self) {
        let count = u64::try_from(std::mem::take(&mut self.taken)).unwrap_or_default();
        let state = &self.log.0.state;
        state.send_modify(|state| state.written += count);
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if self.taken == 0 {
            return;
        }
        tracing::error!(lines = self.taken, "lines of the log of calls are lost");
        self.count();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.log.clone().lead())),
            Err(_) => self.log.queue().is_led = false,
        }
    }
}
