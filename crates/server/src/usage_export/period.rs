//! The time that an export is of: a day, a month or a year, which is over.

use std::fmt;
use std::ops::Range;

use anyhow::{Result, bail};
use claviger_domain::bucket::{Grouping, begins_at};
use claviger_domain::date;
use claviger_domain::time::Timestamp;

use crate::config::ExportEvery;

/// Seconds after its end in which what was counted last becomes rows.
pub(super) const SETTLES: i64 = 300;

/// A time, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    grouping: Grouping,
    first: i64,
}

impl Period {
    /// Reads `2030-01-31`, `2030-01` or `2030`.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let (grouping, whole) = match text.len() {
            10 => (Grouping::Day, text.to_owned()),
            7 => (Grouping::Month, format!("{text}-01")),
            4 => (Grouping::Year, format!("{text}-01-01")),
            _ => (Grouping::Day, String::new()),
        };
        let Some(at) = date::parse(&whole) else {
            bail!("{text:?} is no day, month or year such as 2030-01-31, 2030-01 or 2030");
        };
        Ok(Self {
            grouping,
            first: at.as_hour(),
        })
    }

    /// The month before the present one.
    pub(crate) fn last_month(now: Timestamp) -> Self {
        Self::last(ExportEvery::Month, now)
    }

    /// The last one that has ended.
    pub(crate) fn last(every: ExportEvery, now: Timestamp) -> Self {
        let grouping = match every {
            ExportEvery::Day => Grouping::Day,
            ExportEvery::Month => Grouping::Month,
        };
        let this = grouping.first_hour(now.as_hour());
        Self {
            grouping,
            first: grouping.first_hour(this - 1),
        }
    }

    /// The one after it.
    pub(super) fn next(&self) -> Self {
        Self {
            grouping: self.grouping,
            first: self.grouping.next(self.first),
        }
    }

    /// Its days, counted since 1970.
    pub(super) fn days(&self) -> Range<i64> {
        let hours = self.hours();
        hours.start.div_euclid(24)..hours.end.div_euclid(24)
    }

    /// Its hours.
    pub(crate) fn hours(&self) -> Range<i64> {
        self.first..self.grouping.next(self.first)
    }

    /// When it begins, and when the next one does.
    pub(crate) fn bounds(&self) -> (Timestamp, Timestamp) {
        let hours = self.hours();
        (begins_at(hours.start), begins_at(hours.end))
    }

    /// Whether it is over, with what was counted last.
    pub(crate) fn is_closed(&self, now: Timestamp) -> bool {
        self.bounds().1.plus_seconds(SETTLES) <= now
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = match self.grouping {
            Grouping::Year => 4,
            Grouping::Month => 7,
            _ => 10,
        };
        let begins_at = self.bounds().0.to_string();
        out.write_str(&begins_at[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_what_it_is_called() {
        for (text, first, next) in [
            ("2028-02-29", "2028-02-29", "2028-03-01"),
            ("2028-02", "2028-02-01", "2028-03-01"),
            ("2028", "2028-01-01", "2029-01-01"),
        ] {
            let period = Period::read(text).unwrap();
            assert_eq!(period.to_string(), text);
            let bounds = (date::parse(first).unwrap(), date::parse(next).unwrap());
            assert_eq!(period.bounds(), bounds);
        }
        for wrong in ["", "2028-13", "2028-02-30", "28", "soon", "2028-W07"] {
            assert!(Period::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_is_closed_some_minutes_after_its_end() {
        let at = |text| date::parse(text).unwrap();
        let period = Period::last_month(at("2028-03-31T12:00:00Z"));
        assert_eq!(period.to_string(), "2028-02");
        assert!(!period.is_closed(at("2028-03-01T00:04:59Z")));
        assert!(period.is_closed(at("2028-03-01T00:05:00Z")));
        assert_eq!(Period::last_month(at("2028-01-01")).to_string(), "2027-12");
    }
}
