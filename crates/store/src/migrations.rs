//! Migrations: forward only; folders with the same numbers for both engines.

use std::cmp::Ordering;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{PgPool, SqlitePool};

use crate::StoreError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static SQLITE_USAGE: Migrator = sqlx::migrate!("migrations/sqlite_usage");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// What is done about tables of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// Older ones are brought to this program's version.
    Upgrade,
    /// They are an error: a program that serves them may be running.
    Expect,
}

/// The last migration that a database has been through.
const REACHED: &str = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";

pub(crate) async fn run_sqlite(
    keys: &mut SqliteConnection,
    usage: &SqlitePool,
    versions: Versions,
) -> Result<(), StoreError> {
    if versions == Versions::Expect {
        let reached = sqlx::query_scalar(REACHED).fetch_one(keys).await?;
        expect(&SQLITE, reached)?;
        let reached = sqlx::query_scalar(REACHED).fetch_one(usage).await?;
        return expect(&SQLITE_USAGE, reached);
    }
    SQLITE.run(keys).await.map_err(explain)?;
    SQLITE_USAGE.run(usage).await.map_err(explain)
}

pub(crate) async fn run_postgres(pool: &PgPool, versions: Versions) -> Result<(), StoreError> {
    if versions == Versions::Expect {
        let reached = sqlx::query_scalar(REACHED).fetch_one(pool).await?;
        return expect(&POSTGRES, reached);
    }
    POSTGRES.run(pool).await.map_err(explain)
}

fn expect(migrator: &Migrator, reached: i64) -> Result<(), StoreError> {
    let last = migrator.iter().map(|migration| migration.version).max();
    match last.unwrap_or(0).cmp(&reached) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(StoreError::Newer(reached)),
        Ordering::Greater => Err(StoreError::Older(reached)),
    }
}

fn explain(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => StoreError::Newer(version),
        other => StoreError::Migration(other),
    }
}
