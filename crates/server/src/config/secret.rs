//! Secrets in the configuration: never shown, and each may stand in a file of its own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// A setting that is never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Reads a secret from a file of its own, without the white space around it.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::from(text.trim().to_owned()))
    }

    /// The secret of a setting with a `_file` twin, of which only one may be given.
    pub(super) fn of_either(
        name: &str,
        secret: Option<Self>,
        file: Option<&PathBuf>,
    ) -> Result<Option<Self>> {
        match (secret, file) {
            (Some(_), Some(_)) => bail!("{name} and {name}_file are both given, give one"),
            (None, Some(path)) => Self::read(path).context(format!("{name}_file")).map(Some),
            (secret, None) => Ok(secret),
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}
