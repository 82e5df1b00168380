//! A database of a test's own, on either engine.

use claviger_store::{Db, Location};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::postgres;

/// Which engine serves the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Two files in a scratch directory.
    Sqlite,
    /// A clone of a migrated database, on the tests' own server.
    Postgres,
}

/// Names the engine of tests that are not of one engine: `postgres`, or SQLite without it.
const VARIABLE: &str = "CLAVIGER_TEST_ENGINE";

impl Engine {
    /// The engine of a test that is to pass on either. `cargo xtask test` runs such tests on both.
    pub fn of_this_run() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok(other) => panic!("{VARIABLE} is {other:?}, which is neither sqlite nor postgres"),
        }
    }
}

/// A migrated, empty database that goes away with this.
#[derive(Debug)]
pub struct TestDatabase {
    /// The database.
    pub db: Db,
    place: Place,
}

/// What must outlive the connections.
#[derive(Debug)]
enum Place {
    Sqlite {
        folder: TempDir,
    },
    Postgres {
        database: postgres::Database,
    },
    /// Another of these keeps it.
    Elsewhere,
}

impl TestDatabase {
    /// Makes a database; where none can be made there is no test, and this panics.
    pub async fn with(engine: Engine) -> Self {
        let (location, place) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a scratch directory can be made");
                let location = Location::Folder(folder.path().to_owned());
                (location, Place::Sqlite { folder })
            }
            Engine::Postgres => {
                let database = migrated().await;
                let location = Location::Postgres(database.url().to_owned());
                (location, Place::Postgres { database })
            }
        };
        Self {
            db: open(&location).await,
            place,
        }
    }
}

impl TestDatabase {
    /// The same database for another program, with connections of its own; on PostgreSQL, where this
    /// must outlive it.
    pub async fn again(&self) -> Self {
        let Place::Postgres { database } = &self.place else {
            panic!("SQLite has one program");
        };
        let location = Location::Postgres(database.url().to_owned());
        Self {
            db: open(&location).await,
            place: Place::Elsewhere,
        }
    }
}

/// A table that nobody else can read, until this is dropped.
#[derive(Debug)]
pub struct HeldTable {
    _connection: PgConnection,
}

impl TestDatabase {
    /// Keeps everybody else from reading a table. On PostgreSQL; elsewhere there is no such lock,
    /// and this panics.
    pub async fn hold_table(&self, table: &str) -> HeldTable {
        let Place::Postgres { database } = &self.place else {
            panic!("a table is held on PostgreSQL only");
        };
        HeldTable::hold(database.url(), table).await
    }

    /// Changes the tables, as somebody does who has the database.
    pub async fn alter(&self, sql: &'static str) {
        let folder = match &self.place {
            Place::Sqlite { folder } => folder,
            Place::Postgres { database } => {
                let mut connection = PgConnection::connect(database.url())
                    .await
                    .expect("the tests' own database is there");
                let altered = sqlx::raw_sql(sql).execute(&mut connection).await;
                altered.expect("the statement is right");
                return;
            }
            Place::Elsewhere => panic!("it is not this test's to change"),
        };
        let options = SqliteConnectOptions::new().filename(folder.path().join("claviger.db"));
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .expect("the file is there");
        let altered = sqlx::raw_sql(sql).execute(&mut connection).await;
        altered.expect("the statement is right");
    }
}

impl HeldTable {
    pub(crate) async fn hold(url: &str, table: &str) -> Self {
        let held = async {
            let mut connection = PgConnection::connect(url).await?;
            let lock = format!("BEGIN; LOCK TABLE {table}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(lock))
                .execute(&mut connection)
                .await?;
            Ok::<_, sqlx::Error>(Self {
                _connection: connection,
            })
        };
        held.await.expect("the tests' own database has the table")
    }
}

/// A migrated and empty database on the tests' own server.
pub async fn migrated() -> postgres::Database {
    postgres::database(async |url| {
        let location = Location::Postgres(url.to_owned());
        open(&location).await.close().await;
    })
    .await
}

async fn open(location: &Location) -> Db {
    match Db::open(location).await {
        Ok(db) => db,
        Err(error) => panic!("the tests' own database does not open: {error:?}"),
    }
}
