//! Where lines go that an export writes: to a file that is gone on with, or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The end of a file in which its last line is looked for.
const TAIL: u64 = 1_024 * 1_024;

/// Where lines go.
#[derive(Debug)]
pub(super) struct Destination {
    file: Option<(PathBuf, File)>,
}

impl Destination {
    /// Standard output.
    pub(super) const fn standard_output() -> Self {
        Self { file: None }
    }

    /// A file, made for its owner only; and of one that is there where it ended, as `cursor` finds it in
    /// its last whole line. A line that was cut short is taken away.
    pub(super) fn file(
        path: &Path,
        cursor: impl Fn(&Value) -> Option<String>,
    ) -> Result<(Self, Option<String>)> {
        let failed = || format!("cannot write {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(path).with_context(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!("{} is being written by another export", path.display())
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        let length = file.metadata().with_context(failed)?.len();
        let begin = length.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(begin)).with_context(failed)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).with_context(failed)?;
        let whole = tail
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut left_at = None;
        if length > 0 {
            let line = tail[..whole]
                .trim_ascii_end()
                .rsplit(|byte| *byte == b'\n')
                .next();
            let line: Option<Value> = line.and_then(|line| serde_json::from_slice(line).ok());
            left_at = line.as_ref().and_then(&cursor);
            let is_cut_short_at_once = whole == 0 && begin == 0;
            if left_at.is_none() && !is_cut_short_at_once {
                bail!(
                    "{} does not end in an event of an export in that format: name another file",
                    path.display()
                );
            }
            let kept = begin + whole as u64;
            file.set_len(kept).with_context(failed)?;
            file.seek(SeekFrom::Start(kept)).with_context(failed)?;
        }
        let file = Some((path.to_owned(), file));
        Ok((Self { file }, left_at))
    }

    /// Writes whole lines. In a file they are there when this returns, whatever happens then.
    pub(super) fn write(&mut self, lines: &str) -> Result<()> {
        if let Some((path, file)) = &mut self.file {
            let written = file
                .write_all(lines.as_bytes())
                .and_then(|()| file.sync_data());
            written.with_context(|| format!("cannot write {}", path.display()))
        } else {
            let mut out = io::stdout().lock();
            match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    bail!("nobody reads the events any more")
                }
                written => written.context("cannot write to standard output"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::*;

    fn open(path: &Path) -> Result<(Destination, Option<String>)> {
        Destination::file(path, |line| line["cursor"].as_str().map(str::to_owned))
    }

    #[test]
    fn a_file_is_gone_on_with_behind_its_last_whole_line() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("audit.ndjson");
        let (mut first, left_at) = open(&path).unwrap();
        assert_eq!(left_at, None);
        first
            .write("{\"cursor\":\"0-1\"}\n{\"cursor\":\"0-2\"}\n")
            .unwrap();
        drop(first);
        let cut_short = fs::read_to_string(&path).unwrap() + "{\"cursor\":\"0-";
        fs::write(&path, cut_short).unwrap();
        let (mut next, left_at) = open(&path).unwrap();
        assert_eq!(left_at.as_deref(), Some("0-2"));
        let busy = open(&path).unwrap_err().to_string();
        assert!(
            busy.ends_with("is being written by another export"),
            "{busy}"
        );
        next.write("{\"cursor\":\"0-3\"}\n").unwrap();
        let written = fs::read_to_string(&path).unwrap();
        let cursors: Vec<_> = written.lines().map(|line| &line[11..14]).collect();
        assert_eq!(cursors, ["0-1", "0-2", "0-3"]);
    }

    #[test]
    fn another_s_file_is_left_as_it_is() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        for text in ["my notes\n", "{\"time\":1}\n"] {
            fs::write(&path, text).unwrap();
            let refused = open(&path).unwrap_err().to_string();
            assert!(refused.ends_with("name another file"), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        // Killed before the first line was whole.
        fs::write(&path, "{\"cursor\"").unwrap();
        assert_eq!(open(&path).unwrap().1, None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
