//! The two engines: the only module that knows which one it is.

mod behind;
mod error;
mod feed;
mod files;
mod rows;
mod turns;
mod writer;

use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use claviger_domain::event::Actor;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection, PgPool, Postgres, SqlitePool, Transaction};

pub use self::error::StoreError;
pub use self::feed::{Feed, FeedError, Heard, Told, ToldKey};
pub(crate) use self::files::make_private_file;
use self::files::open_files;
pub(crate) use self::rows::{ByRows, Cell, Filled, MOST, list_of_rows};
use self::turns::{Crowded, Turns};
pub use self::turns::{Turn, TurnsTaken};
use self::writer::{Company, Writer};
use crate::Asker;
use crate::generations::{Generations, Stripes};
use crate::migrations::{self, Versions};

/// Where the rows are.
#[derive(Clone, Debug)]
pub enum Location {
    /// `claviger.db` and `usage.db` in this folder.
    Folder(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

/// A database, whichever engine serves it.
///
/// Each request clones it some times, so that it is one thing to clone.
#[derive(Clone, Debug)]
pub struct Db(pub(crate) Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    reads: Turns,
    changes: Turns,
    creations: Turns,
    imports: Turns,
    generations: Arc<Generations>,
}

#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// Two files, never attached to each other on a writer: `BEGIN IMMEDIATE` locks all of them.
    Sqlite {
        read: SqlitePool,
        writer: Writer,
        usage: SqlitePool,
    },
    Postgres(PgPool),
}

/// One open transaction, and what of the events that were written in it is to be told once it is over.
#[derive(Debug)]
pub struct Tx {
    pub(crate) open: Open,
    pub(crate) named: Stripes,
}

/// The connection of a transaction.
#[derive(Debug)]
pub(crate) enum Open {
    /// On the one writer connection of SQLite, in a savepoint of a shared transaction, or in its own.
    Sqlite(Box<SqliteConnection>),
    /// On a connection of the pool.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) fn of(open: Open) -> Self {
        let named = Stripes::default();
        Self { open, named }
    }

    /// Its connection, on SQLite, for a statement of that engine's own.
    pub fn on_sqlite(&mut self) -> Option<&mut SqliteConnection> {
        match &mut self.open {
            Open::Sqlite(open) => Some(open),
            Open::Postgres(_) => None,
        }
    }
}

/// Who changes something, and when: what every change needs besides its subject.
#[derive(Clone)]
pub struct Change {
    /// Who does it.
    pub actor: Actor,
    /// The instant that its rows show.
    pub now: Timestamp,
    /// Where new ids come from.
    pub random: Arc<dyn Random>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Change")
            .field("actor", &self.actor)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Runs one expression against whichever engine there is: `on!(read db, |c| …)` on a reader, in the
/// asker's turn, `on!(in_turn db, |c| …)` in one that is held already; `on!(usage db, |c| …)` on the counters, `on!(tx, |c| …)` in a transaction.
macro_rules! on {
    (read $db:expr, |$c:ident| $body:expr) => {{
        let turn = $db.turn_to_read().await?;
        let outcome = $crate::db::on!(in_turn $db, |$c| $body);
        drop(turn);
        outcome
    }};
    (in_turn $db:expr, |$c:ident| $body:expr) => {
        match &$db.0.engine {
            $crate::db::Engine::Sqlite { read: $c, .. } => $body,
            $crate::db::Engine::Postgres($c) => $body,
        }
    };
    (usage $db:expr, |$c:ident| $body:expr) => {
        match &$db.0.engine {
            $crate::db::Engine::Sqlite { usage: $c, .. } => $body,
            $crate::db::Engine::Postgres($c) => $body,
        }
    };
    ($tx:expr, |$c:ident| $body:expr) => {
        match &mut $tx.open {
            $crate::db::Open::Sqlite(open) => {
                let $c = &mut **open;
                $body
            }
            $crate::db::Open::Postgres(open) => {
                let $c = &mut **open;
                $body
            }
        }
    };
}
pub(crate) use on;

/// Connections to PostgreSQL that read, at most.
const READERS_ON_POSTGRES: u16 = 8;
/// The same of SQLite's. More than there are cores, for those that wait for a disk; each takes memory
/// of its own.
fn readers_in_files() -> u16 {
    let cores = std::thread::available_parallelism().map_or(4, NonZero::get);
    u16::try_from(2 * cores).unwrap_or(u16::MAX).clamp(4, 8)
}
/// Changes at once: on SQLite so many that those of a batch are there when the one before it is
/// done, on PostgreSQL one a connection.
const CHANGES_IN_FILES: u16 = 128;
const CHANGES_ON_POSTGRES: u16 = 8;
/// New keys at once, which share a statement.
const CREATIONS: u16 = 128;
/// Imports at once, which share transactions: the more rows one has, the more of them are on a page that it
/// writes once.
const IMPORTS: u16 = 48;
/// Connections to PostgreSQL for what takes no turn: counters.
const OTHER_CONNECTIONS: u16 = 4;
/// What connections are called on PostgreSQL, of a program that serves and of commands beside it.
const SERVING: &str = "claviger";
const BESIDE: &str = "claviger-upkeep";
/// What each connection to PostgreSQL begins with. Notices, such as that a table is there already,
/// are no lines of a log. A program that was frozen in a transaction must not hold others up for
/// longer than this.
const SESSION: &str = "SET client_min_messages = warning; \
                       SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '30s'";
/// Whether one that serves is there.
const SERVED: &str = "SELECT COUNT(*) > 0 FROM pg_stat_activity \
                      WHERE datname = current_database() \
                      AND (application_name = $1 OR application_name = $1 || ' feed')";
/// How long a caller waits for a connection, or a change for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

impl Db {
    /// Opens the database and brings its tables to this program's version.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        Self::open_as(location, Versions::Upgrade).await
    }

    /// Opens a database that another program may be serving: only where its tables are of this
    /// program's version.
    pub async fn open_beside(location: &Location) -> Result<Self, StoreError> {
        Self::open_as(location, Versions::Expect).await
    }

    async fn open_as(location: &Location, versions: Versions) -> Result<Self, StoreError> {
        let generations = Arc::<Generations>::default();
        let (engine, reads, changes) = match location {
            Location::Folder(folder) => {
                let readers = readers_in_files();
                let engine = open_files(folder, versions, readers, &generations).await?;
                (engine, readers, CHANGES_IN_FILES)
            }
            Location::Postgres(url) => {
                let name = match versions {
                    Versions::Upgrade => SERVING,
                    Versions::Expect => BESIDE,
                };
                let options = PgConnectOptions::from_str(url)?
                    .application_name(name)
                    .disable_statement_logging();
                // The pool would go on trying for half a minute, and then not say why.
                options.connect().await?.close().await?;
                let pool = PgPoolOptions::new()
                    .max_connections(
                        (READERS_ON_POSTGRES + CHANGES_ON_POSTGRES + OTHER_CONNECTIONS).into(),
                    )
                    .acquire_timeout(PATIENCE)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            sqlx::raw_sql(SESSION).execute(connection).await?;
                            Ok(())
                        })
                    })
                    .connect_with(options)
                    .await?;
                migrations::run_postgres(&pool, versions).await?;
                let engine = Engine::Postgres(pool);
                (engine, READERS_ON_POSTGRES, CHANGES_ON_POSTGRES)
            }
        };
        Ok(Self(Arc::new(Parts {
            engine,
            reads: Turns::new(reads.into()),
            changes: Turns::new(changes.into()),
            creations: Turns::new(CREATIONS.into()),
            imports: Turns::new(IMPORTS.into()),
            generations,
        })))
    }

    /// Whether a program serves this database, as far as PostgreSQL tells by its connections. On
    /// SQLite the folder's lock says so, and this does not.
    pub async fn is_served(&self) -> Result<bool, StoreError> {
        match &self.0.engine {
            Engine::Sqlite { .. } => Ok(false),
            Engine::Postgres(pool) => {
                let query = sqlx::query_scalar(SERVED).bind(SERVING);
                Ok(query.fetch_one(pool).await?)
            }
        }
    }

    /// Turns of queries.
    pub fn queries(&self) -> TurnsTaken {
        self.0.reads.taken()
    }

    /// Turns of changes, those of new keys included.
    pub fn changes(&self) -> TurnsTaken {
        let (changes, creations) = (self.0.changes.taken(), self.0.creations.taken());
        TurnsTaken {
            in_use: changes.in_use + creations.in_use,
            waiting: changes.waiting + creations.waiting,
        }
    }

    /// By which those who keep in memory what rows say know that it is still so.
    pub fn generations(&self) -> &Generations {
        &self.0.generations
    }

    pub(crate) async fn turn_to_read(&self) -> Result<Turn, StoreError> {
        turn_of(&self.0.reads).await
    }

    /// A turn for a new key, which is written together with others.
    pub(crate) async fn turn_to_create(&self) -> Result<Turn, StoreError> {
        turn_of(&self.0.creations).await
    }

    /// The turn of one request to import keys, which are written together with those of others. It is
    /// waited for as long as it takes.
    pub async fn turn_to_import(&self) -> Result<Turn, StoreError> {
        let turn = self.0.imports.take(&Asker::current()).await;
        turn.map_err(|Crowded| StoreError::Crowded)
    }

    /// The one entry for changes: runs `change` in a transaction and commits when it succeeds.
    ///
    /// The closure owns what it needs: on SQLite it runs in a task of the writer's, and changes that
    /// wait at the same time share a commit. Each sees what those before it wrote. One that fails or
    /// panics leaves nothing and takes no other with it. None is answered before the commit, so that
    /// what is answered is there for whoever reads then; when the commit fails, none has happened.
    ///
    /// Changes of different askers take turns. One that waits longer than five seconds for its own is not begun. Neither is one whose
    /// caller has gone away; when it goes away while the change runs, that is undone. An error of
    /// the database is to be passed on: SQLite may have ended the transaction, PostgreSQL has.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.write_as(change, Company::Shared).await
    }

    /// The same in a transaction of its own, for what writes many rows: on SQLite none of the pages
    /// that it changes is copied, so that it alone could be undone.
    pub async fn write_alone<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.write_as(change, Company::Alone).await
    }

    /// The same for new keys by the thousand: on SQLite foreign keys are not looked up. What its rows
    /// refer to is to be there because they are selected from it.
    pub async fn write_import<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.write_as(change, Company::Import).await
    }

    async fn write_as<T, E, F>(&self, change: F, company: Company) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let _turn = turn_of(&self.0.changes).await?;
        match &self.0.engine {
            Engine::Sqlite { writer, .. } => writer.write(change, company).await,
            // A transaction each: its commits share a flush by themselves.
            Engine::Postgres(pool) => {
                let tx = pool.begin().await.map_err(StoreError::from)?;
                let mut tx = Tx::of(Open::Postgres(tx));
                let value = change(&mut tx).await?;
                if let Open::Postgres(open) = tx.open {
                    self.commit(open, tx.named).await?;
                }
                Ok(value)
            }
        }
    }

    /// Commits, and tells what may be different now; also after a failure, since a commit whose answer
    /// was lost has happened all the same.
    async fn commit(
        &self,
        open: Transaction<'static, Postgres>,
        named: Stripes,
    ) -> Result<(), StoreError> {
        if named.are_none() {
            return Ok(open.commit().await?);
        }
        let parts = Arc::clone(&self.0);
        // A task of its own: whoever goes away while it commits keeps nobody from being told.
        let committing = tokio::spawn(async move {
            let committed = open.commit().await;
            parts.generations.tell(named);
            committed
        });
        match committing.await {
            Ok(committed) => Ok(committed?),
            // A task that nobody aborts ends by itself or by a panic, which goes on here.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(read self, |c| sqlx::query("SELECT 1").execute(c).await.map(drop))?;
        Ok(())
    }

    /// Waits for what is under way, changes that wait for their turn included, and closes all
    /// connections.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite {
                read,
                writer,
                usage,
            } => {
                read.close().await;
                writer.close().await;
                usage.close().await;
            }
            Engine::Postgres(pool) => pool.close().await,
        }
    }
}

/// [`Db::is_served`], as it is for a transaction.
pub(crate) async fn is_served(tx: &mut Tx) -> Result<bool, StoreError> {
    match &mut tx.open {
        Open::Sqlite(_) => Ok(false),
        Open::Postgres(tx) => {
            let query = sqlx::query_scalar(SERVED).bind(SERVING);
            Ok(query.fetch_one(&mut **tx).await?)
        }
    }
}

async fn turn_of(turns: &Turns) -> Result<Turn, StoreError> {
    match tokio::time::timeout(PATIENCE, turns.take(&Asker::current())).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(Crowded)) => Err(StoreError::Crowded),
        Err(_) => Err(StoreError::Busy),
    }
}
