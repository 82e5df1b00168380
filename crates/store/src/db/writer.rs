//! The one writer of SQLite: changes that wait together share a commit, which is what costs. What a
//! change may rely on is told at [`Db::write`](super::Db::write).

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Open, PATIENCE, StoreError, Tx};
use crate::generations::Generations;

/// Changes that wait, at most; who comes then waits for a place.
const QUEUE: usize = 1024;
/// Changes that share a commit, at most: the first of them waits for the last.
const BATCH: usize = 64;

/// What SQLite keeps of pages, as it counts them: 4 MiB, and the rest is in the system's cache.
pub(super) const PAGES: &str = "-4096";
/// The same while many keys are written: key strings are random, and so are the pages of their indexes, some 110 MB
/// for a million keys, which are read over and over with fewer.
const PAGES_OF_KEYS: &str = "-131072";

/// After how long without a change SQLite gives back the memory of the pages that it keeps.
const REST: Duration = Duration::from_secs(1);

const BEGIN: &str = "BEGIN IMMEDIATE";
const ROLLBACK: &str = "ROLLBACK";
const OPEN: &str = "SAVEPOINT change";
const KEEP: &str = "RELEASE change";
const UNDO: &str = "ROLLBACK TO change; RELEASE change";
const COMMIT: &str = "COMMIT";

/// The way to the writer's task, which ends when the last of these is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Writer(mpsc::Sender<Message>);

#[derive(Debug)]
enum Message {
    Change(Place),
    /// Ends the task; this is dropped when it has ended.
    Close(oneshot::Sender<Infallible>),
}

impl Writer {
    /// Starts the task, with the connection that it has for itself.
    pub(super) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        generations: Arc<Generations>,
    ) -> Self {
        let (writer, queue) = mpsc::channel(QUEUE);
        let task = Task {
            queue,
            connection: Some(Tx::of(Open::Sqlite(Box::new(connection)))),
            options,
            last: Company::Shared,
            keeps_pages: false,
            closing: Vec::new(),
            generations,
        };
        tokio::spawn(task.run());
        Self(writer)
    }

    pub(super) async fn write<T, E, F>(&self, change: F, company: Company) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let (place, claim) = Place::of(Box::new(Asked { change, answer }), company);
        let asked = async {
            // Where the task has ended the change is dropped, and with it the way to answer.
            drop(self.0.send(Message::Change(place)).await);
            (&mut answered).await
        };
        let outcome = if let Ok(outcome) = timeout(PATIENCE, asked).await {
            outcome.map_err(|_| StoreError::from(sqlx::Error::PoolClosed))
        } else {
            drop(claim);
            // What has begun is waited for: nobody is told that it failed and then it did not.
            answered.await.map_err(|_| StoreError::Busy)
        };
        match outcome? {
            Ok(outcome) => outcome,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Completes when all changes that came before are through and the connection is closed.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(Message::Close(done)).await.is_ok() {
            // Nothing is ever sent.
            drop(closed.await);
        }
    }
}

/// Which transaction a change is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// One that others share, in a savepoint.
    Shared,
    /// Its own. It is undone as a whole, so that SQLite copies no pages for it; what undoes one
    /// statement of it is kept in memory, and so a statement of it has few rows.
    Alone,
    /// Its own, of rows that are taken from those that they refer to, so that nothing looks these up
    /// again, and by statements that end the transaction where they fail: what undoes one of them
    /// would be a copy of each page that it changes.
    Import,
}

impl Company {
    /// Where that is kept which undoes a statement (a file has no bound, and costs as much again as what is
    /// written), and whether it is looked up what rows refer to.
    fn settings(self) -> &'static str {
        match self {
            Self::Shared => "PRAGMA temp_store = DEFAULT; PRAGMA foreign_keys = ON;",
            Self::Alone => "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;",
            Self::Import => "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;",
        }
    }
}

/// A place in the queue. The change is no longer in it when its caller has given up.
#[derive(Debug)]
struct Place {
    waiting: Arc<Mutex<Waiting>>,
    company: Company,
}

/// A caller's hold of its place: when this is dropped, a change that has not begun never does.
#[derive(Debug)]
struct Claim(Weak<Mutex<Waiting>>);

struct Waiting(Option<Box<dyn Job>>);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Place {
    fn of(job: Box<dyn Job>, company: Company) -> (Self, Claim) {
        let waiting = Arc::new(Mutex::new(Waiting(Some(job))));
        let claim = Claim(Arc::downgrade(&waiting));
        (Self { waiting, company }, claim)
    }

    fn take(&self) -> Option<Box<dyn Job>> {
        take(&self.waiting)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.0.upgrade().and_then(|place| take(&place)));
    }
}

fn take(place: &Mutex<Waiting>) -> Option<Box<dyn Job>> {
    place
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .0
        .take()
}

/// A change whatever it results in.
trait Job: Send {
    /// Runs it; it is not answered yet.
    fn run(self: Box<Self>, tx: &mut Tx) -> BoxFuture<'_, Ran>;
    /// Answers it without running it.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// What a change came to.
struct Ran {
    /// Whether its rows are to stay.
    is_kept: bool,
    /// Answers it, with the error when the commit failed.
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// A result, or the panic that was there instead.
type Outcome<T, E> = Result<Result<T, E>, Box<dyn Any + Send>>;

struct Asked<T, E, F> {
    change: F,
    answer: oneshot::Sender<Outcome<T, E>>,
}

impl<T, E, F> Job for Asked<T, E, F>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
{
    fn run(self: Box<Self>, tx: &mut Tx) -> BoxFuture<'_, Ran> {
        Box::pin(async move {
            let Self { change, answer } = *self;
            // What the change left half-done goes with its savepoint, or with its transaction.
            let outcome = AssertUnwindSafe(async { change(tx).await })
                .catch_unwind()
                .await;
            Ran {
                is_kept: matches!(outcome, Ok(Ok(_))) && !answer.is_closed(),
                answer: Box::new(move |committed| {
                    let outcome = match (outcome, committed) {
                        // Also what the change refused may rest on rows that are gone now.
                        (Ok(_), Err(error)) => Ok(Err(E::from(error))),
                        (outcome, _) => outcome,
                    };
                    // Who went away does not want it.
                    drop(answer.send(outcome));
                }),
            }
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Ok(Err(E::from(error)))));
    }
}

struct Task {
    queue: mpsc::Receiver<Message>,
    /// None after an error: what state it is in is not known then.
    connection: Option<Tx>,
    options: SqliteConnectOptions,
    /// What the connection is set up for.
    last: Company,
    /// Whether there was a change since it gave back the memory of its pages.
    keeps_pages: bool,
    closing: Vec<oneshot::Sender<Infallible>>,
    generations: Arc<Generations>,
}

impl Task {
    async fn run(mut self) {
        while let Some(message) = self.next_message().await {
            let mut next = self.change_of(message);
            while let Some(place) = next {
                next = match place.company {
                    Company::Shared => self.share_a_commit(place).await,
                    Company::Alone | Company::Import => {
                        self.run_alone(&place).await;
                        None
                    }
                };
            }
        }
        self.let_go_of_connection().await;
    }

    /// What comes next. While nothing does, the pages that an import is quick by are of no use.
    async fn next_message(&mut self) -> Option<Message> {
        if self.keeps_pages {
            if let Ok(message) = timeout(REST, self.queue.recv()).await {
                return message;
            }
            self.give_back_pages().await;
        }
        self.queue.recv().await
    }

    async fn give_back_pages(&mut self) {
        self.keeps_pages = false;
        let Some(tx) = &mut self.connection else {
            return;
        };
        let settings = Company::Shared.settings();
        let sql = format!("{settings} PRAGMA cache_size = {PAGES}; PRAGMA shrink_memory");
        let sql = sqlx::AssertSqlSafe(sql);
        // Not prepared: there are no rows, and nothing is kept of it.
        let given = super::on!(tx, |c| sqlx::raw_sql(sql).execute(c).await.map(drop));
        self.last = Company::Shared;
        if given.is_err() {
            self.let_go_of_connection().await;
        }
    }

    /// The change, unless it is the order to close: then no more are taken, and those that wait are
    /// still run.
    fn change_of(&mut self, message: Message) -> Option<Place> {
        match message {
            Message::Change(place) => Some(place),
            Message::Close(done) => {
                self.queue.close();
                self.closing.push(done);
                None
            }
        }
    }

    fn next(&mut self) -> Option<Place> {
        loop {
            let message = self.queue.try_recv().ok()?;
            if let Some(place) = self.change_of(message) {
                return Some(place);
            }
        }
    }

    /// Runs the changes that wait, commits once, and only then answers them. Gives the one that is
    /// next, where that shares no commit.
    async fn share_a_commit(&mut self, first: Place) -> Option<Place> {
        let mut tx = self.begin(&first).await?;
        let mut ran = Vec::new();
        let mut next = Some(first);
        let mut outcome = Ok(());
        while let Some(place) = next.take_if(|place| place.company == Company::Shared) {
            if let Some(job) = place.take() {
                outcome = run_apart(&mut tx, job, &mut ran).await;
            }
            // None is taken out of the queue that is not run.
            let goes_on = outcome.is_ok() && ran.len() < BATCH;
            next = if goes_on { self.next() } else { None };
        }
        if outcome.is_ok() {
            outcome = execute(&mut tx, COMMIT).await.map_err(Arc::new);
        }
        let error = self.end(tx, outcome).await;
        for one in ran {
            (one.answer)(uncommitted(error.as_ref()));
        }
        next
    }

    /// Runs a change in a transaction of its own.
    async fn run_alone(&mut self, place: &Place) {
        let Some(mut tx) = self.begin(place).await else {
            return;
        };
        let ran = match place.take() {
            Some(job) => Some(job.run(&mut tx).await),
            None => None,
        };
        let is_kept = ran.as_ref().is_some_and(|one| one.is_kept);
        let ending = if is_kept { COMMIT } else { ROLLBACK };
        let outcome = execute(&mut tx, ending).await.map_err(Arc::new);
        let error = self.end(tx, outcome).await;
        if let Some(one) = ran {
            // One that is undone says itself why.
            (one.answer)(uncommitted(error.as_ref().filter(|_| is_kept)));
        }
    }

    /// Begins a transaction; where none can be begun, the change that it is for is refused.
    async fn begin(&mut self, first: &Place) -> Option<Tx> {
        match self.try_to_begin(first.company).await {
            Ok(tx) => Some(tx),
            Err(error) => {
                if let Some(job) = first.take() {
                    job.refuse(StoreError::from(error));
                }
                None
            }
        }
    }

    async fn try_to_begin(&mut self, company: Company) -> Result<Tx, sqlx::Error> {
        let mut tx = match self.connection.take() {
            Some(tx) => tx,
            None => Tx::of(Open::Sqlite(Box::new(self.options.connect().await?))),
        };
        let begun = match self.set_up(&mut tx, company).await {
            Ok(()) => execute(&mut tx, BEGIN).await,
            Err(error) => Err(error),
        };
        self.keeps_pages = true;
        match begun {
            Ok(()) => Ok(tx),
            Err(error) => {
                self.connection = Some(tx);
                self.let_go_of_connection().await;
                Err(error)
            }
        }
    }

    /// Sets the connection up for a transaction of that kind, with the pages that it needs.
    async fn set_up(&mut self, tx: &mut Tx, company: Company) -> Result<(), sqlx::Error> {
        if self.last == company {
            return Ok(());
        }
        // More room stays until there is nothing to do: less of it takes the pages away at once.
        let pages = match company {
            Company::Shared => String::new(),
            Company::Alone | Company::Import => format!("PRAGMA cache_size = {PAGES_OF_KEYS}"),
        };
        let sql = sqlx::AssertSqlSafe(format!("{} {pages}", company.settings()));
        // Not prepared: SQLite carries it out while it reads it.
        super::on!(tx, |c| sqlx::raw_sql(sql).execute(c).await.map(drop))?;
        self.last = company;
        Ok(())
    }

    /// Keeps the connection of a transaction that has ended, unless it ended with an error, and tells
    /// what may be different now: nothing that was changed in it is answered before.
    async fn end(
        &mut self,
        mut tx: Tx,
        outcome: Result<(), Arc<sqlx::Error>>,
    ) -> Option<Arc<sqlx::Error>> {
        // Also after an error: a commit may have happened all the same.
        self.generations.tell(std::mem::take(&mut tx.named));
        self.connection = Some(tx);
        let error = outcome.err();
        if error.is_some() {
            self.let_go_of_connection().await;
        }
        error
    }

    /// Closes the connection, which undoes what is not committed.
    async fn let_go_of_connection(&mut self) {
        self.last = Company::Shared;
        let open = self.connection.take().map(|tx| tx.open);
        if let Some(Open::Sqlite(connection)) = open {
            // One that cannot be closed any more is as good as closed.
            drop(connection.close().await);
        }
    }
}

fn uncommitted(error: Option<&Arc<sqlx::Error>>) -> Result<(), StoreError> {
    error.map_or(Ok(()), |error| {
        Err(StoreError::Uncommitted(Arc::clone(error)))
    })
}

/// Runs one change in a savepoint, so that one which fails takes no other with it. An error is one
/// of the whole transaction: it can have none of its changes any more.
async fn run_apart(
    tx: &mut Tx,
    job: Box<dyn Job>,
    ran: &mut Vec<Ran>,
) -> Result<(), Arc<sqlx::Error>> {
    if let Err(error) = execute(tx, OPEN).await {
        let error = Arc::new(error);
        job.refuse(StoreError::Uncommitted(Arc::clone(&error)));
        return Err(error);
    }
    let one = job.run(tx).await;
    let closed = execute(tx, if one.is_kept { KEEP } else { UNDO }).await;
    if closed.is_err() && !one.is_kept {
        // SQLite ends a transaction by itself when the disk is full: the change's own error says so.
        (one.answer)(Ok(()));
    } else {
        ran.push(one);
    }
    closed.map_err(Arc::new)
}

async fn execute(tx: &mut Tx, sql: &'static str) -> Result<(), sqlx::Error> {
    super::on!(tx, |c| sqlx::query(sql).execute(c).await.map(drop))
}
