//! Which server is asked, and as whom.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::client::Client;
use crate::bootstrap::{Bootstrap, Member};
use crate::config::Secret;

const DEFAULT_FOLDER: &str = "claviger-data";
const DEFAULT_URL: &str = "http://127.0.0.1:8420";

/// The flags that every command has which asks a server.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerFlags {
    /// Where the server is [default: as in the data directory, or port 8420 of this machine]
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Server"
    )]
    url: Option<String>,

    /// Access key; better in the variable or in a file, where no other user reads it
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_ACCESS_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Server"
    )]
    access_key: Option<Secret>,

    /// File with the access key, alone or as a header line such as in `owner.header`
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_ACCESS_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Server"
    )]
    access_key_file: Option<PathBuf>,

    /// Folder of a server on this machine, whose `bootstrap.json` has its URL and the owner's access
    /// key [default: ./claviger-data]
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_DATA_DIR",
        hide_env_values = true,
        value_name = "FOLDER",
        help_heading = "Server"
    )]
    data_dir: Option<PathBuf>,

    /// Print the API's own JSON, one document
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
}

impl ServerFlags {
    /// The client that they describe, by default as the owner.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_as(Member::AccessKey)
    }

    /// The same, by default as the operator: for what no access key may do.
    pub(crate) fn operator_client(&self) -> Result<Client> {
        self.client_as(Member::OperatorKey)
    }

    fn client_as(&self, default: Member) -> Result<Client> {
        let bootstrap = self.bootstrap()?;
        let made = |member| {
            bootstrap
                .as_ref()
                .and_then(|bootstrap| bootstrap.text(member))
        };
        if let Some(key) = self.own_key()? {
            // A key that is given goes where the caller says: not to what a file says that merely
            // lies in the folder that they are in.
            let named = self.data_dir.as_ref().and(made(Member::Url));
            let url = self.url.as_deref().or(named).unwrap_or(DEFAULT_URL);
            return Client::new(url, key);
        }
        let url = self.url.as_deref().or_else(|| made(Member::Url));
        let url = url.unwrap_or(DEFAULT_URL);
        // That key is for the server that made it: another one gets none that it was not given.
        let theirs = made(Member::Url).map(|made| made.trim_end_matches('/'));
        let key = made(default).filter(|_| theirs == Some(url.trim_end_matches('/')));
        let Some(key) = key else {
            bail!(
                "no access key: give one in CLAVIGER_ACCESS_KEY or CLAVIGER_ACCESS_KEY_FILE, or name the \
                 data directory of a server on this machine with --data-dir"
            );
        };
        Client::new(url, Secret::from(key.to_owned()))
    }

    /// The connected account that the first start made.
    pub(crate) fn first_connected_account(&self) -> Result<Option<String>> {
        let bootstrap = self.bootstrap()?;
        let id = bootstrap
            .as_ref()
            .and_then(|made| made.text(Member::IntegratedAccountId));
        Ok(id.map(str::to_owned))
    }

    /// The account that the first start made.
    pub(crate) fn first_account(&self) -> Result<Option<String>> {
        let bootstrap = self.bootstrap()?;
        let id = bootstrap
            .as_ref()
            .and_then(|made| made.text(Member::AccountId));
        Ok(id.map(str::to_owned))
    }

    /// The access key that is given, in whichever way.
    pub(super) fn own_key(&self) -> Result<Option<Secret>> {
        match (&self.access_key, &self.access_key_file) {
            (Some(_), Some(_)) => {
                bail!("an access key and a file with one are both given, give one")
            }
            (Some(key), None) => Ok(Some(key.clone())),
            (None, Some(file)) => {
                let text = Secret::read(file)?;
                let key = text.expose().trim_start_matches("x-api-key:").trim();
                Ok(Some(Secret::from(key.to_owned())))
            }
            (None, None) => Ok(None),
        }
    }

    /// What the first start wrote; a folder that was named must have it, unless the rest is given.
    fn bootstrap(&self) -> Result<Option<Bootstrap>> {
        let folder = self
            .data_dir
            .as_deref()
            .unwrap_or(Path::new(DEFAULT_FOLDER));
        let found = Bootstrap::of_folder(folder)?;
        let is_needed = self.access_key.is_none() && self.access_key_file.is_none();
        if self.data_dir.is_some() && is_needed && found.is_none() {
            return Err(anyhow::anyhow!("there is no bootstrap.json in it")).with_context(|| {
                format!(
                    "{} is not the data directory of a started server",
                    folder.display()
                )
            });
        }
        Ok(found)
    }
}
