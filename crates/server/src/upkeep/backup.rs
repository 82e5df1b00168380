//! `claviger backup`: whole copies of the databases, while the server goes on.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use claviger_domain::time::Timestamp;
use claviger_store::copies;

use super::manifest::{self, Described, Manifest, digest};
use super::place::PlaceFlags;
use super::progress::shown;
use super::swap;
use crate::commands::Ending;
use crate::config::Config;
use crate::data_directory::write_private;
use crate::master_key;
use crate::output::{print, tell};
use crate::system::Outside;

const HELP: &str = "\
Examples:
  claviger backup /backups/claviger-$(date +%F)
  claviger backup /backups/today --data-dir /var/lib/claviger
  tar -C /backups -cz today | gpg --encrypt -r ops > today.tar.gz.gpg      one file, to be sent elsewhere

The server may run meanwhile: the copy is of one instant, with every change that was answered before it.
It never has the master key, bootstrap.json or other credentials in clear in it. Without the master key
nothing in it can be checked or opened: keep a copy of that key elsewhere.

`claviger restore` takes it back. Rows that are in PostgreSQL are pg_dump's to back up.";

/// Copy the databases of this machine's server into a new folder, while it runs
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct BackupFlags {
    /// The folder to make; it must not be there yet
    to: PathBuf,
    #[command(flatten)]
    place: PlaceFlags,
}

impl BackupFlags {
    /// Carries the command out.
    pub(crate) async fn run(self, outside: Outside) -> Result<Ending> {
        let config = self.place.config()?;
        if config.database_url.is_some() {
            bail!(
                "the rows are in PostgreSQL, whose own tool backs them up: pg_dump --format=custom \
                 --file={} \"$CLAVIGER_DATABASE_URL\" (and keep the master key, which is not in it, elsewhere)",
                self.to.display()
            );
        }
        let _held = super::hold(&config)?;
        let manifest = write(&config, &self.to, &outside).await?;
        let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
        let events = manifest.newest_event.map_or(0, |event| event.seq);
        tell(&format!(
            "Backed up {bytes} bytes, up to event {events}. The master key is not in it: keep a copy of {} \
             where backups are not.",
            master_key::origin(&config)
        ));
        print(&format!("{}\n", self.to.display()));
        Ok(Ending::Done)
    }
}

/// Writes a backup: under another name, until it is whole.
async fn write(config: &Config, to: &Path, outside: &Outside) -> Result<Manifest> {
    let from = &config.data_dir;
    if swap::is_under_way(from) {
        bail!(
            "a restore in {} was cut short: start claviger, which finishes it, or restore again",
            from.display()
        );
    }
    for name in copies::FILES {
        if !from.join(name).exists() {
            bail!(
                "{} has no {name}: there is nothing to back up",
                from.display()
            );
        }
    }
    if to.symlink_metadata().is_ok() {
        bail!("{} is there already: name a new folder", to.display());
    }
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(name) = to.file_name() else {
        bail!("{} is no name for a folder", to.display());
    };
    // A name that nobody else can have been quicker to take.
    let mut drawn = [0; 8];
    outside.random.fill(&mut drawn);
    let mut unfinished = OsString::from(".");
    unfinished.push(name);
    unfinished.push(format!(".{:016x}.unfinished", u64::from_le_bytes(drawn)));
    let unfinished = parent.join(unfinished);
    DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    let written = fill(from, &unfinished, outside.clock.now()).await;
    let finished = written.and_then(|manifest| {
        fs::rename(&unfinished, to)
            .and_then(|()| File::open(parent)?.sync_all())
            .with_context(|| format!("cannot write {}", to.display()))?;
        Ok(manifest)
    });
    if finished.is_err() {
        // The error is why.
        drop(clear(&unfinished));
    }
    finished
}

async fn fill(from: &Path, into: &Path, now: Timestamp) -> Result<Manifest> {
    // What is counted comes first: then it is never of keys that the other copy does not know.
    for name in ["usage.db", "claviger.db"] {
        let (source, copy) = (from.join(name), into.join(name));
        let failed = || format!("cannot copy {}", source.display());
        let bytes = fs::metadata(&source).with_context(failed)?.len();
        let work = copies::copy(&source, &copy);
        shown(name, &copy, bytes, work).await.with_context(failed)?;
    }
    let manifest = describe_all(into, now).await?;
    let text = serde_json::to_string_pretty(&manifest).context("a manifest is JSON")?;
    write_private(&into.join(manifest::FILE), format!("{text}\n").as_bytes())?;
    Ok(manifest)
}

/// What the manifest tells of a folder with files that nobody writes to.
pub(super) async fn describe_all(folder: &Path, now: Timestamp) -> Result<Manifest> {
    let mut files = Vec::new();
    for name in copies::FILES {
        files.push(describe(folder, name).await?);
    }
    let newest = copies::newest_event(&folder.join("claviger.db")).await?;
    Ok(Manifest {
        format: manifest::FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: now.to_string(),
        newest_event: newest.map(Into::into),
        files,
    })
}

async fn describe(folder: &Path, name: &str) -> Result<Described> {
    let path = folder.join(name);
    let schema = copies::schema(&path).await?;
    let (bytes, sha256) = File::open(&path)
        .and_then(|mut file| digest(&mut file, &mut io::sink()))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Described {
        name: name.to_owned(),
        schema,
        bytes,
        sha256,
    })
}

/// Removes what a backup has written that failed.
fn clear(unfinished: &Path) -> io::Result<()> {
    let names = copies::FILES.into_iter().chain([manifest::FILE]);
    for name in names {
        for beside in ["", "-journal", "-wal", "-shm", ".tmp"] {
            match fs::remove_file(unfinished.join(format!("{name}{beside}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    fs::remove_dir(unfinished)
}
