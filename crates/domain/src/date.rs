//! Dates as callers write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// What is accepted, for the message of a refusal.
pub const ACCEPTED: &str = "an ISO 8601 date such as 2034-11-04T17:16:00.000Z, 2034-11-04T17:16:00+01:00, \
     2034-11-04 17:16:00 or 2034-11-04 (UTC where no offset stands)";

/// Reads a date: with an offset, without one (UTC), or a day (its midnight, UTC).
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let instant = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = match text.len() {
            10 => text.parse::<Date>().ok()?.at(0, 0, 0, 0),
            _ => text.parse::<DateTime>().ok()?,
        };
        civil
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    })?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

/// The first instant of the UTC day after that of `at`, and of the month after, in that order.
pub fn next_day_and_month(at: Timestamp) -> (Timestamp, Timestamp) {
    let start = |date: Date| {
        let zoned = date
            .to_zoned(TimeZone::UTC)
            .expect("midnight exists in UTC");
        Timestamp::from_micros(zoned.timestamp().as_microsecond())
    };
    let instant = jiff::Timestamp::from_microsecond(at.as_micros())
        .expect("clocks tell years that a calendar has");
    let today = instant.to_zoned(TimeZone::UTC).date();
    let tomorrow = today
        .tomorrow()
        .expect("clocks tell years that a calendar has");
    let next_month = today
        .last_of_month()
        .tomorrow()
        .expect("clocks tell years in the calendar");
    (start(tomorrow), start(next_month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        let forms = [
            ("2034-11-04T17:16:00.000Z", "2034-11-04T17:16:00.000Z"),
            ("2034-11-04T17:16:00+02:00", "2034-11-04T15:16:00.000Z"),
            ("2034-11-04T17:16:00-0200", "2034-11-04T19:16:00.000Z"),
            ("2050-01-01", "2050-01-01T00:00:00.000Z"),
            ("2023-09-01 00:00:00", "2023-09-01T00:00:00.000Z"),
            ("2024-01-01T00:00:00", "2024-01-01T00:00:00.000Z"),
            ("1999-12-31T23:59:59.123456Z", "1999-12-31T23:59:59.123Z"),
        ];
        for (text, expected) in forms {
            assert_eq!(
                parse(text).map(|at| at.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "soon",
            "2034-13-01",
            "2034-02-30",
            "1700000000",
            "2034-11-04T25:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_next_day_and_month_begin_at_midnight() {
        let (day, month) = next_day_and_month(parse("2027-12-31T23:59:59Z").unwrap());
        assert_eq!(day.to_string(), "2028-01-01T00:00:00.000Z");
        assert_eq!(month.to_string(), "2028-01-01T00:00:00.000Z");
        let (day, month) = next_day_and_month(parse("2028-02-28").unwrap());
        assert_eq!(day.to_string(), "2028-02-29T00:00:00.000Z");
        assert_eq!(month.to_string(), "2028-03-01T00:00:00.000Z");
    }
}
