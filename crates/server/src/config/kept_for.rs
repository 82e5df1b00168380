//! How long things are kept: `30d`, or `forever`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// How long something is kept.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub enum KeptFor {
    /// That many days.
    Days(u32),
    /// Until somebody removes it.
    Forever,
}

/// A century: what is to be kept longer is kept for ever.
pub(super) const MOST_DAYS: u32 = 36_500;

impl FromStr for KeptFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        match days {
            Some(days @ 1..=MOST_DAYS) => Ok(Self::Days(days)),
            _ => Err(format!(
                "{text:?} is neither a number of days such as 30d, up to {MOST_DAYS}d, nor forever"
            )),
        }
    }
}

impl TryFrom<String> for KeptFor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for KeptFor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(out, "{days}d"),
            Self::Forever => out.write_str("forever"),
        }
    }
}
