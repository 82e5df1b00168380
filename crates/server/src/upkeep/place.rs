//! Where a server's data is, as commands are told that need not know how it listens.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::config::{Config, DatabaseSettings, Settings};

/// The flags of commands that work on a server's data.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where the data is")]
pub(crate) struct PlaceFlags {
    /// The server's configuration file
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,

    /// Its folder for databases, keys and credentials [default: ./claviger-data]
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_DATA_DIR",
        hide_env_values = true,
        value_name = "FOLDER"
    )]
    data_dir: Option<PathBuf>,

    /// File with its master key; the key itself can stand in a variable
    /// [default: master.key in the folder]
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_MASTER_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    master_key_file: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseSettings,
}

impl PlaceFlags {
    /// What is in force for the server.
    pub(crate) fn config(self) -> Result<Config> {
        let settings = Settings {
            data_dir: self.data_dir,
            master_key_file: self.master_key_file,
            database: self.database,
            ..Settings::default()
        };
        Config::read(settings, self.config.as_deref())
    }
}
