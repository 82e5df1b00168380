//! Instants, and the clock that tells them.

use std::fmt;

use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Serialize, Serializer};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;

impl Timestamp {
    /// The instant that many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Hours since the epoch, rounded down: the finest bucket in which usage is counted.
    pub const fn as_hour(self) -> i64 {
        self.0.div_euclid(3_600 * MICROS_PER_SECOND)
    }

    /// The instant that many seconds later; the last one there is when it would overflow.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(
            self.0
                .saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)),
        )
    }

    /// Microseconds from `earlier` to this instant; negative when this one is the earlier.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<i64> for Timestamp {
    /// Takes a stored instant: microseconds since the epoch.
    fn from(micros: i64) -> Self {
        Self(micros)
    }
}

/// How long an instant is as text: `2034-11-04T17:16:00.000Z`.
const TEXT: usize = 24;

impl Timestamp {
    /// As text, where its year has four digits.
    ///
    /// Of our own, and not by a library: an answer to a check has half a dozen of them. Days are counted
    /// from the first of March of the year 0, so that a leap day is the last of its year.
    fn text(self) -> Option<[u8; TEXT]> {
        const SECONDS_OF_DAY: i64 = 86_400;
        const DAYS_BEFORE_1970: i64 = 719_468;
        const DAYS_OF_400_YEARS: i64 = 146_097;
        let seconds = self.as_seconds();
        let days = seconds.div_euclid(SECONDS_OF_DAY) + DAYS_BEFORE_1970;
        let of_400 = days.rem_euclid(DAYS_OF_400_YEARS);
        // Without leap days, but for those of which only 400 years have one, each year has 365.
        let year_of_400 = (of_400 - of_400 / 1_460 + of_400 / 36_524 - of_400 / 146_096) / 365;
        let of_year = of_400 - (365 * year_of_400 + year_of_400 / 4 - year_of_400 / 100);
        // Five months have 153 days, from March on and from August on.
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let is_next_year = month_from_march >= 10;
        let month = month_from_march + if is_next_year { -9 } else { 3 };
        let year = year_of_400 + days.div_euclid(DAYS_OF_400_YEARS) * 400 + i64::from(is_next_year);
        if !(0..=9_999).contains(&year) {
            return None;
        }
        let of_day = seconds.rem_euclid(SECONDS_OF_DAY);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (place, digits, number) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, of_day / 3_600),
            (14, 2, of_day / 60 % 60),
            (17, 2, of_day % 60),
            (20, 3, self.as_millis().rem_euclid(1_000)),
        ] {
            let mut left = number.unsigned_abs();
            for digit in text[place..place + digits].iter_mut().rev() {
                *digit += u8::try_from(left % 10).expect("a digit is below ten");
                left /= 10;
            }
        }
        Some(text)
    }
}

/// For years that have more or fewer digits.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// ISO 8601 in UTC with milliseconds: `2034-11-04T17:16:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return out.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?);
        }
        // Stored rows are within jiff's years -9999 to 9999, because dates are parsed by it.
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        PRINTER
            .print_timestamp(&at, StdFmtWrite(out))
            .map_err(|_| fmt::Error)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        match text.as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

/// The earlier of two ends, of which none is for ever.
pub fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether what ends at `wanted` outlives what ends at `bound`, where none is for ever.
pub fn outlives(wanted: Option<Timestamp>, bound: Option<Timestamp>) -> bool {
    bound.is_some_and(|bound| wanted.is_none_or(|wanted| wanted > bound))
}

/// Tells the time. The program has one that asks the machine, tests have one that they move.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_instant_is_shown_in_utc_with_milliseconds() {
        let at = Timestamp::from_micros(2_046_273_360_123_456);
        assert_eq!(at.to_string(), "2034-11-04T17:16:00.123Z");
        assert_eq!(
            Timestamp::from_micros(-1).to_string(),
            "1969-12-31T23:59:59.999Z"
        );
    }

    fn assert_shown_as_the_library_does(micros: i64) {
        let at = jiff::Timestamp::from_microsecond(micros).unwrap();
        let mut expected = String::new();
        PRINTER
            .print_timestamp(&at, StdFmtWrite(&mut expected))
            .unwrap();
        let shown = Timestamp::from_micros(micros);
        assert_eq!(shown.to_string(), expected);
        let json = serde_json::to_string(&shown).unwrap();
        assert_eq!(json, format!("{expected:?}"));
    }

    #[test]
    fn each_day_of_400_years_begins_and_ends_as_the_library_shows_it() {
        const DAY: i64 = 86_400 * MICROS_PER_SECOND;
        // From before 1970 on, over years that are divided by 100 and by 400.
        for day in -40_000..110_000 {
            assert_shown_as_the_library_does(day * DAY);
            assert_shown_as_the_library_does(day * DAY - 1);
        }
    }

    proptest! {
        #[test]
        fn it_is_shown_as_the_library_shows_it(
            micros in -62_200_000_000_000_000_i64..253_402_000_000_000_000,
        ) {
            assert_shown_as_the_library_does(micros);
        }
    }

    #[test]
    fn for_ever_outlives_every_end_and_is_outlived_by_none() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        assert!(outlives(None, at(5)) && outlives(at(6), at(5)));
        assert!(!outlives(at(5), at(5)) && !outlives(None, None) && !outlives(at(9), None));
        assert_eq!(earlier(at(5), None), at(5));
        assert_eq!(earlier(at(5), at(4)), at(4));
        assert_eq!(earlier(None, None), None);
    }

    #[test]
    fn adding_too_much_stops_at_the_last_instant() {
        let last = Timestamp::from_micros(0).plus_seconds(i64::MAX);
        assert_eq!(last.as_micros(), i64::MAX);
        assert!(last.to_string().starts_with("9999-12-30"));
    }
}
