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

/// Quicker than a format that is read anew each time: an answer has half a dozen instants.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// ISO 8601 in UTC with milliseconds: `2034-11-04T17:16:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Stored rows are within jiff's years -9999 to 9999, because dates are parsed by it.
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        PRINTER
            .print_timestamp(&at, StdFmtWrite(out))
            .map_err(|_| fmt::Error)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
