//! Migrations: forward only; folders with the same numbers for both engines.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{PgPool, SqlitePool};

use crate::StoreError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static SQLITE_USAGE: Migrator = sqlx::migrate!("migrations/sqlite_usage");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

pub(crate) async fn run_sqlite(
    keys: &mut SqliteConnection,
    usage: &SqlitePool,
) -> Result<(), StoreError> {
    SQLITE.run(keys).await.map_err(explain)?;
    SQLITE_USAGE.run(usage).await.map_err(explain)
}

pub(crate) async fn run_postgres(pool: &PgPool) -> Result<(), StoreError> {
    POSTGRES.run(pool).await.map_err(explain)
}

fn explain(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => StoreError::Newer(version),
        other => StoreError::Migration(other),
    }
}
