//! Why the database did not do what it was asked.

use std::sync::Arc;

use super::PATIENCE;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no, or cannot be reached.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// The commit that a change shared with others failed: none of them has happened.
    #[error("the change could not be committed")]
    Uncommitted(#[source] Arc<sqlx::Error>),
    /// Too much waits, or the disk is too slow for it; what was asked has not begun.
    #[error("it waited {} s for its turn", PATIENCE.as_secs())]
    Busy,
    /// Too much of the same asker's waits already; what was asked has not begun.
    #[error("too much of the same asker's waits")]
    Crowded,
    /// What happened to a change that was written together with others.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    /// The tables are not as this program needs them, and could not be made so.
    #[error("the database could not be brought to this program's version")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The tables were made by a newer program.
    #[error("the database was written by a newer program (migration {0}), start that one instead")]
    Newer(i64),
    /// The tables were made by an older program, and another may be serving them.
    #[error("the database is of an older version (migration {0}), start this program on it first")]
    Older(i64),
    /// A row is not as this program writes it.
    #[error("a row of {table} cannot be read: {what}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong; never a value.
        what: &'static str,
    },
    /// What is sealed cannot be opened: another master key, or a row that was tampered with.
    #[error("what is sealed as {0} does not open with this master key")]
    Unsealing(&'static str),
    /// Another layer of pepper was put over those that were opened.
    #[error("the secrets were exchanged meanwhile")]
    Exchanged,
    /// A program serves the database, which what was asked for takes none to do.
    #[error("a program serves the database")]
    Served,
}

impl StoreError {
    /// Whether the database is away or full for now, so that the same request may succeed later.
    pub fn is_unavailable(&self) -> bool {
        let error = match self {
            Self::Database(error) => error,
            // Whatever it was, the change itself had succeeded.
            Self::Uncommitted(_) | Self::Busy | Self::Crowded => return true,
            Self::Shared(error) => return error.is_unavailable(),
            _ => return false,
        };
        match error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::WorkerCrashed => true,
            // SQLite: busy, locked, I/O, full, cannot open; PostgreSQL: failures of the connection,
            // deadlocks, out of resources, locked for too long, shutting down or not accepting
            // connections.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                if code.len() == 5 {
                    ["08", "40", "53", "55", "57"].contains(&&code[..2])
                } else {
                    // The low byte is the kind, what is above it the detail.
                    let kind = code.parse::<u32>().map(|code| code & 0xff);
                    matches!(kind, Ok(5 | 6 | 10 | 13 | 14))
                }
            }),
            _ => false,
        }
    }
}
