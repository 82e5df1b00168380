//! `claviger secrets`: what the instance keeps to itself, and exchanging it.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use claviger_domain::event::Actor;
use claviger_store::secrets::{self, Rewrapped};
use claviger_store::{Change, StoreError};

use super::place::PlaceFlags;
use crate::commands::Ending;
use crate::config::{Config, MasterKeySource};
use crate::instance::explain;
use crate::master_key;
use crate::output::{print, tell};
use crate::system::Outside;

const HELP: &str = "\
Examples:
  claviger secrets rotate-master-key                   master.key in the data directory is replaced
  openssl rand -base64 32 > new.key
  CLAVIGER_NEW_MASTER_KEY_FILE=new.key claviger secrets rotate-master-key --master-key-file old.key";

const MASTER_KEY_HELP: &str = "\
The master key wraps the pepper of key digests and the key that credentials are sealed under: these are
wrapped anew, all at once, and the rows that they protect stay as they are. The server may run meanwhile.

A master key in the data directory is replaced; the old one stays beside it, under its id, since backups
that were made before need it: take it to where you keep those. One that comes from elsewhere is given
as for `claviger serve`, and the new one in CLAVIGER_NEW_MASTER_KEY or CLAVIGER_NEW_MASTER_KEY_FILE;
after that, give the server the new one in the place of the old one before it starts again.

Cut short, it is run again.";

/// The secrets that the server keeps to itself
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct SecretsCommand {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Exchange the master key, under which the other secrets lie
    #[command(after_help = MASTER_KEY_HELP)]
    RotateMasterKey,
}

impl SecretsCommand {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        let config = self.place.config()?;
        match self.command {
            Verb::RotateMasterKey => rotate_master_key(&config, &outside).await,
        }
    }
}

async fn rotate_master_key(config: &Config, outside: &Outside) -> Result<Ending> {
    let data = &config.data_dir;
    let is_drawn = config.new_master_key.is_none();
    if is_drawn && !matches!(config.master_key, MasterKeySource::DataDirectory) {
        bail!(
            "the master key is in {}: give the new one in CLAVIGER_NEW_MASTER_KEY_FILE or \
             CLAVIGER_NEW_MASTER_KEY, such as `openssl rand -base64 32` prints",
            master_key::origin(config)
        );
    }
    let old = master_key::find(config)?;
    let db = super::open_beside(config).await?;
    let rotated = async {
        let new = match master_key::next(config, data)? {
            Some(new) => new,
            None => master_key::draw_next(data, &*outside.random)?,
        };
        if new.id() == old.id() {
            bail!("the new master key is the old one");
        }
        tell(&format!("The new master key is {}.", new.id()));
        let change = Change {
            actor: Actor::System,
            now: outside.clock.now(),
            random: outside.random.clone(),
        };
        let rewrapped = secrets::rewrap(&db, &old, &new, &change).await;
        match rewrapped.map_err(|error| refusal(error, config))? {
            Rewrapped::Now => tell("The secrets are wrapped by it."),
            Rewrapped::Before => tell("The secrets were wrapped by it already."),
        }
        if is_drawn {
            let kept = master_key::replace(data, &old)?;
            tell(&format!(
                "The old one is in {}: keep it with the backups that were made before, and nowhere else.",
                kept.display()
            ));
        } else {
            tell(
                "Give it to the server in the place of the old one before it starts again, and keep the \
                 old one with the backups that were made before.",
            );
        }
        Ok(())
    }
    .await;
    db.close().await;
    rotated.context("the master key is not exchanged")?;
    print("Rotated.\n");
    Ok(Ending::Done)
}

fn refusal(error: StoreError, config: &Config) -> anyhow::Error {
    match error {
        StoreError::Unsealing(_) => explain(error, config),
        other => other.into(),
    }
}
