//! A database of a test's own, on either engine.

use claviger_store::{Db, Location};
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

/// A migrated, empty database that goes away with this.
#[derive(Debug)]
pub struct TestDatabase {
    /// The database.
    pub db: Db,
    _place: Place,
}

/// What must outlive the connections.
#[derive(Debug)]
enum Place {
    Sqlite { _folder: TempDir },
    Postgres { _database: postgres::Database },
}

impl TestDatabase {
    /// Makes a database; where none can be made there is no test, and this panics.
    pub async fn with(engine: Engine) -> Self {
        let (location, place) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a scratch directory can be made");
                let location = Location::Folder(folder.path().to_owned());
                (location, Place::Sqlite { _folder: folder })
            }
            Engine::Postgres => {
                let database = postgres::database(async |url| {
                    open(&Location::Postgres(url.to_owned()))
                        .await
                        .close()
                        .await;
                })
                .await;
                let location = Location::Postgres(database.url().to_owned());
                (
                    location,
                    Place::Postgres {
                        _database: database,
                    },
                )
            }
        };
        Self {
            db: open(&location).await,
            _place: place,
        }
    }
}

async fn open(location: &Location) -> Db {
    match Db::open(location).await {
        Ok(db) => db,
        Err(error) => panic!("the tests' own database does not open: {error:?}"),
    }
}
