//! Writes the log lines of calls, many in one transaction. A call that nobody waits for any more has its
//! line all the same, and a program that stops waits for all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claviger_store::Db;
use claviger_store::call_log::{self, Call};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

/// Lines that one transaction writes, at most.
const TOGETHER: usize = 256;
/// Lines that wait, at most, before calls wait for room.
const ROOM: usize = 4_096;
/// Lines that wait, at most, with those of calls that nobody waits for any more.
const MOST: usize = 4 * ROOM;
/// How long a line that nobody waits for waits for others to be written with.
const COMPANY: Duration = Duration::from_millis(20);

/// The log of calls; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CallLog(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    db: Db,
    queue: Mutex<Queue>,
    /// How many lines are written, or have failed.
    written: watch::Sender<u64>,
    /// Wakes the task that waits for more lines.
    hurry: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Call>,
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
            written: watch::Sender::new(0),
            hurry: Notify::new(),
        }))
    }

    /// Completes when there is room for another line.
    pub(crate) async fn room(&self) {
        if self.queue().lines.len() < ROOM {
            return;
        }
        let mut written = self.0.written.subscribe();
        while self.queue().lines.len() >= ROOM && written.changed().await.is_ok() {}
    }

    /// Begins to write a line, and gives its number. That a line could not be written is told in the
    /// program's log and fails no call.
    pub(crate) fn begin(&self, line: Call) -> u64 {
        let mut queue = self.queue();
        // Without a runtime the program is gone, and its database with it.
        let Ok(runtime) = Handle::try_current() else {
            return queue.begun;
        };
        if queue.lines.len() >= MOST {
            let call = line.id.as_str();
            tracing::error!(call, "a call is not logged: too many lines wait");
            return queue.begun;
        }
        queue.begun += 1;
        queue.lines.push_back(line);
        if !std::mem::replace(&mut queue.is_led, true) {
            runtime.spawn(self.clone().lead());
        } else if queue.lines.len() == TOGETHER {
            self.0.hurry.notify_one();
        }
        queue.begun
    }

    /// Completes when the line of that number is written, and all before it.
    pub(crate) async fn is_written(&self, number: u64) {
        let mut written = self.0.written.subscribe();
        {
            let mut queue = self.queue();
            queue.wanted = queue.wanted.max(number);
        }
        self.0.hurry.notify_one();
        // The other end is in here.
        drop(written.wait_for(|written| *written >= number).await);
    }

    /// Completes when every line that was begun is written.
    pub(crate) async fn lines_written(&self) {
        let begun = self.queue().begun;
        self.is_written(begun).await;
    }

    /// Writes what waits until nothing does.
    async fn lead(self) {
        loop {
            if self.may_wait() {
                tokio::select! {
                    () = tokio::time::sleep(COMPANY) => {}
                    () = self.0.hurry.notified() => {}
                }
            }
            let Some(lines) = self.take() else { return };
            self.write(&lines).await;
            let count = u64::try_from(lines.len()).unwrap_or_default();
            self.0.written.send_modify(|written| *written += count);
        }
    }

    /// Whether nobody waits for a line, and more of them have room in a transaction.
    fn may_wait(&self) -> bool {
        let queue = self.queue();
        queue.lines.len() < TOGETHER && queue.wanted <= *self.0.written.borrow()
    }

    /// Those that are written next; whoever comes when there are none sends another task.
    fn take(&self) -> Option<Vec<Call>> {
        let mut queue = self.queue();
        let count = queue.lines.len().min(TOGETHER);
        queue.is_led = count > 0;
        (count > 0).then(|| queue.lines.drain(..count).collect())
    }

    async fn write(&self, lines: &[Call]) {
        let all: Vec<&Call> = lines.iter().collect();
        let Err(error) = call_log::append(&self.0.db, &all).await else {
            return;
        };
        if error.is_unavailable() {
            for line in all {
                tell(line, &error);
            }
            return;
        }
        // One of them may be at fault, and the others must not be lost with it.
        for line in all {
            if let Err(error) = call_log::append(&self.0.db, &[line]).await {
                tell(line, &error);
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(line: &Call, error: &claviger_store::StoreError) {
    tracing::error!(call = line.id.as_str(), %error, "a call could not be logged");
}
