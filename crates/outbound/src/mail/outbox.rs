//! Mails as files, where no server is configured: they have codes and links in them, so that only their
//! owner reads them, and they do not stay for ever.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use claviger_domain::time::Timestamp;

const ENDING: &str = ".eml";

/// What the file of a mail is called: when it was written, in seconds, comes first.
pub(super) fn name(seconds: u64, id: &str) -> String {
    format!("{seconds}-{id}{ENDING}")
}

/// When a file was written that is called so; none where it is no mail of ours.
fn written_at(name: &str) -> Option<i64> {
    // One that was not written to its end begins with a dot.
    let name = name.strip_prefix('.').unwrap_or(name);
    let (seconds, _) = name.strip_suffix(ENDING)?.split_once("-mal_")?;
    seconds.parse().ok()
}

/// Writes a file that only its owner reads, whole or not at all.
pub(super) fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut directory = fs::DirBuilder::new();
    directory.recursive(true);
    #[cfg(unix)]
    directory.mode(0o700);
    directory.create(folder)?;
    let (partial, path) = (folder.join(format!(".{name}")), folder.join(name));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(partial, path)
}

/// Removes the mails in a folder that were written before an instant, and nothing else that is there;
/// gives how many. One that cannot be removed keeps no other.
pub fn forget_files(folder: &Path, before: Timestamp) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    let mut stay: Option<(OsString, io::Error)> = None;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let at = name.to_str().and_then(written_at);
        if at.is_none_or(|at| at >= before.as_seconds()) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            // Whoever read it has removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => stay = stay.or_else(|| Some((entry.file_name(), error))),
            Ok(()) => removed += 1,
        }
    }
    if let Some((file, error)) = &stay {
        let error = error as &dyn Error;
        tracing::error!(
            ?file,
            error,
            "a mail in outbox/ that is past its time cannot be removed"
        );
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_go_by_their_age_and_nothing_else_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("outbox");
        let before = Timestamp::from_micros(1_000 * 1_000_000);
        assert_eq!(forget_files(&folder, before).unwrap(), 0);
        for (seconds, id) in [(998, "mal_1"), (999, "mal_2"), (1_000, "mal_3")] {
            write(&folder, &name(seconds, id), b"mail").unwrap();
        }
        for other in [".997-mal_4.eml", "1-mal_5.txt", "2024-note.eml", "5.eml"] {
            fs::write(folder.join(other), "").unwrap();
        }
        assert_eq!(forget_files(&folder, before).unwrap(), 3);
        let left = fs::read_dir(&folder).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(
            left,
            ["1-mal_5.txt", "1000-mal_3.eml", "2024-note.eml", "5.eml"]
        );
    }

    #[test]
    fn one_that_cannot_be_removed_keeps_no_other() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        for seconds in 1..20 {
            write(folder, &name(seconds, "mal_1"), b"mail").unwrap();
        }
        fs::create_dir(folder.join(name(20, "mal_1"))).unwrap();
        let before = Timestamp::from_micros(1_000 * 1_000_000);
        assert_eq!(forget_files(folder, before).unwrap(), 19);
    }

    #[cfg(unix)]
    #[test]
    fn only_their_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt;

        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("outbox");
        write(&folder, "1-mal_1.eml", b"mail").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("1-mal_1.eml")), 0o600);
    }
}
