//! Putting restored files in the place of those that are there. From the moment that it is decided it
//! goes on to its end, whatever happens: a start finishes what was cut short before it opens anything.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use claviger_store::copies;

use super::manifest;
use crate::data_directory::give_to_the_folder_s_owner;

/// Where files are made ready that nobody has decided on yet.
pub(super) const UNFINISHED: &str = "restore.unfinished";
/// The same once it is decided.
const READY: &str = "restore.ready";
/// The name of the folder for the files that were there.
const ASIDE: &str = "aside";
/// What describes those, as a backup that can be restored.
const BEFORE: &str = "before.json";

/// Whether a restore has been decided on and not finished.
pub(super) fn is_under_way(data: &Path) -> bool {
    data.join(READY).exists()
}

/// Removes what a restore left that was given up before it was decided on.
pub(crate) fn discard(data: &Path) -> io::Result<()> {
    let folder = data.join(UNFINISHED);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// Decides that the files which were made ready take the place of those that are there, and moves
/// these into a folder called `aside`, with a manifest where they are a whole database.
pub(super) fn decide(data: &Path, aside: &str, before: Option<&[u8]>) -> Result<()> {
    let folder = data.join(UNFINISHED);
    for name in copies::FILES {
        // What it has would not go with the file.
        let journal = folder.join(format!("{name}-wal"));
        if journal.exists() {
            bail!("{} is not empty yet", journal.display());
        }
    }
    let ready = || -> io::Result<()> {
        if let Some(before) = before {
            write(&folder.join(BEFORE), before)?;
        }
        write(&folder.join(ASIDE), aside.as_bytes())?;
        File::open(&folder)?.sync_all()?;
        fs::rename(&folder, data.join(READY))?;
        File::open(data)?.sync_all()
    };
    ready().with_context(|| format!("cannot write into {}", data.display()))
}

/// Finishes a restore that was decided on. Gives where the files are that were there before.
pub(crate) fn finish(data: &Path) -> Result<Option<PathBuf>> {
    if !is_under_way(data) {
        return Ok(None);
    }
    let moved = move_all(data, &data.join(READY));
    moved.with_context(|| format!("the restore in {} cannot be finished", data.display()))
}

fn move_all(data: &Path, ready: &Path) -> io::Result<Option<PathBuf>> {
    // It goes last, so that without it there is nothing left to move.
    let aside = match fs::read_to_string(ready.join(ASIDE)) {
        Ok(name) => Some(data.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(aside) = &aside {
        if !aside.exists() {
            DirBuilder::new().mode(0o700).create(aside)?;
            give_to_the_folder_s_owner(aside)?;
        }
        move_over(&ready.join(BEFORE), &aside.join(manifest::FILE))?;
        for name in copies::FILES {
            let new = ready.join(name);
            if !new.exists() {
                continue;
            }
            for beside in ["", "-wal", "-shm"] {
                let name = format!("{name}{beside}");
                move_over(&data.join(&name), &aside.join(&name))?;
            }
            File::open(aside)?.sync_all()?;
            fs::rename(&new, data.join(name))?;
            File::open(data)?.sync_all()?;
        }
        // Nothing was there: nothing is kept.
        drop(fs::remove_dir(aside));
        fs::remove_file(ready.join(ASIDE))?;
    }
    fs::remove_dir_all(ready)?;
    File::open(data)?.sync_all()?;
    Ok(aside.filter(|aside| aside.exists()))
}

/// Moves a file where there is one.
fn move_over(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)?;
    give_to_the_folder_s_owner(path)?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with files of before, and some that were made ready to take their place.
    fn prepared() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        for name in ["claviger.db", "claviger.db-wal", "usage.db"] {
            fs::write(data.path().join(name), "before").unwrap();
        }
        let folder = data.path().join(UNFINISHED);
        fs::create_dir(&folder).unwrap();
        for name in copies::FILES {
            fs::write(folder.join(name), "after").unwrap();
        }
        data
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_restore_that_is_cut_short_anywhere_is_finished_by_the_next_start() {
        // Each step that moves something is a place where it may end.
        for cut in 0..6 {
            let data = prepared();
            let data = data.path();
            decide(data, "before-x", Some(b"{}")).unwrap();
            let (ready, aside) = (data.join(READY), data.join("before-x"));
            let steps: [&dyn Fn(); 5] = [
                &|| fs::create_dir(&aside).unwrap(),
                &|| fs::rename(ready.join(BEFORE), aside.join(manifest::FILE)).unwrap(),
                &|| fs::rename(data.join("claviger.db"), aside.join("claviger.db")).unwrap(),
                &|| {
                    fs::rename(data.join("claviger.db-wal"), aside.join("claviger.db-wal"))
                        .unwrap();
                },
                &|| fs::rename(ready.join("claviger.db"), data.join("claviger.db")).unwrap(),
            ];
            for step in steps.iter().take(cut) {
                step();
            }
            assert_eq!(finish(data).unwrap(), Some(aside.clone()), "{cut}");
            for name in copies::FILES {
                assert_eq!(text(&data.join(name)), "after", "{cut} {name}");
                assert_eq!(text(&aside.join(name)), "before", "{cut} {name}");
            }
            assert_eq!(text(&aside.join("claviger.db-wal")), "before", "{cut}");
            assert_eq!(text(&aside.join(manifest::FILE)), "{}", "{cut}");
            assert!(!data.join("claviger.db-wal").exists(), "{cut}");
            assert_eq!(finish(data).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn a_journal_beside_what_was_made_ready_is_not_left_behind() {
        let data = prepared();
        let data = data.path();
        let journal = data.join(UNFINISHED).join("claviger.db-wal");
        fs::write(&journal, "kept revocations").unwrap();
        assert!(decide(data, "before-x", None).is_err());
        fs::remove_file(&journal).unwrap();
        decide(data, "before-x", None).unwrap();
        // Whatever else is there does not keep it from its end.
        fs::write(data.join(READY).join("claviger.db-shm"), "").unwrap();
        assert!(finish(data).unwrap().is_some());
        assert!(!is_under_way(data));
    }

    #[test]
    fn what_was_not_decided_on_is_not_finished() {
        let data = prepared();
        assert_eq!(finish(data.path()).unwrap(), None);
        assert_eq!(text(&data.path().join("claviger.db")), "before");
        discard(data.path()).unwrap();
        assert!(!data.path().join(UNFINISHED).exists());
    }
}
