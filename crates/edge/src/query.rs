//! Query strings: unknown parameters are ignored, a refusal names the parameter.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::ApiError;

/// The longest part of a list that one request reads.
const LONGEST: u64 = 1_000;

/// A query string read as `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            let message = "The query has the character NUL, which no value can have";
            return Err(ApiError::new(crate::ErrorCode::InvalidInput, message));
        }
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                ApiError::new(crate::ErrorCode::InvalidInput, rejection.body_text())
            })
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListPart {
    /// Rows, at most; all when none is given.
    pub limit: Option<i64>,
    /// Rows to skip.
    pub offset: i64,
}

impl ListPart {
    /// Reads `limit` (clamped to 1000) and `offset`, which must not be negative.
    pub fn read(limit: Option<&str>, offset: Option<&str>) -> Result<Self, ApiError> {
        let limit = limit.map(|text| whole("limit", text)).transpose()?;
        let offset = offset.map_or(Ok(0), |text| whole("offset", text))?;
        let fits = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Self {
            limit: limit.map(|limit| fits(limit.min(LONGEST))),
            offset: fits(offset),
        })
    }
}

fn whole(field: &str, text: &str) -> Result<u64, ApiError> {
    text.trim()
        .parse()
        .map_err(|_| ApiError::field(field, "must be a whole number that is not negative"))
}

/// Reads `true` or `false` in any case; any other text is as if it were not there.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}
