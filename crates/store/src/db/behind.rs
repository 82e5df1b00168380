//! A thread that runs behind those that answer requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnection;

/// How much nicer than the others: where there is not enough for all, the system gives such a thread
/// about a third of what one of them gets. No less: SQLite's connections share a lock now and then, and
/// the last counters of a stop are waited for.
const NICER: i32 = 5;

/// Puts the thread that works for a connection behind all others of the program.
///
/// SQLite calls back on that thread while it runs a statement, which is the way into it. Where the
/// system refuses, the thread runs as all do.
pub(super) async fn put_behind(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let is_done = Arc::new(AtomicBool::new(false));
    let inside = Arc::clone(&is_done);
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(1, move || {
        if !inside.swap(true, Ordering::Relaxed)
            && let Err(error) = step_back()
        {
            tracing::info!(%error, "counters are written at the priority of all else");
        }
        true
    });
    drop(handle);
    sqlx::query("SELECT 1").execute(&mut *connection).await?;
    connection.lock_handle().await?.remove_progress_handler();
    Ok(())
}

/// The thread that asks; the greatest there is stands for what is above it.
#[cfg(target_os = "linux")]
fn step_back() -> rustix::io::Result<()> {
    let own = rustix::process::getpriority_process(None)?;
    rustix::process::setpriority_process(None, own + NICER)
}

/// Other systems know the priority of a process only, and all of it is not to step back.
#[cfg(not(target_os = "linux"))]
fn step_back() -> rustix::io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Mutex;

    use sqlx::Connection;

    use super::*;

    #[tokio::test]
    async fn the_thread_of_that_connection_is_behind_and_no_other() {
        let ours = rustix::process::getpriority_process(None).unwrap();
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        put_behind(&mut connection).await.unwrap();
        let seen = Arc::new(Mutex::new(None));
        let inside = Arc::clone(&seen);
        let mut handle = connection.lock_handle().await.unwrap();
        handle.set_progress_handler(1, move || {
            *inside.lock().unwrap() = rustix::process::getpriority_process(None).ok();
            true
        });
        drop(handle);
        sqlx::query("SELECT 1")
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(*seen.lock().unwrap(), Some((ours + NICER).min(19)));
        assert_eq!(rustix::process::getpriority_process(None), Ok(ours));
    }
}
