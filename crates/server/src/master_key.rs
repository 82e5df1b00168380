//! Where the master key comes from, and how it is written.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use claviger_domain::random::Random;
use claviger_store::sealing::MasterKey;

use crate::config::{Config, MasterKeySource, Secret};
use crate::data_directory::{DataDirectory, write_private};

/// The file that the first start makes.
pub(crate) const FILE: &str = "master.key";
/// The one that is to take its place.
pub(crate) const NEW: &str = "master.key.new";

/// The master key, drawn and kept in the data directory when there is none yet.
///
/// `has_database`: what is sealed there needs the key that it was sealed under, so that a new one
/// would be of no use. The key is written before any database is made: the other way round, a power
/// cut between the two would leave a database that nothing opens.
pub(crate) fn load(
    source: &MasterKeySource,
    directory: &mut DataDirectory,
    has_database: bool,
    random: &dyn Random,
) -> Result<MasterKey> {
    match source {
        MasterKeySource::Given(secret) => read(secret).context("the master key is not usable"),
        MasterKeySource::File(path) => read_from(path),
        MasterKeySource::DataDirectory if directory.has(FILE) => read_from(&directory.file(FILE)),
        MasterKeySource::DataDirectory if has_database => bail!(
            "{} is missing: the database beside it was made with another master key, give that one \
             as CLAVIGER_MASTER_KEY_FILE",
            directory.file(FILE).display()
        ),
        MasterKeySource::DataDirectory => {
            let mut bytes = [0u8; 32];
            random.fill(&mut bytes);
            directory.write_private(FILE, render(bytes).as_bytes())?;
            Ok(MasterKey::new(bytes))
        }
    }
}

/// Where the master key is, for people.
pub(crate) fn origin(config: &Config) -> String {
    match &config.master_key {
        MasterKeySource::Given(_) => "CLAVIGER_MASTER_KEY".to_owned(),
        MasterKeySource::File(path) => path.display().to_string(),
        MasterKeySource::DataDirectory => config.data_dir.join(FILE).display().to_string(),
    }
}

/// The master key of an instance that is there.
pub(crate) fn find(config: &Config) -> Result<MasterKey> {
    match &config.master_key {
        MasterKeySource::Given(secret) => read(secret).context("the master key is not usable"),
        MasterKeySource::File(path) => read_from(path),
        MasterKeySource::DataDirectory => read_from(&config.data_dir.join(FILE)),
    }
}

/// The master key that is to take the place of the one in force: given, or drawn by an exchange that
/// was cut short.
pub(crate) fn next(config: &Config, data: &Path) -> Result<Option<MasterKey>> {
    match (&config.new_master_key, &config.master_key) {
        (Some(MasterKeySource::Given(secret)), _) => {
            let key = read(secret).context("the new master key is not usable")?;
            Ok(Some(key))
        }
        (Some(MasterKeySource::File(path)), _) => read_from(path).map(Some),
        (_, MasterKeySource::DataDirectory) if data.join(NEW).exists() => {
            read_from(&data.join(NEW)).map(Some)
        }
        _ => Ok(None),
    }
}

/// Draws a master key beside the one in force. Where an exchange was cut short, its key is taken: it
/// may be in use already.
pub(crate) fn draw_next(data: &Path, random: &dyn Random) -> Result<MasterKey> {
    let place = data.join(NEW);
    let mut bytes = [0u8; 32];
    random.fill(&mut bytes);
    let drawn = data.join(format!("{NEW}.{}", std::process::id()));
    write_private(&drawn, render(bytes).as_bytes())?;
    // Not over one that is there, be it a moment old.
    let linked = fs::hard_link(&drawn, &place);
    // Its name is on the disk before the other goes, and before anything lies under it.
    let synced = File::open(data).and_then(|folder| folder.sync_all());
    drop(fs::remove_file(&drawn));
    synced.with_context(|| format!("cannot write into {}", data.display()))?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot write {}", place.display()))
        }
        _ => read_from(&place),
    }
}

/// Gives the old master key a second name, under which it stays: backups that were made with it need
/// it. Where that cannot be, as with a file that is mounted by itself, it cannot be replaced either.
pub(crate) fn keep_old(data: &Path, old: &MasterKey) -> Result<PathBuf> {
    let kept = data.join(format!("{FILE}.{}", old.id()));
    match fs::hard_link(data.join(FILE), &kept) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if read_from(&kept)?.id() != old.id() {
                bail!("{} is another key than its name says", kept.display());
            }
        }
        linked => linked.with_context(|| {
            format!(
                "{} cannot be kept beside its successor",
                data.join(FILE).display()
            )
        })?,
    }
    let synced = File::open(data).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("cannot write into {}", data.display()))?;
    Ok(kept)
}

/// Puts the new master key in the place of the old one, which stays beside it.
pub(crate) fn replace(data: &Path, old: &MasterKey) -> Result<PathBuf> {
    let kept = keep_old(data, old)?;
    let replaced = || -> io::Result<()> {
        match fs::rename(data.join(NEW), data.join(FILE)) {
            // Somebody else has done it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::open(data)?.sync_all()
    };
    replaced().with_context(|| format!("cannot replace {}", data.join(FILE).display()))?;
    Ok(kept)
}

/// The line that puts secrets under the master key in the data directory, where another one is given.
pub(crate) fn line_that_exchanges_again(config: &Config) -> Option<String> {
    let current = config.data_dir.join(FILE);
    let flag = match &config.master_key {
        MasterKeySource::DataDirectory => return None,
        MasterKeySource::Given(_) => String::new(),
        MasterKeySource::File(path) => format!(" --master-key-file {}", path.display()),
    };
    let (given, there) = (find(config).ok()?, read_from(&current).ok()?);
    (given.id() != there.id()).then(|| {
        format!(
            "CLAVIGER_NEW_MASTER_KEY_FILE={} claviger secrets rotate-master-key --data-dir {}{flag}",
            current.display(),
            config.data_dir.display()
        )
    })
}

fn read_from(path: &Path) -> Result<MasterKey> {
    Secret::read(path)
        .and_then(|secret| read(&secret))
        .with_context(|| format!("the master key in {} is not usable", path.display()))
}

fn render(bytes: [u8; 32]) -> String {
    format!("{}\n", STANDARD.encode(bytes))
}

fn read(secret: &Secret) -> Result<MasterKey> {
    let text = secret.expose().trim();
    let bytes = read_hexadecimal(text)
        .or_else(|| STANDARD.decode(text).ok())
        .or_else(|| STANDARD_NO_PAD.decode(text).ok())
        .or_else(|| URL_SAFE_NO_PAD.decode(text).ok());
    match bytes.map(<[u8; 32]>::try_from) {
        Some(Ok(bytes)) => Ok(MasterKey::new(bytes)),
        _ => bail!("it is not 32 bytes in base64 or hexadecimal"),
    }
}

/// Reads 64 hexadecimal digits, which would also be base64 of something longer.
fn read_hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use claviger_store::sealing::KeyId;

    use super::*;

    fn id_of(text: &str) -> Option<KeyId> {
        let key = read(&Secret::from(text.to_owned())).ok()?;
        Some(key.id())
    }

    #[test]
    fn a_master_key_is_read_in_either_spelling() {
        let expected = MasterKey::new([0xfb; 32]).id();
        for text in [
            "fb".repeat(32),
            "FB".repeat(32),
            STANDARD.encode([0xfb; 32]),
            STANDARD_NO_PAD.encode([0xfb; 32]),
            URL_SAFE_NO_PAD.encode([0xfb; 32]),
        ] {
            assert_eq!(id_of(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for text in ["", "secret", &"fb".repeat(31), &STANDARD.encode([1; 33])] {
            assert_eq!(id_of(text), None, "{text}");
        }
    }
}
