//! Usage of a time that is over, key by key, for whoever bills by it: written once, and gone on with where
//! it was cut short.

mod command;
mod endpoint;
mod file;
mod format;
mod lease;
mod period;
mod scheduled;

use anyhow::Result;
use claviger_domain::time::Timestamp;
use claviger_store::{Db, usage};

pub(crate) use self::command::ExportFlags;
use self::file::write_file;
use self::period::Period;
pub(crate) use self::scheduled::{Exporter, JOB};

/// Keys that are read and written together.
const KEYS: i64 = 5_000;

/// Brings all that was counted into rows, so far as this database knows of it.
async fn prepare(db: &Db, now: Timestamp) -> Result<()> {
    Ok(usage::fold_all(db, now).await?)
}
