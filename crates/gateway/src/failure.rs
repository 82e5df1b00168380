//! The one shape of a failed call, for the proxy as for models.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer_json;
use crate::argument::ArgumentFaults;
use crate::connector::file::ErrorsEntry;
use crate::cursor::ForeignCursor;
use crate::limits::Limits;
use crate::scrub::Scrub;
use claviger_domain::plain_text;

/// How much of an upstream's answer is passed on with a failure.
const RAW: usize = 64 * 1024;
/// How many characters of an upstream's message are passed on.
const LONGEST: usize = 1_000;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// What is wrong, for whoever made the call.
    pub message: String,
    /// The kind of failure, from a closed list or, when the upstream names one, as it does.
    pub code: String,
    /// Whether the upstream failed, and not the call itself.
    pub is_remote: bool,
    /// What the upstream answered.
    pub raw_response: Option<Value>,
    /// What is known of the rate limit that the call met, and when to try again.
    pub limits: Limits,
}

impl Failure {
    /// A call that this program itself refused, before any request.
    pub fn refused(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            code: code.to_owned(),
            is_remote: false,
            raw_response: None,
            limits: Limits::default(),
        }
    }

    /// An answer of the upstream that is no success.
    pub fn upstream(status: StatusCode, body: &[u8], limits: Limits) -> Self {
        let errors = ErrorsEntry::default();
        Self::of_upstream(status, body, limits, &errors, &Scrub::default())
    }

    /// The same, with its message where the connector says, and without the credentials of the call.
    pub(crate) fn of_upstream(
        status: StatusCode,
        body: &[u8],
        limits: Limits,
        errors: &ErrorsEntry,
        scrub: &Scrub,
    ) -> Self {
        let mut parsed = answer_json::parse(body).ok();
        if let Some(body) = &mut parsed {
            scrub.value(body);
        }
        let named = errors.message.as_ref().zip(parsed.as_ref());
        let named = named.and_then(|(path, body)| path.of(body)?.as_str());
        let message = named.or_else(|| parsed.as_ref().and_then(upstream_message));
        let code = parsed
            .as_ref()
            .and_then(|body| body.get("code"))
            .and_then(Value::as_str);
        let code = code.filter(|code| is_code(code)).unwrap_or("remote_error");
        Self {
            status,
            message: message.map_or_else(|| reason(status).to_owned(), shown),
            code: code.to_owned(),
            is_remote: true,
            raw_response: raw(parsed, body, scrub),
            limits,
        }
    }

    /// An upstream that could not be reached, that was too slow or whose answer is too large.
    pub fn unanswered(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            is_remote: true,
            ..Self::refused(status, code, message)
        }
    }

    /// The error object.
    pub fn body(&self) -> Map<String, Value> {
        let body = json!({
            "statusCode": self.status.as_u16(),
            "error": reason(self.status),
            "message": self.message,
            "code": self.code,
            "is_remote_error": self.is_remote,
            "raw_response": self.raw_response,
        });
        let Value::Object(body) = body else {
            unreachable!("an object was written")
        };
        body
    }

    /// The error object with what a model needs to know when to try again.
    pub fn for_model(&self) -> Map<String, Value> {
        let mut body = self.body();
        if let Some(seconds) = self.limits.retry_after_s {
            body.insert("retry_after_s".to_owned(), seconds.into());
        }
        if let Some(facts) = self.limits.for_model() {
            body.insert("ratelimit".to_owned(), facts);
        }
        body
    }
}

impl From<Box<Failure>> for Failure {
    fn from(failure: Box<Failure>) -> Self {
        *failure
    }
}

impl From<ArgumentFaults> for Failure {
    fn from(faults: ArgumentFaults) -> Self {
        Self::refused(
            StatusCode::BAD_REQUEST,
            "invalid_arguments",
            faults.to_string(),
        )
    }
}

impl From<ForeignCursor> for Failure {
    fn from(fault: ForeignCursor) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, "invalid_cursor", fault.to_string())
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// The upstream's own words, from where most put them.
fn upstream_message(body: &Value) -> Option<&str> {
    [
        "/message",
        "/error/message",
        "/detail",
        "/error_description",
        "/title",
        "/error",
    ]
    .into_iter()
    .find_map(|pointer| body.pointer(pointer).and_then(Value::as_str))
    .filter(|message| !message.is_empty())
}

/// An upstream's words, as far as somebody reads them.
fn shown(message: &str) -> String {
    plain_text::clean(message).chars().take(LONGEST).collect()
}

/// Without credentials before it is cut: else the beginning of one could be left.
fn raw(parsed: Option<Value>, body: &[u8], scrub: &Scrub) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    let text = match parsed {
        Some(value) if body.len() <= RAW => return Some(plain_text::clean_value(value)),
        Some(value) => value.to_string(),
        None => {
            let text = plain_text::clean(&String::from_utf8_lossy(body));
            scrub.text(&text).unwrap_or(text)
        }
    };
    let mut text = plain_text::clean(&text);
    text.truncate(text.floor_char_boundary(RAW));
    Some(Value::String(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_error_keeps_status_message_and_code() {
        let body = br#"{"statusCode":404,"message":"Invalid client key","code":"key_not_found"}"#;
        let failure = Failure::upstream(StatusCode::NOT_FOUND, body, Limits::default());
        insta::assert_json_snapshot!(failure.body(), @r#"
        {
          "statusCode": 404,
          "error": "Not Found",
          "message": "Invalid client key",
          "code": "key_not_found",
          "is_remote_error": true,
          "raw_response": {
            "statusCode": 404,
            "message": "Invalid client key",
            "code": "key_not_found"
          }
        }
        "#);
    }

    #[test]
    fn an_answer_that_is_no_json_is_passed_on_as_capped_clean_text() {
        let page = format!("\u{1b}[1m<html>{}", "x".repeat(100_000));
        let failure =
            Failure::upstream(StatusCode::BAD_GATEWAY, page.as_bytes(), Limits::default());
        let raw = failure.raw_response.unwrap();
        let raw = raw.as_str().unwrap();
        assert!(raw.starts_with("<html>") && raw.len() <= RAW);
        assert_eq!(failure.message, "Bad Gateway");
        let empty = Failure::upstream(StatusCode::CONFLICT, b"", Limits::default());
        assert_eq!(empty.raw_response, None);
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = json!({ "message": "é".repeat(5_000) }).to_string();
        let failure = Failure::upstream(StatusCode::CONFLICT, body.as_bytes(), Limits::default());
        assert_eq!(failure.message.chars().count(), LONGEST);
    }

    #[test]
    fn a_model_learns_when_to_come_back() {
        let limits = Limits {
            limit: Some(5),
            remaining: Some(0),
            reset_s: Some(9),
            retry_after_s: Some(9),
        };
        let failure = Failure::upstream(StatusCode::TOO_MANY_REQUESTS, b"{}", limits);
        let told = failure.for_model();
        assert_eq!(told["retry_after_s"], 9);
        assert_eq!(
            told["ratelimit"],
            json!({ "limit": 5, "remaining": 0, "reset_s": 9 })
        );
    }
}
