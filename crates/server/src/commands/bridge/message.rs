//! A line that a client writes, as far as the bridge has to understand it, and the answer where the server
//! gives none.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use claviger_domain::plain_text;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::advice;

const PARSE_ERROR: i32 = -32_700;
const INTERNAL_ERROR: i32 = -32_603;
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";

/// One message, or a batch of them.
#[derive(Debug)]
pub(super) struct Message {
    text: String,
    /// The ids of what wants an answer, as they are written.
    ids: Vec<String>,
    /// What is asked, where it is one request.
    asked: Option<Asked>,
}

/// What a request says about itself.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Value,
}

/// Why a message has no answer of the server's.
#[derive(Debug)]
pub(super) struct Trouble {
    code: i32,
    sentence: String,
    status: Option<StatusCode>,
    retry_after_s: Option<u64>,
}

impl Message {
    /// Reads a line; one that is no JSON is not sent.
    pub(super) fn read(text: String) -> Result<Self, Trouble> {
        let raw: &RawValue = serde_json::from_str(&text).map_err(|error| {
            let place = error.column();
            Trouble::new(PARSE_ERROR, format!("a line is no JSON: column {place}"))
        })?;
        let ids = match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(batch) => batch.into_iter().filter_map(id_of).collect(),
            Err(_) => id_of(raw).into_iter().collect(),
        };
        let asked = serde_json::from_str(raw.get()).ok();
        Ok(Self { text, ids, asked })
    }

    /// The line.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The id of the one request that this is.
    pub(super) fn id(&self) -> Option<&str> {
        self.asked.as_ref()?;
        self.ids.first().map(String::as_str)
    }

    /// The ids that wait for an answer.
    pub(super) fn answered_ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// Its method.
    pub(super) fn method(&self) -> Option<&str> {
        let method = &self.asked.as_ref()?.method;
        (!method.is_empty()).then_some(method)
    }

    /// Whether a conversation of the earlier era begins.
    pub(super) fn is_initialize(&self) -> bool {
        self.method() == Some("initialize")
    }

    /// What is called or read.
    pub(super) fn name(&self) -> Option<&str> {
        let params = &self.asked.as_ref()?.params;
        let named = params.get("name").or_else(|| params.get("uri"));
        named?.as_str()
    }

    /// The version of the protocol that it names for itself.
    pub(super) fn version(&self) -> Option<&str> {
        let params = &self.asked.as_ref()?.params;
        params.get("_meta")?.get(VERSION_META)?.as_str()
    }

    /// The request that nobody waits for any more: its id, as it was written.
    pub(super) fn cancels(&self) -> Option<&str> {
        if self.method() != Some("notifications/cancelled") {
            return None;
        }
        let text = self.text.as_str();
        let params: &RawValue = members(text)?.remove("params")?;
        let id = members(params.get())?.remove("requestId")?;
        Some(id.get())
    }
}

fn members(text: &str) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

/// The id of a message that wants an answer.
fn id_of(message: &RawValue) -> Option<String> {
    let members = members(message.get())?;
    members.get("method")?;
    members.get("id").map(|id| id.get().to_owned())
}

/// Whether that is what a server answers, and not what something before it says.
pub(super) fn is_answer(body: &RawValue) -> bool {
    let is_one =
        |one: &RawValue| members(one.get()).is_some_and(|members| members.contains_key("jsonrpc"));
    match serde_json::from_str::<Vec<&RawValue>>(body.get()) {
        Ok(batch) => batch.into_iter().all(is_one),
        Err(_) => is_one(body),
    }
}

/// The version that an answer to `initialize` agrees on.
pub(super) fn agreed_version(answer: &RawValue) -> Option<String> {
    let answer: Value = serde_json::from_str(answer.get()).ok()?;
    let version = answer.pointer("/result/protocolVersion")?;
    version.as_str().map(str::to_owned)
}

/// A text as a header carries it, in the protocol's own form where it cannot as it is.
pub(super) fn header_value(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim() == text
        && !text.starts_with("=?base64?");
    let written = if is_plain {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(text))
    };
    HeaderValue::try_from(written).expect("visible ASCII fits a header")
}

impl Trouble {
    fn new(code: i32, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
            status: None,
            retry_after_s: None,
        }
    }

    /// A line that is longer than a server takes.
    pub(super) fn too_long() -> Self {
        Self::new(PARSE_ERROR, "a line is longer than 4 MiB")
    }

    /// A line that is no text.
    pub(super) fn no_text() -> Self {
        Self::new(PARSE_ERROR, "a line is no UTF-8")
    }

    /// A request that has no answer; the error's own text would show the URL.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let sentence = if error.is_timeout() {
            "the MCP server did not answer in time".to_owned()
        } else if error.is_connect() {
            let mut cause: &dyn std::error::Error = error;
            while let Some(next) = cause.source() {
                cause = next;
            }
            format!("the MCP server cannot be reached: {cause}")
        } else {
            "the connection to the MCP server broke off before the answer was there".to_owned()
        };
        Self::new(INTERNAL_ERROR, sentence)
    }

    /// An answer that is none of the protocol.
    pub(super) fn refused(
        status: StatusCode,
        retry_after: Option<&HeaderValue>,
        body: &[u8],
    ) -> Self {
        let said: Option<Value> = serde_json::from_slice(body).ok();
        let said = said.as_ref().and_then(|said| said["message"].as_str());
        let advice = advice(status).or(said).unwrap_or("is it an MCP server?");
        let advice: String = plain_text::clean(advice).chars().take(200).collect();
        let retry_after = retry_after.and_then(|after| after.to_str().ok()?.parse().ok());
        Self {
            status: Some(status),
            retry_after_s: retry_after,
            ..Self::new(
                INTERNAL_ERROR,
                format!("the MCP server answered {status}: {advice}"),
            )
        }
    }

    /// The same for whoever waits for the answer to `id`.
    pub(super) fn answer(&self, id: &str) -> Bytes {
        let mut error = json!({ "code": self.code, "message": self.sentence });
        if let Some(status) = self.status {
            error["data"] = json!({ "status": status.as_u16() });
            if let Some(seconds) = self.retry_after_s {
                error["data"]["retry_after_s"] = seconds.into();
            }
        }
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Message {
        Message::read(text.to_owned()).unwrap()
    }

    #[test]
    fn ids_are_kept_as_they_were_written() {
        for id in ["1", "1.50", "18446744073709551616", r#""a\u00e9""#, "null"] {
            let message = read(&format!(r#"{{"id": {id}, "method": "ping"}}"#));
            assert_eq!(message.id(), Some(id));
            let trouble = Trouble::new(INTERNAL_ERROR, "no");
            let answer = trouble.answer(message.id().unwrap());
            let expected = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":"no"}}}}"#
            );
            assert_eq!(answer, expected.as_bytes());
        }
    }

    #[test]
    fn notifications_and_answers_wait_for_nothing() {
        for text in [
            r#"{"method":"notifications/initialized"}"#,
            r#"{"id":1,"result":{}}"#,
            "7",
            "[]",
        ] {
            assert_eq!(read(text).answered_ids().count(), 0, "{text}");
        }
        let batch = read(r#"[{"id":1,"method":"a"},{"method":"b"},{"id":"2","method":"c"}]"#);
        let ids: Vec<_> = batch.answered_ids().collect();
        assert_eq!(ids, ["1", r#""2""#]);
        assert_eq!((batch.id(), batch.method()), (None, None));
    }

    #[test]
    fn a_cancellation_names_the_request() {
        let text = r#"{"method":"notifications/cancelled","params":{"requestId": "a"}}"#;
        assert_eq!(read(text).cancels(), Some(r#""a""#));
        assert_eq!(read(r#"{"id":1,"method":"ping"}"#).cancels(), None);
    }

    #[test]
    fn a_refusal_says_what_to_do_and_when() {
        let wait = HeaderValue::from_static("7");
        let body = br#"{"statusCode":429,"message":"Too many requests"}"#;
        let trouble = Trouble::refused(StatusCode::TOO_MANY_REQUESTS, Some(&wait), body);
        assert_eq!(
            trouble.answer("1"),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the MCP server answered 429 Too Many Requests: try again later","data":{"status":429,"retry_after_s":7}}}"#.as_bytes()
        );
        let page = Trouble::refused(StatusCode::BAD_GATEWAY, None, b"<html>");
        assert_eq!(
            page.to_string(),
            "the MCP server answered 502 Bad Gateway: is it an MCP server?"
        );
    }

    #[test]
    fn what_is_no_json_is_not_sent() {
        let trouble = Message::read("{".to_owned()).unwrap_err();
        assert!(
            trouble
                .answer("null")
                .starts_with(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700"#)
        );
    }
}
