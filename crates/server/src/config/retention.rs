//! How long what is kept, as it is in force.

use anyhow::{Result, bail};

use super::kept_for::KeptFor;
use super::settings::RetentionSettings;

/// How long what is kept, as it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The log of calls through the gateway.
    pub calls: KeptFor,
    /// Usage by hour; then it is kept by day.
    pub usage_by_hour: KeptFor,
    /// Usage at all.
    pub usage: KeptFor,
    /// The trail of changes.
    pub events: KeptFor,
    /// What was deleted with its project or account, and MCP servers that ended.
    pub deleted: KeptFor,
    /// Mails that are files, since no server is configured.
    pub mails: KeptFor,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            calls: KeptFor::Days(30),
            usage_by_hour: KeptFor::Days(90),
            usage: KeptFor::Forever,
            events: KeptFor::Forever,
            deleted: KeptFor::Days(30),
            mails: KeptFor::Days(7),
        }
    }
}

/// Who looks into something that went wrong must find what happened in the last quarter.
const LEAST_EVENTS: u32 = 90;
/// Hours of today and yesterday are still being written.
const LEAST_USAGE: u32 = 2;
/// The years that analytics shows where nothing else is asked for.
const FIVE_YEARS: u32 = 1_827;
const YEAR: u32 = 365;

impl Retention {
    pub(super) fn in_force(settings: &RetentionSettings) -> Result<Self> {
        let default = Self::default();
        let retention = Self {
            calls: settings.calls.unwrap_or(default.calls),
            usage_by_hour: settings.usage_by_hour.unwrap_or(default.usage_by_hour),
            usage: settings.usage.unwrap_or(default.usage),
            events: settings.events.unwrap_or(default.events),
            deleted: settings.deleted.unwrap_or(default.deleted),
            mails: settings.mails.unwrap_or(default.mails),
        };
        for (name, kept, least) in [
            ("events", retention.events, LEAST_EVENTS),
            ("usage_by_hour", retention.usage_by_hour, LEAST_USAGE),
            ("usage", retention.usage, LEAST_USAGE),
        ] {
            if matches!(kept, KeptFor::Days(days) if days < least) {
                bail!("retention.{name} {kept} is below {least}d");
            }
        }
        Ok(retention)
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.calls == KeptFor::Forever {
            warnings.push(
                "The log of calls is kept for ever (retention.calls): at some 0.5 KB a call, one call \
                 a second is 15 GB a year."
                    .to_owned(),
            );
        }
        if let KeptFor::Days(days) = self.usage
            && days < FIVE_YEARS
        {
            warnings.push(format!(
                "Usage is removed after {days} days (retention.usage): totals by month and year end \
                 there. Analytics shows five years where nothing else is asked for."
            ));
        }
        if let KeptFor::Days(days) = self.events
            && days < YEAR
        {
            warnings.push(format!(
                "The audit trail is removed after {days} days (retention.events): whoever audits \
                 mostly asks for {YEAR}."
            ));
        }
        if self.deleted == KeptFor::Forever {
            warnings.push(
                "What was deleted is kept for ever (retention.deleted), unseen: names, metadata and \
                 addresses of customers who have left, and their sealed credentials."
                    .to_owned(),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_days_or_for_ever() {
        for (text, kept) in [
            ("1d", KeptFor::Days(1)),
            ("36500d", KeptFor::Days(crate::config::kept_for::MOST_DAYS)),
            ("forever", KeptFor::Forever),
        ] {
            assert_eq!(text.parse(), Ok(kept));
            assert_eq!(kept.to_string(), text);
        }
        for wrong in ["", "d", "0d", "-1d", "30", "30 d", "1.5d", "36501d", "ever"] {
            assert!(wrong.parse::<KeptFor>().is_err(), "{wrong}");
        }
    }
}
