//! The data directory: one program at a time, files for their owner only, and nothing left behind
//! by a start that failed.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const LOCK: &str = "claviger.lock";

/// The data directory, held against other programs for as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    /// What this start made, to be removed when it fails.
    made: Vec<PathBuf>,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory where it is missing, and takes hold of it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut made = Vec::new();
        if !path.exists() {
            let missing = path
                .ancestors()
                .take_while(|one| !one.as_os_str().is_empty());
            made.extend(missing.take_while(|one| !one.exists()).map(Path::to_owned));
            made.reverse();
            let making = DirBuilder::new().recursive(true).mode(0o700).create(path);
            if let Err(error) = making {
                // Those above may have been made.
                remove(&made);
                let shown = path.display();
                return Err(error).context(format!("cannot make the data directory {shown}"));
            }
        }
        match Self::take(path) {
            Ok((path, lock, is_new)) => {
                made.extend(is_new.then(|| path.join(LOCK)));
                Ok(Self {
                    path,
                    made,
                    _lock: lock,
                })
            }
            Err(error) => {
                remove(&made);
                Err(error)
            }
        }
    }

    /// The whole path of a directory that is there, its lock, and whether that is new.
    fn take(path: &Path) -> Result<(PathBuf, File, bool)> {
        let shown = path.display();
        // Whole paths, so that what is printed can be pasted in any folder.
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot use the data directory {shown}"))?;
        if !path.is_dir() {
            bail!("the data directory {shown} is a file");
        }
        let lock_file = path.join(LOCK);
        let is_new = !lock_file.exists();
        let lock = take_lock(&lock_file, &shown.to_string())?;
        Ok((path, lock, is_new))
    }

    /// Holds it against commands that are run beside a server, too, for as long as the file is open.
    pub(crate) fn hold_alone(&self) -> Result<File> {
        lock_folder(&self.path, File::try_lock)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether there is such a file in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// Whether other users of this machine may look into it.
    pub(crate) fn is_open_to_others(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
    }

    /// Notes that this start makes a file, where it is not there yet.
    pub(crate) fn expect(&mut self, name: &str) {
        let path = self.file(name);
        if !path.exists() {
            self.made.push(path);
        }
    }

    /// Writes a file in it for its owner only, whole or not at all.
    pub(crate) fn write_private(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.expect(name);
        write_private(&self.file(name), content)
    }

    /// Says that this start succeeded as far as what was made by now stays.
    pub(crate) fn keep(&mut self) {
        self.made.clear();
    }

    /// Removes what this start made.
    pub(crate) fn undo(mut self) {
        // A database has files beside it, which go first.
        for beside in [
            "claviger.db-wal",
            "claviger.db-shm",
            "usage.db-wal",
            "usage.db-shm",
        ] {
            let database = self.file(&beside[..beside.len() - "-wal".len()]);
            if self.made.contains(&database) {
                self.made.push(self.file(beside));
            }
        }
        remove(&self.made);
    }
}

/// Removes what a start made. What cannot be removed stays: the sentence that follows is about why
/// the start failed.
fn remove(made: &[PathBuf]) {
    let (directories, files): (Vec<_>, Vec<_>) = made.iter().partition(|path| path.is_dir());
    for file in files.into_iter().rev() {
        drop(fs::remove_file(file));
    }
    for directory in directories.into_iter().rev() {
        drop(fs::remove_dir(directory));
    }
}

/// Holds a data directory as a command that is run beside a server: against those that replace what is
/// in it, and not against others like it.
pub(crate) fn hold_beside(path: &Path) -> Result<File> {
    lock_folder(path, File::try_lock_shared)
}

/// Locks the directory itself, of which a server only holds the file.
fn lock_folder(path: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<File> {
    let shown = path.display();
    let folder =
        File::open(path).with_context(|| format!("cannot use the data directory {shown}"))?;
    match lock(&folder) {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => {
            bail!("another command of claviger's is at work on the data directory {shown}")
        }
        Err(TryLockError::Error(error)) => {
            Err(error).context(format!("cannot lock the data directory {shown}"))
        }
    }
}

/// Locks the file, which stays: removing it at each stop would let two programs hold two of them.
fn take_lock(path: &Path, directory: &str) -> Result<File> {
    loop {
        let lock = private_file()
            .create(true)
            .open(path)
            .and_then(|lock| give_to_the_folder_s_owner(path).map(|()| lock))
            .with_context(|| format!("cannot write into the data directory {directory}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another claviger is using the data directory {directory}")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context(format!("cannot lock the data directory {directory}"));
            }
        }
        // Between opening and locking, a start that failed may have removed what it made.
        let ours = lock.metadata().context("cannot read the lock")?;
        if fs::metadata(path).is_ok_and(|there| there.ino() == ours.ino()) {
            return Ok(lock);
        }
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Gives a new file or folder to whose the folder around it is: a command that the superuser runs on the
/// data of a service leaves nothing there that the service cannot read.
pub(crate) fn give_to_the_folder_s_owner(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (owner, there) = (fs::metadata(folder)?, fs::symlink_metadata(path)?);
    if owner.uid() == there.uid() {
        return Ok(());
    }
    match chown(path, Some(owner.uid()), Some(owner.gid())) {
        // Whoever may give nothing away may write here all the same, as by the folder's group.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        given => given,
    }
}

/// Writes a file for its owner only: it is there whole, even after a power cut, or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let written = || -> io::Result<()> {
        // One that a crash left behind may have other permissions.
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = private_file().create_new(true).open(&temporary)?;
        give_to_the_folder_s_owner(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_only() {
        let scratch = tempfile::tempdir().unwrap();
        let mut directory = DataDirectory::open(&scratch.path().join("a/b")).unwrap();
        directory.write_private("master.key", b"secret").unwrap();
        assert_eq!(mode(directory.path()), 0o700);
        assert!(!directory.is_open_to_others());
        for name in ["master.key", LOCK] {
            assert_eq!(mode(&directory.file(name)), 0o600, "{name}");
        }
        assert_eq!(fs::read(directory.file("master.key")).unwrap(), b"secret");
    }

    #[test]
    fn what_the_superuser_makes_is_the_folder_s_owner_s() {
        let scratch = tempfile::tempdir().unwrap();
        if chown(scratch.path(), Some(12_345), Some(12_345)).is_err() {
            // Only the superuser gives anything away.
            return;
        }
        let mut directory = DataDirectory::open(scratch.path()).unwrap();
        directory.write_private("master.key", b"secret").unwrap();
        for name in ["master.key", LOCK] {
            let made = fs::metadata(directory.file(name)).unwrap();
            assert_eq!((made.uid(), made.gid()), (12_345, 12_345), "{name}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_held_is_not_left_behind() {
        let scratch = tempfile::tempdir().unwrap();
        // A name as long as names may be leaves no room in the path for the lock's.
        let mut path = scratch.path().join("made");
        while path.as_os_str().len() + 201 < 4_090 {
            path.push("d".repeat(200));
        }
        let rest = 4_090 - path.as_os_str().len() - 1;
        if rest > 0 {
            path.push("d".repeat(rest));
        }
        assert!(DataDirectory::open(&path).is_err());
        assert!(!scratch.path().join("made").exists());
    }

    #[test]
    fn two_programs_cannot_hold_it() {
        let scratch = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(scratch.path()).unwrap();
        let error = DataDirectory::open(scratch.path()).unwrap_err().to_string();
        assert!(error.contains("another claviger is using"), "{error}");
        drop(first);
        DataDirectory::open(scratch.path()).unwrap();
    }

    #[test]
    fn undoing_removes_what_was_made_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let mut directory = DataDirectory::open(&path).unwrap();
        directory.expect("claviger.db");
        for name in ["claviger.db", "claviger.db-wal"] {
            fs::write(directory.file(name), "").unwrap();
        }
        directory.undo();
        assert!(!scratch.path().join("a").exists());

        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("master.key"), "kept").unwrap();
        let mut directory = DataDirectory::open(&path).unwrap();
        directory.expect("master.key");
        directory.write_private("bootstrap.json", b"{}").unwrap();
        directory.undo();
        let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(fs::read(path.join("master.key")).unwrap(), b"kept");
    }
}
