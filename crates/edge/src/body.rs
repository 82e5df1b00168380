//! Request bodies: JSON whatever the content type, and an empty one is an empty object.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::{ApiError, ErrorCode};

/// How deep JSON in a body may be nested.
const DEEPEST: usize = 64;

/// A body of at most so many MiB, read as `T`.
#[derive(Debug)]
pub struct Body<T, const MIB: usize = 1>(pub T);

impl<T: DeserializeOwned, S: Sync, const MIB: usize> FromRequest<S> for Body<T, MIB> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = to_bytes(request.into_body(), MIB * 1_024 * 1_024)
            .await
            .map_err(|error| unread_body(error, &format!("{MIB} MiB")))?;
        read_body(&bytes).map(Self)
    }
}

/// The refusal of a body that could not be read: too large, or it did not arrive whole and in time.
pub fn unread_body(error: axum::Error, largest: &str) -> ApiError {
    if error.into_inner().is::<LengthLimitError>() {
        ApiError::new(
            ErrorCode::BodyTooLarge,
            format!("The body is larger than {largest}"),
        )
    } else {
        ApiError::new(ErrorCode::InvalidInput, "The body did not arrive whole")
    }
}

/// Reads the bytes of a body; a refusal names the member.
pub fn read_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = bytes.trim_ascii();
    let text = if text.is_empty() { b"{}" } else { text };
    // A list would be read as the members in their order, whatever they are called.
    if text.first() != Some(&b'{') {
        let message = "The body must be a JSON object";
        return Err(ApiError::new(ErrorCode::InvalidInput, message));
    }
    check_text(text).map_err(|fault| ApiError::new(ErrorCode::InvalidInput, fault.to_string()))?;
    parse(text)
}

/// Reads JSON that was checked, such as a part of a body; a refusal names the member.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // The position is of use for text that is no JSON; elsewhere the member's name is.
        if inner.is_data() && path != "." {
            ApiError::field(path, without_position(&inner.to_string()))
        } else {
            ApiError::new(
                ErrorCode::InvalidInput,
                format!("The body is not valid JSON: {inner}"),
            )
        }
    })?;
    deserializer.end().map_err(|error| {
        ApiError::new(
            ErrorCode::InvalidInput,
            format!("The body is not valid JSON: {error}"),
        )
    })?;
    Ok(value)
}

/// Why JSON is not read, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// It is nested too deep.
    #[error("The body is nested deeper than {DEEPEST}")]
    TooDeep,
    /// A text in it has the character NUL.
    #[error("The body has the character NUL in a text, which cannot be kept")]
    Nul,
}

/// Checks JSON for what no surface takes, before it is parsed.
pub fn check_text(json: &[u8]) -> Result<(), TextFault> {
    if depth(json) > DEEPEST {
        return Err(TextFault::TooDeep);
    }
    if has_nul(json) {
        return Err(TextFault::Nul);
    }
    Ok(())
}

fn without_position(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
}

/// Whether a text in it has the character NUL, which PostgreSQL cannot keep.
fn has_nul(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // Past the escaped character, which may be a backslash itself.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// The deepest nesting, found without parsing, so that deep text costs no stack.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A member of an update: absent (leave it), null (clear it), or a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The member is not there.
    #[default]
    Keep,
    /// It is null.
    Clear,
    /// It has a value.
    Set(T),
}

impl<T> Patch<T> {
    /// The value, with null and absence alike: what creating makes of it.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// Applies it to what is stored.
    pub fn apply(self, stored: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *stored = None,
            Self::Set(value) => *stored = Some(value),
        }
    }

    /// Whether the member is there.
    pub const fn is_present(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}

/// With `#[serde(default)]`, absence is told apart from null.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Example {
        #[serde(default)]
        name: Patch<String>,
        #[serde(default)]
        inner_part: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its failing to be read matters")]
        count: u64,
    }

    #[test]
    fn absent_null_and_value_are_told_apart() {
        assert_eq!(read_body::<Example>(b"").unwrap().name, Patch::Keep);
        assert_eq!(
            read_body::<Example>(b"{\"name\":null}").unwrap().name,
            Patch::Clear
        );
        let set = read_body::<Example>(b" {\"name\":\"x\"} ").unwrap();
        assert_eq!(set.name, Patch::Set("x".to_owned()));
        assert!(set.inner_part.is_none());
    }

    #[test]
    fn a_refusal_names_the_member() {
        let error = read_body::<Example>(br#"{"innerPart":{"count":-1}}"#).unwrap_err();
        assert_eq!(error.details[0].field, "innerPart.count");
        assert!(
            error.details[0].message.contains("expected u64"),
            "{}",
            error.message
        );
    }

    #[test]
    fn deep_or_broken_json_is_refused() {
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(70), "]".repeat(70));
        assert!(read_body::<Value>(deep.as_bytes()).is_err());
        let brackets_in_text = format!("{{\"name\":\"{}\"}}", "[".repeat(70));
        assert!(read_body::<Value>(brackets_in_text.as_bytes()).is_ok());
        assert!(read_body::<Value>(br#"{"name":"a\\u0000"}"#).is_ok());
        assert!(read_body::<Value>(br#"{"name":"a\u0000"}"#).is_err());
        for text in ["null", "1", "{", "{} x", "name=x", "{\"a\":1,}", "[\"x\"]"] {
            assert!(read_body::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
