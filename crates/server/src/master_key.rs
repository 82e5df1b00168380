//! Where the master key comes from, and how it is written.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use claviger_domain::random::Random;
use claviger_store::sealing::MasterKey;

use crate::config::{MasterKeySource, Secret};
use crate::data_directory::DataDirectory;

/// The file that the first start makes.
pub(crate) const FILE: &str = "master.key";

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
        MasterKeySource::File(path) => Secret::read(path)
            .and_then(|secret| read(&secret))
            .with_context(|| format!("the master key in {} is not usable", path.display())),
        MasterKeySource::DataDirectory if directory.has(FILE) => {
            let path = directory.file(FILE);
            Secret::read(&path)
                .and_then(|secret| read(&secret))
                .with_context(|| format!("the master key in {} is not usable", path.display()))
        }
        MasterKeySource::DataDirectory if has_database => bail!(
            "{} is missing: the database beside it was made with another master key, give that one \
             as CLAVIGER_MASTER_KEY_FILE",
            directory.file(FILE).display()
        ),
        MasterKeySource::DataDirectory => {
            let mut bytes = [0u8; 32];
            random.fill(&mut bytes);
            let text = format!("{}\n", STANDARD.encode(bytes));
            directory.write_private(FILE, text.as_bytes())?;
            Ok(MasterKey::new(bytes))
        }
    }
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
    use claviger_store::sealing::Purpose;
    use secrecy::ExposeSecret;

    use super::*;

    fn derived(text: &str) -> Option<[u8; 32]> {
        let key = read(&Secret::from(text.to_owned())).ok()?;
        Some(*key.derive(Purpose::Pepper).expose_secret())
    }

    #[test]
    fn a_master_key_is_read_in_either_spelling() {
        let expected = *MasterKey::new([0xfb; 32])
            .derive(Purpose::Pepper)
            .expose_secret();
        for text in [
            "fb".repeat(32),
            "FB".repeat(32),
            STANDARD.encode([0xfb; 32]),
            STANDARD_NO_PAD.encode([0xfb; 32]),
            URL_SAFE_NO_PAD.encode([0xfb; 32]),
        ] {
            assert_eq!(derived(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for text in ["", "secret", &"fb".repeat(31), &STANDARD.encode([1; 33])] {
            assert_eq!(derived(text), None, "{text}");
        }
    }
}
