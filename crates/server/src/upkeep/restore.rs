//! `claviger restore`: a backup takes the place of a database, after it was said what that undoes.

mod question;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;
use claviger_store::restore::{Difference, Kept, Undone, compare, settle};
use claviger_store::{Change, Db, Location, StoreError, copies, secrets};
use serde_json::json;

use self::question::Question;
use super::backup::describe_all;
use super::manifest::{self, Manifest, digest};
use super::place::PlaceFlags;
use super::progress::shown;
use super::swap;
use crate::commands::Ending;
use crate::config::Config;
use crate::data_directory::{DataDirectory, give_to_the_folder_s_owner};
use crate::master_key;
use crate::output::{print, tell};
use crate::system::Outside;

const HELP: &str = "\
Examples:
  claviger restore /backups/claviger-2026-11-22
  claviger restore /backups/today --data-dir /var/lib/claviger --keep-revocations
  claviger restore /backups/today --undo-revocations 0        in a script, where there are none

The server must not run. Keys that were revoked, rotated or deleted after the backup would pass again:
they are counted and listed, and nothing is done until you type how many there are, or say so with
--undo-revocations. --keep-revocations ends them in the restored database, too.

Into a folder without a database nothing is asked. The master key is not in a backup: the one that the
backup was made with has to be there, as for `claviger serve`.

The files that were there are kept beside the restored ones, as a backup that can be restored in its turn.
For rows in PostgreSQL, use pg_restore.";

/// Put a backup in the place of the databases of this machine's server, which must not run
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct RestoreFlags {
    /// The folder that `claviger backup` made
    from: PathBuf,
    /// How many later revocations, rotations and deletions it may undo: exactly as many as there are
    #[arg(long, value_name = "COUNT")]
    undo_revocations: Option<usize>,
    /// End in the restored database what was revoked, rotated or deleted since
    #[arg(long)]
    keep_revocations: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

impl RestoreFlags {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        let config = self.place.clone().config()?;
        if config.database_url.is_some() {
            bail!(
                "the rows are in PostgreSQL, whose own tool restores them: pg_restore --clean \
                 --if-exists --dbname=\"$CLAVIGER_DATABASE_URL\" FILE, while no claviger runs; nothing \
                 asks there which revocations that undoes"
            );
        }
        let mut directory = DataDirectory::open(&config.data_dir)?;
        let _held = directory.hold_alone()?;
        let restored = self.restore(&config, &outside, &mut directory).await;
        if restored.is_err() && !swap::is_under_way(directory.path()) {
            drop(swap::discard(directory.path()));
            directory.undo();
        }
        let aside = restored?;
        if let Some(aside) = aside {
            let is_backup = aside.join(manifest::FILE).exists();
            let way_back = if is_backup {
                "restore that folder to take this back, and "
            } else {
                ""
            };
            tell(&format!(
                "The files that were there are in {}: {way_back}remove it when you need it no more.",
                aside.display()
            ));
        }
        if let Some(line) = master_key::line_that_exchanges_again(&config) {
            tell(&format!(
                "It is under the master key of that time, which the server has to be given until this puts \
                 it under the one in the data directory: {line}"
            ));
        }
        print("Restored.\n");
        Ok(Ending::Done)
    }

    async fn restore(
        &self,
        config: &Config,
        outside: &Outside,
        directory: &mut DataDirectory,
    ) -> Result<Option<PathBuf>> {
        let data = directory.path().to_owned();
        if swap::finish(&data)?.is_some() {
            bail!("an earlier restore was cut short and is finished now: start this one again");
        }
        let manifest = Manifest::read(&self.from)?;
        swap::discard(&data).context("cannot remove what an earlier restore left")?;
        let staged = data.join(swap::UNFINISHED);
        DirBuilder::new()
            .mode(0o700)
            .create(&staged)
            .and_then(|()| give_to_the_folder_s_owner(&staged))
            .with_context(|| format!("cannot write into {}", data.display()))?;
        for name in copies::FILES {
            take(&self.from, &staged, &manifest, name).await?;
        }
        let now = outside.clock.now();
        bring_up_to_date(config, outside, directory, &staged).await?;

        let present = data.join("claviger.db");
        let copy = staged.join("claviger.db");
        let has_present = directory.has("claviger.db");
        let difference = if has_present {
            let compared = compare(&present, &copy, now).await;
            compared.with_context(|| {
                format!(
                    "what was revoked since cannot be told, for {} cannot be read: move it away to \
                     restore all the same",
                    present.display()
                )
            })?
        } else {
            Difference {
                undone: Vec::new(),
                later_events: 0,
                lost_layers: 0,
            }
        };
        let (kept, undone): (Vec<Undone>, Vec<Undone>) = difference
            .undone
            .into_iter()
            .partition(|one| self.keep_revocations && one.can_be_kept());
        if has_present {
            let question = Question {
                taken_at: &manifest.taken_at,
                later_events: difference.later_events,
                lost_layers: difference.lost_layers,
                kept: kept.len(),
                undone: &undone,
            };
            question.ask(self.undo_revocations)?;
        }
        let change = Change {
            actor: Actor::System,
            now,
            random: outside.random.clone(),
        };
        let told = json!({
            "takenAt": manifest.taken_at, "laterEvents": difference.later_events,
            "undone": undone.len(), "kept": kept.len(),
        });
        let kept = has_present.then_some(Kept {
            present: &present,
            ended: &kept,
        });
        settle(&copy, kept, &change, told).await?;
        for name in copies::FILES {
            copies::fold_journal(&staged.join(name)).await?;
        }
        let before = if has_present {
            let described = describe_before(&data, now).await;
            if let Err(error) = &described {
                tell(&format!(
                    "What is there cannot be read as a whole, so that it is kept and is no backup: {error:#}."
                ));
            }
            described.ok()
        } else {
            None
        };
        swap::decide(&data, &aside_name(now), before.as_deref())?;
        directory.keep();
        swap::finish(&data)
    }
}

/// Copies a file of the backup, and looks whether it is what the manifest says.
async fn take(from: &Path, into: &Path, manifest: &Manifest, name: &str) -> Result<()> {
    let described = manifest.file(name)?;
    let (source, copy) = (from.join(name), into.join(name));
    let work = {
        let (source, copy) = (source.clone(), copy.clone());
        tokio::task::spawn_blocking(move || -> std::io::Result<_> {
            let mut to = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&copy)?;
            give_to_the_folder_s_owner(&copy)?;
            let digested = digest(&mut File::open(source)?, &mut to)?;
            to.sync_all()?;
            Ok(digested)
        })
    };
    let copied = shown(name, &copy, described.bytes, work).await;
    let (bytes, sha256) = copied
        .context("copying failed")?
        .with_context(|| format!("cannot copy {}", source.display()))?;
    if bytes != described.bytes || sha256 != described.sha256 {
        bail!(
            "{} is not as it was when the backup was made: its checksum is another",
            source.display()
        );
    }
    Ok(())
}

/// Brings the copies to this program's version, and looks whether the master key opens them.
async fn bring_up_to_date(
    config: &Config,
    outside: &Outside,
    directory: &mut DataDirectory,
    staged: &Path,
) -> Result<()> {
    let place = master_key::origin(config);
    let master = master_key::load(&config.master_key, directory, true, &*outside.random)
        .context("a backup has no master key in it, and the one that it was made with is needed")?;
    let db = Db::open(&Location::Folder(staged.to_owned())).await;
    let db = db.map_err(|error| match error {
        StoreError::Newer(migration) => anyhow!(
            "the backup was written by a newer claviger (migration {migration}), restore it with that one"
        ),
        other => anyhow::Error::new(other).context("the backup cannot be opened"),
    })?;
    let opened = secrets::check(&db, &master).await;
    db.close().await;
    opened.map_err(|error| match error {
        StoreError::Unsealing(_) => {
            anyhow!("the backup was made with another master key than the one in {place}")
        }
        other => other.into(),
    })
}

/// Describes the files that are there, so that they are a backup themselves.
async fn describe_before(data: &Path, now: Timestamp) -> Result<Vec<u8>> {
    let manifest = describe_all(data, now).await?;
    let text = serde_json::to_string_pretty(&manifest).context("a manifest is JSON")?;
    Ok(format!("{text}\n").into_bytes())
}

/// A name that sorts by the instant, and that every file system takes.
fn aside_name(now: Timestamp) -> String {
    let at = now.to_string().replace(':', "-");
    format!("before-restore-{at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_named_by_the_instant() {
        let at = Timestamp::from_micros(1_768_478_400_123_456);
        assert_eq!(aside_name(at), "before-restore-2026-01-15T12-00-00.123Z");
    }
}
