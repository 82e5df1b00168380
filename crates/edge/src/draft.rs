//! An answer that is written as the bytes that are sent.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use claviger_domain::time::Timestamp;
use http::{HeaderName, HeaderValue, StatusCode, header};
use httpdate::HttpDate;

use crate::ApiError;

/// An answer in the making: a status, header fields, a body. What made one makes the next: it keeps its
/// room.
#[derive(Debug)]
pub struct Draft {
    status: StatusCode,
    fields: Vec<u8>,
    body: Vec<u8>,
    /// The date as fields have it, and the second since 1970 that it is of: most answers have that of the
    /// one before.
    date: (u64, String),
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            fields: Vec::new(),
            body: Vec::new(),
            date: (0, String::new()),
        }
    }
}

/// Bytes of an answer, with a hundred of metadata, and of its fields.
const USUAL_BODY: usize = 1_024;
const USUAL_FIELDS: usize = 512;

impl Draft {
    /// Begins a success.
    pub fn begin(&mut self) {
        self.status = StatusCode::OK;
        self.fields.clear();
        self.body.clear();
        self.fields.reserve(USUAL_FIELDS);
        self.body.reserve(USUAL_BODY);
    }

    /// Adds a field. No text from outside becomes one: a value has no line breaks.
    pub fn field(&mut self, name: &HeaderName, value: &str) {
        self.line(name, value.as_bytes());
    }

    /// Adds a field whose value is a number or an instant.
    pub fn field_of(&mut self, name: &HeaderName, value: impl Display) {
        self.fields.extend_from_slice(name.as_str().as_bytes());
        write!(self.fields, ": {value}\r\n").expect("memory takes all that is written");
    }

    fn line(&mut self, name: &HeaderName, value: &[u8]) {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            self.fields.extend_from_slice(part);
        }
    }

    /// Adds the date.
    pub(crate) fn date(&mut self, now: Timestamp) {
        // The last second that the date of a header can have: a year has four digits.
        const LAST: u64 = 253_402_300_799;
        let second = u64::try_from(now.as_seconds()).unwrap_or(0).min(LAST);
        if self.date.0 != second || self.date.1.is_empty() {
            let at = UNIX_EPOCH + Duration::from_secs(second);
            self.date = (second, HttpDate::from(at).to_string());
        }
        for part in ["date: ", &self.date.1, "\r\n"] {
            self.fields.extend_from_slice(part.as_bytes());
        }
    }

    /// Where the body is written to.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// Makes it a refusal, whatever was written before.
    pub(crate) fn refuse(&mut self, error: ApiError, request_id: &str, wants_problem: bool) {
        self.begin();
        self.status = error.code.status();
        let (report, fields) = error.into_report();
        for (name, value) in &fields {
            self.line(name, value.as_bytes());
        }
        let (body, content_type) = report.render(request_id, wants_problem);
        self.field(&header::CONTENT_TYPE, content_type);
        self.body.extend_from_slice(body.as_bytes());
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Adds it to `out` as HTTP/1.1 has it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let status = self.status;
        let reason = status.canonical_reason().unwrap_or("");
        for part in ["HTTP/1.1 ", status.as_str(), " ", reason] {
            out.extend_from_slice(part.as_bytes());
        }
        write!(out, "\r\ncontent-length: {}\r\n", self.body.len())
            .expect("memory takes all that is written");
        out.extend_from_slice(&self.fields);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}

impl IntoResponse for Draft {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let fields = self.fields.split(|byte| *byte == b'\n');
        for field in fields {
            let Some(colon) = field.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let name = HeaderName::from_bytes(&field[..colon]);
            let value = HeaderValue::from_bytes(field[colon + 1..].trim_ascii());
            let (name, value) = name
                .ok()
                .zip(value.ok())
                .expect("a field was written as one");
            response.headers_mut().append(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn drafted() -> Draft {
        let mut draft = Draft::default();
        draft.begin();
        draft.field(&header::CONTENT_TYPE, "application/json");
        draft.field_of(&header::AGE, 7);
        draft.date(Timestamp::from_micros(5_999_999));
        draft.body().extend_from_slice(b"{}");
        draft
    }

    #[test]
    fn it_is_the_same_answer_as_bytes_and_as_a_response() {
        let mut bytes = b"before".to_vec();
        drafted().write_to(&mut bytes);
        let expected = "beforeHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\
                        content-type: application/json\r\nage: 7\r\n\
                        date: Thu, 01 Jan 1970 00:00:05 GMT\r\n\r\n{}";
        assert_eq!(str::from_utf8(&bytes), Ok(expected));
        let response = drafted().into_response();
        assert_eq!(response.status(), StatusCode::OK);
        let fields = response.headers();
        assert_eq!(fields[header::CONTENT_TYPE], "application/json");
        assert_eq!(fields[header::AGE], "7");
        assert_eq!(fields.len(), 3);
    }

    #[tokio::test]
    async fn nothing_of_an_answer_is_left_in_its_refusal() {
        let mut draft = drafted();
        let refusal = ApiError::new(ErrorCode::RateLimited, "Too many requests")
            .with_headers([(header::RETRY_AFTER, HeaderValue::from(3))]);
        draft.refuse(refusal, "req_1", false);
        let response = draft.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        assert!(!response.headers().contains_key(header::AGE));
        let body = axum::body::to_bytes(response.into_body(), 1_024)
            .await
            .unwrap();
        assert!(body.starts_with(b"{\"statusCode\":429"), "{body:?}");
    }
}
