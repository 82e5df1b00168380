//! Periods in the configuration: `500ms`, `5m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

/// A period, as it is written in the configuration.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = text.parse::<SignedDuration>().ok();
        let read = read.and_then(|period| Duration::try_from(period).ok());
        let wrong = || format!("{text:?} is no period such as 500ms, 1s or 5m");
        read.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was read fits: it came from one.
        let period = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        write!(out, "{period:#}")
    }
}
