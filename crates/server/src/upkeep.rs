//! Commands on a server's own files and database, on the machine where they are. The server is not
//! asked: some of them are for when there is none.

mod backup;
mod manifest;
mod operator_key;
mod place;
mod progress;
mod restore;
mod secrets;
mod swap;

use std::fs::File;

use anyhow::{Result, bail};
use claviger_store::Db;

pub(crate) use self::backup::BackupFlags;
pub(crate) use self::operator_key::OperatorKeyCommand;
pub(crate) use self::place::PlaceFlags;
pub(crate) use self::restore::RestoreFlags;
pub(crate) use self::secrets::SecretsCommand;
pub(crate) use self::swap::{discard as discard_restore, finish as finish_restore};
use crate::config::Config;
use crate::data_directory::hold_beside;
use crate::instance::explain;

/// Opens the database of a server that may be running.
pub(crate) async fn open_beside(config: &Config) -> Result<Db> {
    expect_data(config)?;
    let db = Db::open_beside(&config.location()).await;
    db.map_err(|error| explain(error, config))
}

/// Holds the data directory, where there is one, against commands that replace what is in it. Rows in
/// PostgreSQL need none.
fn hold(config: &Config) -> Result<Option<File>> {
    let data = &config.data_dir;
    data.exists().then(|| hold_beside(data)).transpose()
}

/// Looks whether there is something in the data directory, and nothing half-done.
fn expect_data(config: &Config) -> Result<()> {
    let data = &config.data_dir;
    if config.database_url.is_none() && !data.join("claviger.db").exists() {
        bail!(
            "{} has no claviger.db: name the server's data directory with --data-dir",
            data.display()
        );
    }
    if swap::is_under_way(data) {
        bail!(
            "a restore in {} was cut short: start claviger, which finishes it",
            data.display()
        );
    }
    Ok(())
}
