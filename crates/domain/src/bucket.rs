//! Buckets of analytics: hours, days, weeks, months and years, all of UTC. An hour, the finest of
//! them, is its number since 1970.

use std::ops::Range;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

const HOURS_IN_A_DAY: i64 = 24;
const SECONDS_IN_AN_HOUR: i64 = 3_600;
/// The hours of the years 1 to 9998: a calendar has all of their buckets, and the next ones.
const CALENDAR: Range<i64> = -17_259_888..70_380_768;
/// The last hour that is turned into a date: in the year after those.
const LAST: i64 = CALENDAR.end + 300 * HOURS_IN_A_DAY;

/// The most buckets that one question is answered for: more than a year of hours.
pub const MOST_BUCKETS: usize = 10_000;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// An hour.
    Hour,
    /// A day from midnight.
    Day,
    /// A week from Monday.
    Week,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

impl Grouping {
    /// What is accepted, for the message of a refusal.
    pub const ACCEPTED: &str =
        "hour, day, week, month, year, hourly, daily, weekly, monthly, yearly";

    /// Reads either spelling, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "hour" | "hourly" => Self::Hour,
            "day" | "daily" => Self::Day,
            "week" | "weekly" => Self::Week,
            "month" | "monthly" => Self::Month,
            "year" | "yearly" => Self::Year,
            _ => return None,
        })
    }

    /// The first hour of the bucket that an hour is in.
    pub fn first_hour(self, hour: i64) -> i64 {
        let hour = hour.clamp(CALENDAR.start, LAST);
        let day = || date_of(hour);
        match self {
            Self::Hour => hour,
            Self::Day => hour.div_euclid(HOURS_IN_A_DAY) * HOURS_IN_A_DAY,
            Self::Week => {
                let since_monday = day().weekday().since(Weekday::Monday);
                Self::Day.first_hour(hour) - i64::from(since_monday) * HOURS_IN_A_DAY
            }
            Self::Month => hour_of(day().first_of_month()),
            Self::Year => hour_of(day().first_of_year()),
        }
    }

    /// The first hour of the bucket after the one that begins there.
    pub fn next(self, first: i64) -> i64 {
        match self {
            Self::Hour => first + 1,
            Self::Day => first + HOURS_IN_A_DAY,
            Self::Week => first + 7 * HOURS_IN_A_DAY,
            // Of the next month and year these are days, and not the first ones.
            Self::Month => self.first_hour(first + 31 * HOURS_IN_A_DAY),
            Self::Year => self.first_hour(first + 366 * HOURS_IN_A_DAY),
        }
    }

    /// The first hour of the bucket before the one that begins there.
    fn previous(self, first: i64) -> i64 {
        self.first_hour(first - 1)
    }

    /// How many buckets are shown where no range is asked for.
    const fn usual(self) -> usize {
        match self {
            Self::Hour => 24,
            Self::Day => 30,
            Self::Week | Self::Month => 12,
            Self::Year => 5,
        }
    }
}

/// Why there are no buckets of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeFault {
    /// It ends before it begins.
    Empty,
    /// It has more than [`MOST_BUCKETS`].
    TooLong,
}

/// The buckets of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// How long they are.
    pub grouping: Grouping,
    /// The hours that are asked for; the first and the last bucket may have others.
    pub hours: Range<i64>,
}

impl Buckets {
    /// Reads what is asked for: from `from`, up to and without `to`, each widened to a whole hour.
    /// Without an end it is the end of the present bucket, without a beginning as many buckets as are
    /// usual.
    pub fn asked(
        grouping: Grouping,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, RangeFault> {
        let fit = |hour: i64| hour.clamp(CALENDAR.start, CALENDAR.end - 1);
        let end = match to {
            // The hour in which its last microsecond is, and no more.
            Some(to) => fit(Timestamp::from_micros(to.as_micros().saturating_sub(1)).as_hour()) + 1,
            None => grouping.next(grouping.first_hour(now.as_hour())),
        };
        let start = from.map_or_else(
            || {
                let last = grouping.first_hour(end - 1);
                (1..grouping.usual()).fold(last, |first, _| grouping.previous(first))
            },
            |from| fit(from.as_hour()),
        );
        if start >= end {
            return Err(RangeFault::Empty);
        }
        let buckets = Self {
            grouping,
            hours: start..end,
        };
        if buckets.firsts().nth(MOST_BUCKETS).is_some() {
            return Err(RangeFault::TooLong);
        }
        Ok(buckets)
    }

    /// The first hour of each, the earliest first; none where no hour is asked for.
    pub fn firsts(&self) -> impl Iterator<Item = i64> + use<> {
        let (grouping, end) = (self.grouping, self.hours.end);
        let first = grouping.first_hour(self.hours.start);
        let first = (!self.hours.is_empty()).then_some(first);
        std::iter::successors(first, move |first| Some(grouping.next(*first)))
            .take_while(move |first| *first < end)
    }

    /// The first hour of the bucket that an hour is in.
    pub fn first_hour(&self, hour: i64) -> i64 {
        self.grouping.first_hour(hour)
    }

    /// The hours of one of them that are asked for.
    pub fn hours_of(&self, first: i64) -> Range<i64> {
        first.max(self.hours.start)..self.grouping.next(first).min(self.hours.end)
    }
}

/// The instant at which an hour begins.
pub fn begins_at(hour: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(hour.saturating_mul(SECONDS_IN_AN_HOUR))
}

fn date_of(hour: i64) -> Date {
    jiff::Timestamp::from_second(hour * SECONDS_IN_AN_HOUR)
        .expect("hours are within the calendar")
        .to_zoned(TimeZone::UTC)
        .date()
}

fn hour_of(date: Date) -> i64 {
    let midnight = date
        .to_zoned(TimeZone::UTC)
        .expect("midnight exists in UTC");
    midnight
        .timestamp()
        .as_second()
        .div_euclid(SECONDS_IN_AN_HOUR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::date;

    fn at(text: &str) -> Timestamp {
        date::parse(text).unwrap()
    }

    fn first_of(grouping: Grouping, text: &str) -> String {
        let first = begins_at(grouping.first_hour(at(text).as_hour())).to_string();
        first.strip_suffix(":00:00.000Z").unwrap().to_owned()
    }

    #[test]
    fn every_spelling_is_read_in_any_case() {
        for text in Grouping::ACCEPTED.split(", ") {
            let read = Grouping::parse(text);
            assert!(read.is_some(), "{text}");
            assert_eq!(Grouping::parse(&text.to_uppercase()), read);
        }
        assert_eq!(Grouping::parse("Monthly"), Some(Grouping::Month));
        for wrong in ["", "minute", "days", "quarter"] {
            assert_eq!(Grouping::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        for (grouping, text, first) in [
            (Grouping::Hour, "2028-02-29T23:59:59Z", "2028-02-29T23"),
            (Grouping::Day, "2028-02-29T23:59:59Z", "2028-02-29T00"),
            (Grouping::Week, "2027-01-03T23:00:00Z", "2026-12-28T00"),
            (Grouping::Week, "2027-01-04", "2027-01-04T00"),
            (Grouping::Month, "2028-02-29T23:59:59Z", "2028-02-01T00"),
            (Grouping::Year, "2028-12-31T23:59:59Z", "2028-01-01T00"),
            (Grouping::Day, "1969-12-31T23:59:59Z", "1969-12-31T00"),
        ] {
            assert_eq!(first_of(grouping, text), first, "{grouping:?} {text}");
        }
    }

    #[test]
    fn without_a_range_it_is_the_usual_one_up_to_now() {
        let now = at("2027-03-31T10:30:00Z");
        for (grouping, count, first, end) in [
            (
                Grouping::Hour,
                24,
                "2027-03-30T11:00:00Z",
                "2027-03-31T11:00:00Z",
            ),
            (Grouping::Day, 30, "2027-03-02", "2027-04-01"),
            (Grouping::Week, 12, "2027-01-11", "2027-04-05"),
            (Grouping::Month, 12, "2026-04-01", "2027-04-01"),
            (Grouping::Year, 5, "2023-01-01", "2028-01-01"),
        ] {
            let buckets = Buckets::asked(grouping, None, None, now).unwrap();
            assert_eq!(buckets.firsts().count(), count, "{grouping:?}");
            assert_eq!(buckets.hours, at(first).as_hour()..at(end).as_hour());
        }
    }

    #[test]
    fn a_range_has_its_beginning_and_not_its_end() {
        let range = |from, to| {
            let (from, to) = (Some(at(from)), Some(at(to)));
            Buckets::asked(Grouping::Day, from, to, at("2027-01-01"))
        };
        let two = range("2027-01-01T12:30:00Z", "2027-01-03").unwrap();
        let firsts: Vec<_> = two
            .firsts()
            .map(|first| begins_at(first).to_string())
            .collect();
        assert_eq!(
            firsts,
            ["2027-01-01T00:00:00.000Z", "2027-01-02T00:00:00.000Z"]
        );
        // Of the first day what is from that hour on.
        let first = two.firsts().next().unwrap();
        let hours = two.hours_of(first);
        assert_eq!(hours.end - hours.start, 12);
        assert_eq!(range("2027-01-03", "2027-01-03"), Err(RangeFault::Empty));
        assert_eq!(range("2027-01-03", "2027-01-01"), Err(RangeFault::Empty));
        assert_eq!(range("1990-01-01", "2027-01-01"), Err(RangeFault::TooLong));
    }

    #[test]
    fn what_no_calendar_has_is_brought_into_it() {
        for grouping in [
            Grouping::Hour,
            Grouping::Week,
            Grouping::Month,
            Grouping::Year,
        ] {
            for hour in [i64::MIN, CALENDAR.start, CALENDAR.end - 1] {
                let first = grouping.first_hour(hour);
                assert!(grouping.next(first) > first);
            }
            assert!(grouping.first_hour(i64::MAX) <= LAST);
        }
        let whole = Buckets::asked(
            Grouping::Year,
            Some(Timestamp::from_micros(i64::MIN)),
            Some(Timestamp::from_micros(i64::MAX)),
            at("2027-01-01"),
        );
        assert_eq!(whole.unwrap().firsts().count(), 9_998);
    }

    proptest! {
        #[test]
        fn each_hour_is_in_one_bucket(hour in -1_000_000i64..3_000_000, which in 0usize..5) {
            let grouping = [Grouping::Hour, Grouping::Day, Grouping::Week, Grouping::Month,
                Grouping::Year][which];
            let first = grouping.first_hour(hour);
            let next = grouping.next(first);
            prop_assert!(first <= hour && hour < next);
            prop_assert_eq!(grouping.first_hour(first), first);
            prop_assert_eq!(grouping.first_hour(next), next);
            prop_assert_eq!(grouping.first_hour(next - 1), first);
            prop_assert_eq!(grouping.previous(next), first);
        }
    }
}
