//! What a backup says of itself: `manifest.json`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use claviger_domain::plain_text;
use claviger_store::copies::NewestEvent;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file's name.
pub(super) const FILE: &str = "manifest.json";
/// The form of backups that this program writes and reads.
pub(super) const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    /// The form of all that follows.
    pub(super) format: u32,
    /// The version of the program that wrote it.
    pub(super) program: String,
    /// When that began, ISO 8601.
    pub(super) taken_at: String,
    /// The last event that is in it.
    pub(super) newest_event: Option<Newest>,
    /// The files beside this one.
    pub(super) files: Vec<Described>,
}

/// The last event of a backup.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Newest {
    /// Its number.
    pub(super) seq: i64,
    /// Its id.
    pub(super) id: String,
    /// When it happened, ISO 8601.
    pub(super) at: String,
}

impl From<NewestEvent> for Newest {
    fn from(event: NewestEvent) -> Self {
        Self {
            seq: event.seq,
            id: event.id,
            at: event.at.to_string(),
        }
    }
}

/// A file of a backup.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Described {
    /// Its name.
    pub(super) name: String,
    /// The last migration that it has been through.
    pub(super) schema: i64,
    /// Its length.
    pub(super) bytes: u64,
    /// SHA-256 of its content, hexadecimal.
    pub(super) sha256: String,
}

impl Manifest {
    /// Reads that of a backup.
    pub(super) fn read(backup: &Path) -> Result<Self> {
        let shown = backup.display();
        let text = fs::read(backup.join(FILE))
            .with_context(|| format!("{shown} is no backup: it has no {FILE}"))?;
        let mut manifest: Self = serde_json::from_slice(&text)
            .with_context(|| format!("the {FILE} of {shown} is not understood"))?;
        // They are shown, and whoever can write to a backup can have them say anything.
        for text in [&mut manifest.program, &mut manifest.taken_at] {
            *text = plain_text::clean(text).replace(['\n', '\t'], " ");
        }
        if manifest.format != FORMAT {
            bail!(
                "{shown} was written by claviger {} in a form that this one does not know",
                manifest.program
            );
        }
        Ok(manifest)
    }

    /// What it says of a file.
    pub(super) fn file(&self, name: &str) -> Result<&Described> {
        let found = self.files.iter().find(|file| file.name == name);
        found.with_context(|| format!("the {FILE} of the backup does not name {name}"))
    }
}

/// The length of what is read, and its SHA-256 in hexadecimal; all of it is written on.
pub(super) fn digest(from: &mut File, to: &mut impl Write) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
        bytes += length as u64;
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").expect("a text takes whatever is written");
    }
    Ok((bytes, text))
}
