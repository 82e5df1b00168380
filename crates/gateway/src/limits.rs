//! What an upstream told of its rate limit, in the one form that all answers use: whole seconds.

use claviger_domain::date;
use claviger_domain::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};

use crate::connector::file::{RateLimitEntry, ResetFormat};

/// The facts of a rate limit that the upstream told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests allowed in a window.
    pub limit: Option<u64>,
    /// Requests left in this one.
    pub remaining: Option<u64>,
    /// Seconds until the window ends.
    pub reset_s: Option<u64>,
    /// Seconds to wait before the next try.
    pub retry_after_s: Option<u64>,
}

impl Limits {
    /// Reads the headers that the connector names.
    pub fn read(entry: &RateLimitEntry, headers: &HeaderMap, now: Timestamp) -> Self {
        let told = |name: &Option<String>| {
            let value = headers.get(name.as_deref()?)?.to_str().ok()?.trim();
            Some(value.to_owned())
        };
        let count = |name| told(name)?.parse::<u64>().ok();
        Self {
            limit: count(&entry.limit),
            remaining: count(&entry.remaining),
            reset_s: told(&entry.reset)
                .and_then(|value| seconds_until(&value, entry.reset_format, now)),
            retry_after_s: told(&entry.retry_after).and_then(|value| retry_after(&value, now)),
        }
    }

    /// What a refusal by this program itself tells: it says when to come again, and where a limit is
    /// used up, its window ends then.
    pub(crate) fn of_refusal(headers: &[(HeaderName, HeaderValue)]) -> Self {
        let count = |name: &str| {
            let told = headers.iter().find(|(known, _)| known == name)?;
            told.1.to_str().ok()?.parse().ok()
        };
        let retry_after_s = count(header::RETRY_AFTER.as_str());
        let limit = count("ratelimit-limit");
        Self {
            limit,
            remaining: count("ratelimit-remaining"),
            reset_s: retry_after_s.filter(|_| limit.is_some()),
            retry_after_s,
        }
    }

    /// The headers that pass the facts on.
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = [
            (HeaderName::from_static("ratelimit-limit"), self.limit),
            (
                HeaderName::from_static("ratelimit-remaining"),
                self.remaining,
            ),
            (HeaderName::from_static("ratelimit-reset"), self.reset_s),
            (header::RETRY_AFTER, self.retry_after_s),
        ];
        named
            .into_iter()
            .filter_map(|(name, fact)| Some((name, HeaderValue::from(fact?))))
            .collect()
    }

    /// The facts without the wait, as members of an error that a model reads.
    pub(crate) fn for_model(&self) -> Option<Value> {
        let named = [
            ("limit", self.limit),
            ("remaining", self.remaining),
            ("reset_s", self.reset_s),
        ];
        let facts: Map<String, Value> = named
            .into_iter()
            .filter_map(|(name, fact)| Some((name.to_owned(), Value::from(fact?))))
            .collect();
        (!facts.is_empty()).then_some(Value::Object(facts))
    }
}

fn seconds_until(value: &str, format: ResetFormat, now: Timestamp) -> Option<u64> {
    let since_epoch = |micros: i64| {
        let count = value.parse::<i64>().ok()?;
        count.checked_mul(micros).map(Timestamp::from_micros)
    };
    let at = match format {
        ResetFormat::Seconds => return whole_seconds(value),
        ResetFormat::Epoch => since_epoch(1_000_000)?,
        ResetFormat::EpochMs => since_epoch(1_000)?,
        ResetFormat::Iso => date::parse(value)?,
    };
    Some(wait(at, now))
}

/// `Retry-After` is a number of seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &str, now: Timestamp) -> Option<u64> {
    whole_seconds(value).or_else(|| {
        let date = jiff::fmt::rfc2822::parse(value).ok()?;
        let at = Timestamp::from_micros(date.timestamp().as_microsecond());
        Some(wait(at, now))
    })
}

/// Seconds rounded up, so that nobody comes back too early.
fn whole_seconds(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    whole.parse::<u64>().ok()?.checked_add(more)
}

fn wait(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(at.micros_since(now))
        .unwrap_or(0)
        .div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reset_format: ResetFormat) -> RateLimitEntry {
        RateLimitEntry {
            limit: Some("ratelimit-limit".into()),
            remaining: Some("x-left".into()),
            reset: Some("x-reset".into()),
            reset_format,
            retry_after: Some("retry-after".into()),
        }
    }

    fn read(format: ResetFormat, reset: &str, retry: &str) -> Limits {
        let mut headers = HeaderMap::new();
        headers.insert("x-reset", reset.parse().unwrap());
        headers.insert("retry-after", retry.parse().unwrap());
        headers.insert("x-left", HeaderValue::from_static("3"));
        Limits::read(
            &entry(format),
            &headers,
            date::parse("2026-01-01T00:00:00Z").unwrap(),
        )
    }

    #[test]
    fn every_format_of_the_reset_becomes_whole_seconds() {
        for (format, reset) in [
            (ResetFormat::Seconds, "29.5"),
            (ResetFormat::Iso, "2026-01-01T00:00:29.500Z"),
            (ResetFormat::Epoch, "1767225630"),
            (ResetFormat::EpochMs, "1767225629500"),
        ] {
            assert_eq!(read(format, reset, "30").reset_s, Some(30), "{reset}");
        }
        assert_eq!(
            read(ResetFormat::Iso, "2025-01-01T00:00:00Z", "x").reset_s,
            Some(0)
        );
        assert_eq!(read(ResetFormat::Iso, "soon", "x").reset_s, None);
    }

    #[test]
    fn the_wait_may_be_a_date() {
        assert_eq!(
            read(ResetFormat::Seconds, "1", "30").retry_after_s,
            Some(30)
        );
        let date = "Thu, 01 Jan 2026 00:00:10 GMT";
        assert_eq!(
            read(ResetFormat::Seconds, "1", date).retry_after_s,
            Some(10)
        );
        assert_eq!(read(ResetFormat::Seconds, "1", "-1").retry_after_s, None);
    }

    #[test]
    fn a_refusal_by_this_program_says_when_to_come_again() {
        let header = |name: &'static str, value: &'static str| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let unavailable = Limits::of_refusal(&[header("retry-after", "1")]);
        assert_eq!(unavailable.retry_after_s, Some(1));
        assert_eq!((unavailable.limit, unavailable.reset_s), (None, None));
        let over = Limits::of_refusal(&[
            header("ratelimit-limit", "2"),
            header("ratelimit-remaining", "0"),
            header("ratelimit-reset", "2026-01-01T00:00:30.000Z"),
            header("retry-after", "30"),
        ]);
        let expected = Limits {
            limit: Some(2),
            remaining: Some(0),
            reset_s: Some(30),
            retry_after_s: Some(30),
        };
        assert_eq!(over, expected);
    }

    #[test]
    fn what_was_not_told_is_not_passed_on() {
        let limits = read(ResetFormat::Seconds, "5", "x");
        let names: Vec<_> = limits
            .headers()
            .into_iter()
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(names, ["ratelimit-remaining", "ratelimit-reset"]);
        assert_eq!(Limits::default().for_model(), None);
    }
}
