//! SQLite's two files: how they are made and opened.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::behind::put_behind;
use super::writer::{self, Writer};
use super::{Engine, PATIENCE, StoreError};
use crate::generations::Generations;
use crate::migrations::{self, Versions};

/// What each reader keeps of pages, of each of the two files, in KiB: the upper ones of the trees that
/// a key is looked for in. The rest is in the system's cache, which all readers share.
const PAGES_OF_READERS: [u16; 2] = [1_024, 512];

/// Makes a file, unless there is one, that only its owner reads. SQLite's files beside it get the
/// same mode from it.
pub(crate) async fn make_private_file(path: &Path) -> Result<(), StoreError> {
    let mut options = tokio::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await.map_err(sqlx::Error::Io)?;
    Ok(())
}

/// Opens the two files, for so many readers. What was opened before an error is closed: SQLite tidies up the files beside
/// a database then, not when a connection is dropped.
pub(super) async fn open_files(
    folder: &Path,
    versions: Versions,
    readers: u16,
    generations: &Arc<Generations>,
) -> Result<Engine, StoreError> {
    for name in ["claviger.db", "usage.db"] {
        make_private_file(&folder.join(name)).await?;
    }
    let file = |name: &str, synchronous| {
        SqliteConnectOptions::new()
            .filename(folder.join(name))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .disable_statement_logging()
    };
    let keys = file("claviger.db", SqliteSynchronous::Full);
    let writing = keys
        .clone()
        .pragma("cache_size", writer::PAGES)
        // What is written over and over, the pages of those indexes too, goes into the file once for
        // so many pages (256 MiB) and not for a thousand. Whoever writes waits for that, so it is rare.
        .pragma("wal_autocheckpoint", "65536")
        // What a statement returns is all there before it is asked for.
        .row_buffer_size(128);
    let mut connection = writing.connect().await?;
    let one = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        // What was counted is written while others are answered, on the same cores.
        .after_connect(|connection, _| Box::pin(put_behind(connection)));
    let usage_file = file("usage.db", SqliteSynchronous::Normal);
    let usage = match one.connect_with(usage_file).await {
        Ok(usage) => usage,
        Err(error) => {
            drop(connection.close().await);
            return Err(error.into());
        }
    };
    if let Err(error) = migrations::run_sqlite(&mut connection, &usage, versions).await {
        drop(connection.close().await);
        usage.close().await;
        return Err(error);
    }

    let path = folder
        .join("usage.db")
        .to_string_lossy()
        .replace('\'', "''");
    let [pages, usage_pages] = PAGES_OF_READERS;
    let begin = Arc::<str>::from(format!(
        "PRAGMA cache_size = -{pages}; ATTACH DATABASE '{path}' AS usage; \
         PRAGMA usage.cache_size = -{usage_pages}; PRAGMA query_only = ON"
    ));
    // Rows cross from SQLite's thread to ours in fewer, longer strides.
    let reading = keys.row_buffer_size(512);
    let read = SqlitePoolOptions::new()
        .max_connections(readers.into())
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            let begin = sqlx::AssertSqlSafe(begin.clone());
            Box::pin(async move {
                sqlx::raw_sql(begin).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(reading)
        .await?;
    Ok(Engine::Sqlite {
        read,
        writer: Writer::start(connection, writing, Arc::clone(generations)),
        usage,
    })
}
