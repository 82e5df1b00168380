//! Copies of the files of SQLite, taken while others write to them, and what a file has in it.
//!
//! All of it is for one engine: PostgreSQL brings its own tools for this.

use std::path::Path;

use claviger_domain::time::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::StoreError;
use crate::db::make_private_file;

/// The files that a database in a folder has: what must not be lost, and what is counted.
pub const FILES: [&str; 2] = ["claviger.db", "usage.db"];

/// The last of the events that a file has.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NewestEvent {
    /// Its number.
    pub seq: i64,
    /// Its id, `evt_…`.
    pub id: String,
    /// When it happened.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
}

/// Copies a file as it is at one instant, whoever writes to it meanwhile. Pages that are not in use
/// any more, and what was deleted in them, are left behind. `to` must not be there.
pub async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    // An empty file is taken as it is, with its mode.
    make_private_file(to).await?;
    let place = to.to_str().ok_or_else(|| {
        let what = "the path of a copy has to be text";
        sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, what))
    })?;
    let mut connection = open(from).await?;
    let copied = sqlx::query("VACUUM INTO $1")
        .bind(place)
        .execute(&mut connection)
        .await;
    connection.close().await?;
    copied?;
    let file = tokio::fs::File::open(to).await.map_err(sqlx::Error::Io)?;
    file.sync_all().await.map_err(sqlx::Error::Io)?;
    Ok(())
}

/// The number of the last migration that a file has been through.
pub async fn schema(file: &Path) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
    let mut connection = open(file).await?;
    let version = sqlx::query_scalar(SQL).fetch_one(&mut connection).await;
    connection.close().await?;
    Ok(version?)
}

/// Writes what the journal beside a file has into the file, and removes the journal. A file that is moved
/// without it loses that.
pub async fn fold_journal(file: &Path) -> Result<(), StoreError> {
    let mut connection = open(file).await?;
    let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode = DELETE")
        .fetch_one(&mut connection)
        .await;
    let closed = connection.close().await;
    if mode? != "delete" {
        let what = "the journal of a copy cannot be written into it";
        return Err(sqlx::Error::Io(std::io::Error::other(what)).into());
    }
    Ok(closed?)
}

/// The last event of a `claviger.db`.
pub async fn newest_event(file: &Path) -> Result<Option<NewestEvent>, StoreError> {
    const SQL: &str = "SELECT seq, id, at FROM events ORDER BY seq DESC LIMIT 1";
    let mut connection = open(file).await?;
    let event = sqlx::query_as(SQL).fetch_optional(&mut connection).await;
    connection.close().await?;
    Ok(event?)
}

pub(crate) async fn open(file: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .disable_statement_logging();
    Ok(options.connect().await?)
}
