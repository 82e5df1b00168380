//! Parts of answers that several surfaces share.

use std::fmt::Display;

use axum::Json;
use axum::response::{IntoResponse, Response};
use claviger_domain::limit::Level;
use claviger_domain::time::Timestamp;
use http::{HeaderName, HeaderValue, Method, header};
use serde::Serialize;
use tower_http::cors::{AllowOrigin, CorsLayer};

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const CONSUMED: HeaderName = HeaderName::from_static("ratelimit-consumed");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const RETRY_AFTER_SECONDS: HeaderName = HeaderName::from_static("retry-after-seconds");

/// A whole list, with the count of all in `X-Total-Count`.
#[derive(Debug)]
pub struct Listed<T> {
    /// The part that was asked for.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: i64,
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        ([(TOTAL, HeaderValue::from(self.total))], Json(self.items)).into_response()
    }
}

/// An answer that has a secret: no cache keeps it.
#[derive(Debug)]
pub struct NoStore<T>(pub T);

impl<T: IntoResponse> IntoResponse for NoStore<T> {
    fn into_response(self) -> Response {
        let no_store = HeaderValue::from_static("no-store");
        let mut response = self.0.into_response();
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        response
    }
}

/// The headers that tell of a limit; with `refused_at`, also when to come again.
pub fn rate_limit_headers(
    level: Level,
    refused_at: Option<Timestamp>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    tell_rate_limit(level, refused_at, |name, value| {
        let value = HeaderValue::try_from(value.to_string());
        headers.push((name, value.expect("digits and dates fit a header")));
    });
    headers
}

/// Tells the same, field by field.
pub fn tell_rate_limit(
    level: Level,
    refused_at: Option<Timestamp>,
    mut tell: impl FnMut(HeaderName, &dyn Display),
) {
    tell(LIMIT, &level.limit);
    tell(REMAINING, &level.remaining());
    tell(CONSUMED, &level.used);
    tell(RESET, &level.resets_at);
    if let Some(now) = refused_at {
        let micros = level.resets_at.micros_since(now).max(0).unsigned_abs();
        let millis = micros.div_ceil(1_000);
        let seconds = format_args!("{}.{:03}", millis / 1_000, millis % 1_000).to_string();
        tell(RETRY_AFTER_SECONDS, &seconds);
        tell(header::RETRY_AFTER, &millis.div_ceil(1_000));
    }
}

/// What browsers may do on The Auth API: any origin, no cookies. Which credentials are taken from
/// a page is decided elsewhere.
pub fn cross_origin() -> CorsLayer {
    let names = |names: &[&'static str]| -> Vec<HeaderName> {
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect()
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::PUT,
            Method::DELETE,
        ])
        .allow_headers(names(&[
            "x-api-key",
            "api-key",
            "access_key",
            "authorization",
            "content-type",
            "x-origin-domain",
            "idempotency-key",
        ]))
        .expose_headers(names(&[
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-consumed",
            "ratelimit-reset",
            "retry-after-seconds",
            "retry-after",
            "x-total-count",
            "x-request-id",
            "link",
        ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let at = Timestamp::from_micros;
        let level = Level {
            limit: 3,
            used: 3,
            resets_at: at(2_000_500),
        };
        let headers = rate_limit_headers(level, Some(at(1_000_000)));
        let of = |name: &str| {
            let found = headers.iter().find(|(one, _)| one == name);
            found.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of("retry-after").as_deref(), Some("2"));
        assert_eq!(of("retry-after-seconds").as_deref(), Some("1.001"));
        assert_eq!(of("ratelimit-remaining").as_deref(), Some("0"));
        assert_eq!(
            of("ratelimit-reset").as_deref(),
            Some("1970-01-01T00:00:02.000Z")
        );
    }
}
