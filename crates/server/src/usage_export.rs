//! Usage of a time that is over, key by key, for whoever bills by it: written once, and gone on with where
//! it was cut short.

mod command;
mod endpoint;
mod file;
mod format;
mod lease;
mod period;
mod scheduled;

use anyhow::{Result, bail};
use claviger_domain::time::Timestamp;
use claviger_store::{Db, usage};

pub(crate) use self::command::ExportFlags;
use self::file::{rows_of_file, write_file};
use self::period::Period;
pub(crate) use self::scheduled::{Exporter, JOB};
use crate::config::ExportEvery;

/// Keys that are read and written together.
const KEYS: i64 = 5_000;

/// Times that it is tried to bring all that was counted into rows.
const FOLDS: usize = 3;

/// Brings all that was counted into rows, so far as this database knows of it. What another program has in
/// hand meanwhile must not be left out.
async fn prepare(db: &Db, now: Timestamp) -> Result<()> {
    for _ in 0..FOLDS {
        if usage::fold_until_now(db, now).await? {
            return Ok(());
        }
    }
    bail!("another program is bringing what was counted into rows: try again in a minute");
}

/// When the first period begins that the program is still to export by itself.
pub(crate) async fn waits_from(db: &Db, every: ExportEvery, now: Timestamp) -> Result<Timestamp> {
    let first = scheduled::first_waiting(db, every, now).await?;
    Ok(first.bounds().0)
}
