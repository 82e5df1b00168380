//! The file that tells what was refused, a JSON object a line. It is there when there is anything.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

/// Lines for a file that is made with the first of them.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    file: Option<BufWriter<File>>,
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
                File::create(&self.path).with_context(failed)?,
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
