//! Exports of usage that the program makes by itself: when, of what, and where to.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::Deserialize;

use super::kept_for::KeptFor;
use super::pair::first_pair;
use super::secret::Secret;

/// The section `[usage_export]`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct UsageExportSettings {
    /// When usage is exported, as cron says it (minute, hour, day of the month, month, day of the week;
    /// UTC), such as `30 0 1 * *` [default: never]
    #[arg(
        id = "usage_export_schedule",
        long = "usage-export-schedule",
        env = "CLAVIGER_USAGE_EXPORT_SCHEDULE",
        hide_env_values = true,
        value_name = "CRON"
    )]
    pub schedule: Option<Schedule>,

    /// What each export is of: all days, or all months, that are over and were not exported yet
    /// [default: month]
    #[arg(
        id = "usage_export_every",
        long = "usage-export-every",
        env = "CLAVIGER_USAGE_EXPORT_EVERY",
        hide_env_values = true,
        value_name = "PERIOD"
    )]
    pub every: Option<ExportEvery>,

    /// How rows are written [default: csv]
    #[arg(
        id = "usage_export_format",
        long = "usage-export-format",
        env = "CLAVIGER_USAGE_EXPORT_FORMAT",
        hide_env_values = true,
        value_name = "FORMAT"
    )]
    pub format: Option<ExportFormat>,

    /// Folder for the files, or an https URL that they are posted to in parts
    #[arg(
        id = "usage_export_to",
        long = "usage-export-to",
        env = "CLAVIGER_USAGE_EXPORT_TO",
        hide_env_values = true,
        value_name = "PLACE"
    )]
    pub to: Option<String>,

    /// What is sent to that URL as `Authorization`: `usage_export.authorization`. No flag, because other
    /// users of a machine can read command lines.
    #[arg(skip)]
    pub authorization: Option<Secret>,

    /// File with what is sent to that URL as `Authorization`
    #[arg(
        id = "usage_export_authorization_file",
        long = "usage-export-authorization-file",
        env = "CLAVIGER_USAGE_EXPORT_AUTHORIZATION_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub authorization_file: Option<PathBuf>,
}

impl UsageExportSettings {
    pub(super) fn over(self, lower: Self) -> Self {
        let (authorization, authorization_file) = first_pair(
            (self.authorization, self.authorization_file),
            (lower.authorization, lower.authorization_file),
        );
        Self {
            schedule: self.schedule.or(lower.schedule),
            every: self.every.or(lower.every),
            format: self.format.or(lower.format),
            to: self.to.or(lower.to),
            authorization,
            authorization_file,
        }
    }
}

/// When something is done, as cron says it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub struct Schedule(pub Cron);

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        parser
            .parse(text)
            .map(Self)
            .map_err(|error| format!("{text:?} is no cron expression such as 30 0 1 * *: {error}"))
    }
}

impl TryFrom<String> for Schedule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What an export is of.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ExportEvery {
    /// A day
    Day,
    /// A month
    Month,
}

impl ExportEvery {
    /// Days for which usage has to be kept: the longest of those, and a week in which it is exported.
    const fn least_kept(self) -> u32 {
        match self {
            Self::Day => 1 + 7,
            Self::Month => 31 + 7,
        }
    }

    /// `day` or `month`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// A header line, then a line a key, for tables
    Csv,
    /// A JSON object a line
    Ndjson,
}

impl ExportFormat {
    /// `csv` or `ndjson`, which a file ends in, too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Exports as they are in force.
#[derive(Clone, Debug)]
pub struct UsageExport {
    /// When.
    pub schedule: Schedule,
    /// Of what.
    pub every: ExportEvery,
    /// How.
    pub format: ExportFormat,
    /// Where to.
    pub to: ExportTo,
}

/// Where exports go.
#[derive(Clone, Debug)]
pub enum ExportTo {
    /// A folder, which has a file for each period.
    Folder(PathBuf),
    /// A URL that parts are posted to.
    Url {
        /// The URL.
        url: String,
        /// What is sent as `Authorization`.
        authorization: Option<Secret>,
    },
}

impl UsageExport {
    /// Reads what is set. Usage that names customers goes nowhere in clear, unless this is for development.
    pub(super) fn in_force(
        settings: UsageExportSettings,
        usage_kept: KeptFor,
        is_for_development: bool,
    ) -> Result<Option<Self>> {
        let authorization = Secret::of_either(
            "usage_export.authorization",
            settings.authorization,
            settings.authorization_file.as_ref(),
        )?;
        let Some(schedule) = settings.schedule else {
            if settings.to.is_some() {
                bail!("usage_export.to is given and usage_export.schedule is not: say when");
            }
            return Ok(None);
        };
        let to = settings
            .to
            .context("usage_export.schedule is given and usage_export.to is not: say where to")?;
        let to = if to.contains("://") {
            if !to.starts_with("https://") && !to.starts_with("http://") {
                bail!("usage_export.to is neither a folder nor an https URL");
            }
            if to.starts_with("http://") && authorization.is_some() {
                bail!("usage_export.authorization would be sent in clear: give an https URL");
            }
            if to.starts_with("http://") && !is_for_development {
                bail!(
                    "usage_export.to would be sent usage, with whose it is, in clear: give an https URL \
                     (outbound.allow_private is for development)"
                );
            }
            let authority = to.split(['/', '?', '#']).nth(2).unwrap_or_default();
            if authority.contains('@') {
                bail!("usage_export.to has credentials in it: give usage_export.authorization");
            }
            let url = to;
            ExportTo::Url { url, authorization }
        } else {
            if authorization.is_some() {
                bail!("usage_export.authorization is for a URL, and usage_export.to is a folder");
            }
            ExportTo::Folder(to.into())
        };
        let every = settings.every.unwrap_or(ExportEvery::Month);
        let least = every.least_kept();
        if matches!(usage_kept, KeptFor::Days(days) if days < least) {
            bail!(
                "retention.usage {usage_kept} is below {least}d: usage of a {} would be gone before it is \
                 exported (usage_export.every)",
                every.as_str()
            );
        }
        Ok(Some(Self {
            schedule,
            every,
            format: settings.format.unwrap_or(ExportFormat::Csv),
            to,
        }))
    }

    /// Where to, without what a URL may have of credentials.
    pub(super) fn shown_to(&self) -> String {
        match &self.to {
            ExportTo::Folder(folder) => folder.display().to_string(),
            ExportTo::Url { url, .. } => {
                let end = url.find(['?', '#']).unwrap_or(url.len());
                url[..end].to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_force(text: &str) -> Result<Option<UsageExport>> {
        UsageExport::in_force(toml::from_str(text).unwrap(), KeptFor::Forever, false)
    }

    #[test]
    fn usage_is_kept_until_it_is_exported() {
        for (every, days, is_refused) in [
            ("day", 7, true),
            ("day", 8, false),
            ("month", 37, true),
            ("month", 38, false),
        ] {
            let settings = format!("schedule = '@daily'\nto = '/x'\nevery = '{every}'");
            let settings = toml::from_str(&settings).unwrap();
            let read = UsageExport::in_force(settings, KeptFor::Days(days), false);
            let refused = read.err().map(|error| error.to_string());
            assert_eq!(refused.is_some(), is_refused, "{every} {days}");
            if let Some(sentence) = refused {
                assert!(sentence.contains("before it is exported"), "{sentence}");
            }
        }
    }

    #[test]
    fn usage_is_sent_in_clear_for_development_only() {
        let read = |is_for_development| {
            let settings =
                toml::from_str("schedule = '@daily'\nto = 'http://127.0.0.1/in'").unwrap();
            UsageExport::in_force(settings, KeptFor::Forever, is_for_development)
        };
        assert!(read(true).is_ok());
        let refused = read(false).unwrap_err().to_string();
        assert!(refused.contains("in clear"), "{refused}");
    }

    #[test]
    fn exports_need_a_time_and_a_place() {
        assert!(in_force("").unwrap().is_none());
        let folder = in_force("schedule = \"@daily\"\nto = \"/billing\"")
            .unwrap()
            .unwrap();
        assert!(matches!(folder.to, ExportTo::Folder(_)));
        assert_eq!(
            (folder.every, folder.format),
            (ExportEvery::Month, ExportFormat::Csv)
        );
        let url = "schedule = \"30 0 1 * *\"\nto = \"https://example.com/in?token=canary\"\n\
                   authorization = \"Bearer canary\"\nevery = \"day\"\nformat = \"ndjson\"";
        let url = in_force(url).unwrap().unwrap();
        assert_eq!(url.shown_to(), "https://example.com/in");
        assert!(!format!("{:?}", url.to).contains("Bearer"));
        for (text, sentence) in [
            ("to = \"/billing\"", "say when"),
            ("schedule = \"0 0 * * *\"", "say where to"),
            (
                "schedule = \"0 0 * * *\"\nto = \"ftp://x\"",
                "nor an https URL",
            ),
            (
                "schedule = \"0 0 * * *\"\nto = \"http://x\"\nauthorization = \"a\"",
                "give an https URL",
            ),
            (
                "schedule = \"0 0 * * *\"\nto = \"/x\"\nauthorization = \"a\"",
                "is a folder",
            ),
            (
                "schedule = \"0 0 * * *\"\nto = \"https://a:b@example.com/\"",
                "has credentials in it",
            ),
        ] {
            let refused = in_force(text).unwrap_err().to_string();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
        for wrong in ["", "soon", "0 0 0 * * *", "61 * * * *", "* * * *"] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong:?}");
        }
    }
}
