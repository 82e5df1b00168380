//! The file that tells what was refused, a JSON object a line. It is there when there is anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Lines for a file that is made with the first of them.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

/// Makes a file that only its owner reads: it tells of customers. One that is there is left alone.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path)
}

impl Report {
    /// Begins anew: what an earlier run refused may be accepted by now.
    pub(super) fn new(path: PathBuf) -> Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot write {}", path.display()))
            }
            _ => Ok(Self { path, file: None }),
        }
    }

    /// Adds a line; never with a key string in it.
    pub(super) fn note(&mut self, line: &Value) -> Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(
                private_file(&self.path).with_context(failed)?,
            )),
        };
        writeln!(file, "{line}").with_context(failed)
    }

    /// Writes the rest, and tells where it is, if there is anything.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let written = file.flush();
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(Some(self.path))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_refused_is_its_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.refused.ndjson");
        // As an earlier run may have left it.
        fs::write(&path, "earlier").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut report = Report::new(path.clone()).unwrap();
        report.note(&json!({"line": 1})).unwrap();
        report.finish().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"line\":1}\n");
    }
}
