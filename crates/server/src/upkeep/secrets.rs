//! `claviger secrets`: what the instance keeps to itself, and exchanging it.

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use claviger_domain::event::Actor;
use claviger_store::sealing::MasterKey;
use claviger_store::secrets::{self, Rewrapped};
use claviger_store::{Change, Db, StoreError};

use super::place::PlaceFlags;
use crate::commands::Ending;
use crate::config::{Config, MasterKeySource};
use crate::data_directory::DataDirectory;
use crate::instance::explain;
use crate::master_key;
use crate::output::{print, tell};
use crate::system::Outside;

/// Digests between two lines of progress.
const LINE_EVERY: u64 = 100_000;

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

const PEPPER_HELP: &str = "\
Keys, access keys, operator keys and tokens are stored as digests under a pepper. A new one is put over it:
every stored digest is digested once more, and so is what is presented from then on. All keys go on
working, none has to be presented first, and the digests of an older copy together with an older pepper
say nothing about the new ones. Each layer costs a check a fraction of a microsecond more.

No server may run meanwhile, on any machine: over PostgreSQL, stop all of them. All of it is one
transaction: cut short, nothing has happened. On SQLite it needs room on the disk for about the size of
the database once more.";

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
    /// Put another pepper over the one that keys are digested under, while no server runs
    #[command(after_help = PEPPER_HELP)]
    RotatePepper,
    /// List them, with the master key that wraps each, by its id
    List,
}

impl SecretsCommand {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        let config = self.place.config()?;
        match self.command {
            Verb::RotateMasterKey => rotate_master_key(&config, &outside).await,
            Verb::RotatePepper => rotate_pepper(&config, &outside).await,
            Verb::List => list(&config).await,
        }
    }
}

async fn rotate_master_key(config: &Config, outside: &Outside) -> Result<Ending> {
    if config.new_master_key.is_none()
        && !matches!(config.master_key, MasterKeySource::DataDirectory)
    {
        bail!(
            "the master key is in {}: give the new one in CLAVIGER_NEW_MASTER_KEY_FILE or \
             CLAVIGER_NEW_MASTER_KEY, such as `openssl rand -base64 32` prints",
            master_key::origin(config)
        );
    }
    let _held = super::hold(config)?;
    let old = master_key::find(config)?;
    let db = super::open_beside(config).await?;
    let rotated = exchange(&db, &old, config, outside).await;
    db.close().await;
    rotated?;
    print("Rotated.\n");
    Ok(Ending::Done)
}

/// Wraps the secrets by a new master key, and puts that in the place of the old one where both are
/// in the data directory. Each error says under which of the two the secrets are.
async fn exchange(db: &Db, old: &MasterKey, config: &Config, outside: &Outside) -> Result<()> {
    const SAME: &str = "the master key is not exchanged";
    let data = &config.data_dir;
    let is_drawn = config.new_master_key.is_none();
    let made_ready = || {
        if is_drawn {
            // What would keep the files from being exchanged is found before the secrets are.
            master_key::keep_old(data, old)?;
        }
        let new = match master_key::next(config, data)? {
            Some(new) => new,
            None => master_key::draw_next(data, &*outside.random)?,
        };
        if new.id() == old.id() {
            bail!("the new master key is the old one");
        }
        Ok(new)
    };
    let new = made_ready().context(SAME)?;
    tell(&format!("The new master key is {}.", new.id()));
    let change = Change {
        actor: Actor::System,
        now: outside.clock.now(),
        random: outside.random.clone(),
    };
    let rewrapped = secrets::rewrap(db, old, &new, &change).await;
    let rewrapped = rewrapped.map_err(|error| match error {
        // The connection may have broken amid the commit.
        error @ StoreError::Database(_) => anyhow::Error::new(error).context(
            "the database failed, and the secrets are under the old master key or under the new one: \
             keep both, and run this again",
        ),
        error => refusal(error, config).context(SAME),
    });
    match rewrapped? {
        Rewrapped::Now => tell("The secrets are wrapped by it."),
        Rewrapped::Before => tell("The secrets were wrapped by it already."),
    }
    if !is_drawn {
        tell(
            "Give it to the server in the place of the old one before it starts again, and keep the \
             old one with the backups that were made before.",
        );
        return Ok(());
    }
    let kept = master_key::replace(data, old).with_context(|| {
        format!(
            "the secrets are under {}: keep {}, which alone opens them, and put it in the place of {}",
            new.id(),
            data.join(master_key::NEW).display(),
            master_key::origin(config)
        )
    })?;
    tell(&format!(
        "The old one is in {}: keep it with the backups that were made before, and nowhere else.",
        kept.display()
    ));
    Ok(())
}

fn refusal(error: StoreError, config: &Config) -> anyhow::Error {
    match error {
        StoreError::Unsealing(_) => explain(error, config),
        StoreError::Served => anyhow!("a claviger serves this database, stop all of them first"),
        other => other.into(),
    }
}

async fn rotate_pepper(config: &Config, outside: &Outside) -> Result<Ending> {
    const SAME: &str = "the pepper is as it was";
    // As a server would hold it, so that none runs; it is there, and is not made.
    super::expect_data(config)?;
    let mut directory = DataDirectory::open(&config.data_dir)?;
    let _held = directory.hold_alone()?;
    let masters = (
        master_key::load(&config.master_key, &mut directory, true, &*outside.random)?,
        master_key::next(config, directory.path())?,
    );
    let db = super::open_beside(config).await?;
    let rotated = async {
        if db.is_served().await.context(SAME)? {
            bail!("{SAME}: a claviger serves this database, stop all of them first");
        }
        let opening = opening(&db, masters).await;
        let master = opening.map_err(|error| refusal(error, config).context(SAME))?;
        let change = Change {
            actor: Actor::System,
            now: outside.clock.now(),
            random: outside.random.clone(),
        };
        let told = |digests| {
            if digests % LINE_EVERY == 0 {
                tell(&format!("{digests} digests"));
            }
        };
        let lifted = secrets::add_layer(&db, &master, &change, told).await;
        let lifted = lifted.map_err(|error| match error {
            // The connection may have broken amid the commit.
            error @ StoreError::Database(_) => anyhow::Error::new(error).context(
                "the database failed, and there is another pepper now or not: claviger secrets list \
                 shows the layers",
            ),
            error => refusal(error, config).context(SAME),
        })?;
        match db.is_served().await {
            Ok(false) => {}
            Ok(true) => tell("A claviger was started meanwhile: stop it, and start it again."),
            Err(_) => tell(
                "Whether a claviger was started meanwhile cannot be told: stop any, and start it again.",
            ),
        }
        Ok(lifted)
    }
    .await;
    db.close().await;
    // What it made to hold the folder by, where there was none: rows in PostgreSQL need no folder.
    directory.undo();
    let lifted = rotated?;
    print(&format!(
        "Rotated: {} digests are under {} layers of pepper.\n",
        lifted.digests, lifted.layers
    ));
    Ok(Ending::Done)
}

/// The one of two master keys that opens the secrets.
async fn opening(
    db: &Db,
    (master, next): (MasterKey, Option<MasterKey>),
) -> Result<MasterKey, StoreError> {
    match (secrets::check(db, &master).await, next) {
        (Err(StoreError::Unsealing(_)), Some(next)) => {
            secrets::check(db, &next).await?;
            Ok(next)
        }
        (checked, _) => checked.map(|()| master),
    }
}

async fn list(config: &Config) -> Result<Ending> {
    let db = super::open_beside(config).await?;
    let listed = secrets::list(&db).await;
    db.close().await;
    for secret in listed? {
        let key = secret.wrapped_by.map(|id| id.to_string());
        let key = key.unwrap_or_else(|| "a master key that is not named".to_owned());
        print(&format!(
            "{:<10}  made {}  wrapped by {key}\n",
            secret.name, secret.created_at
        ));
    }
    Ok(Ending::Done)
}
