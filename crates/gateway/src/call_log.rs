//! Writes the log lines of calls, each in a task of its own: a call that nobody waits for any more has
//! its line all the same, and a program that stops waits for them.

use std::sync::{Arc, Mutex, PoisonError};

use claviger_store::Db;
use claviger_store::call_log::{self, Call};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The log of calls; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CallLog {
    db: Db,
    writes: Arc<Mutex<JoinSet<()>>>,
}

impl CallLog {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            writes: Arc::default(),
        }
    }

    /// Begins to write a line; the future that is returned completes when that is done, and need not
    /// be awaited. That a line could not be written is told in the program's log and fails no call.
    pub(crate) fn write(&self, line: Box<Call>) -> impl Future<Output = ()> + use<> {
        let (done, written) = oneshot::channel::<()>();
        // Without a runtime the program is gone, and its database with it.
        if let Ok(runtime) = Handle::try_current() {
            let db = self.db.clone();
            let write = async move {
                if let Err(error) = call_log::append(&db, &line).await {
                    tracing::error!(call = line.id.as_str(), %error, "a call could not be logged");
                }
                drop(done);
            };
            let mut writes = self.lock();
            while writes.try_join_next().is_some() {}
            writes.spawn_on(write, &runtime);
        }
        async {
            // Nothing is ever sent: it ends when the other end is dropped.
            drop(written.await);
        }
    }

    /// Completes when every line that was begun is written.
    pub(crate) async fn lines_written(&self) {
        loop {
            let begun = std::mem::take(&mut *self.lock());
            if begun.is_empty() {
                return;
            }
            begun.join_all().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
