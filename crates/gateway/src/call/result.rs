//! From what an upstream answered to what a call came to: the failure, or the envelope with the part of
//! the answer that is the result.

#![expect(
    clippy::result_large_err,
    reason = "what fails here is passed on as it is, and boxed where the call ends"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::answer_json::{self, Unread};
use crate::connector::file::{ErrorsEntry, PaginationEntry};
use crate::cursor::Asked;
use crate::envelope;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::mcp::{Passed, ToolOutcome};
use crate::page::{self, Told};
use crate::scrub::Scrub;
use crate::tool::Tool;
use crate::upstream::Answered;

/// The largest body that is no text and that a model gets, in bytes.
const FOR_MODELS: usize = 256 * 1024;
/// The type of a body that nobody knows.
const UNKNOWN: &str = "application/octet-stream";

/// What an answer is read by.
pub(super) struct Reading<'a> {
    pub(super) tool: &'a Tool,
    pub(super) errors: &'a ErrorsEntry,
    pub(super) asked: Option<&'a Asked>,
    pub(super) limits: Limits,
}

enum Content {
    Nothing,
    Json(Value),
    /// What is no JSON; where it is no text either, it goes on as it is.
    Other(Passed),
}

impl Reading<'_> {
    /// What the call came to.
    pub(super) fn read(
        self,
        answered: Answered,
        seal: impl Fn(&Asked) -> String,
    ) -> Result<ToolOutcome, Failure> {
        let Answered { answer, scrub, .. } = answered;
        let status = answer.status;
        let failed = |status| {
            Failure::of_upstream(
                status,
                &answer.body,
                self.limits.clone(),
                self.errors,
                &scrub,
            )
        };
        if let Some(asked) = self.asked.filter(|_| self.is_behind_the_last(status)) {
            let told = Told {
                headers: &answer.headers,
                body: None,
            };
            let is_secret = |pair: &str| scrub.is_told_by(pair);
            let page = page::page(&self.tool.pagination, asked, Vec::new(), told, is_secret);
            return Ok(ToolOutcome {
                status: StatusCode::OK,
                envelope: envelope::list(page, seal),
                limits: self.limits,
                passed: None,
            });
        }
        if !status.is_success() {
            return Err(failed(status));
        }
        let content = content(answer.headers.get(header::CONTENT_TYPE), &answer.body)?;
        let body = if let Content::Json(body) = &content {
            Some(body)
        } else {
            None
        };
        if self.errors.is_failure(status, body) {
            return Err(failed(StatusCode::BAD_GATEWAY));
        }
        let scrub = scrub.telling();
        let (envelope, passed) = match content {
            Content::Nothing => (envelope::single(None), None),
            Content::Json(mut body) => {
                scrub.value_of(&mut body, &answer.body);
                (self.envelope(body, &answer.headers, &scrub, seal), None)
            }
            Content::Other(mut passed) => {
                passed.body = scrub.bytes(passed.body);
                if scrub.is_in(passed.content_type.as_bytes()) {
                    UNKNOWN.clone_into(&mut passed.content_type);
                }
                (envelope::single(Some(for_models(&passed))), Some(passed))
            }
        };
        Ok(ToolOutcome {
            status,
            envelope,
            limits: self.limits,
            passed: passed.filter(|it| it.text().is_none()),
        })
    }

    /// Whether an upstream that is asked for a range has no item there (RFC 9110, 15.5.17): of a list of so
    /// many items that all pages are full, the next one is asked for in vain.
    fn is_behind_the_last(&self, status: StatusCode) -> bool {
        let is_range = matches!(self.tool.pagination, PaginationEntry::Range { .. });
        is_range && status == StatusCode::RANGE_NOT_SATISFIABLE
    }

    fn envelope(
        &self,
        body: Value,
        headers: &http::HeaderMap,
        scrub: &Scrub,
        seal: impl Fn(&Asked) -> String,
    ) -> Map<String, Value> {
        let (found, whole) = match &self.tool.response_path {
            None => (body, None),
            Some(path) => (path.of(&body).cloned().unwrap_or_default(), Some(body)),
        };
        match (found, self.asked) {
            (Value::Array(items), Some(asked)) => {
                let body = whole.as_ref();
                let told = Told { headers, body };
                let items = items.into_iter().map(|item| self.mapped(item)).collect();
                let is_secret = |pair: &str| scrub.is_told_by(pair);
                let page = page::page(&self.tool.pagination, asked, items, told, is_secret);
                envelope::list(page, seal)
            }
            (found, _) => envelope::single(Some(self.mapped(found))),
        }
    }

    /// The members that the connector keeps, under its names.
    fn mapped(&self, value: Value) -> Value {
        if self.tool.map.is_empty() || !value.is_object() {
            return value;
        }
        let kept = self.tool.map.iter();
        let kept =
            kept.map(|(name, path)| (name.clone(), path.of(&value).cloned().unwrap_or_default()));
        Value::Object(kept.collect())
    }
}

fn content(kind: Option<&HeaderValue>, body: &Bytes) -> Result<Content, Failure> {
    if body.is_empty() {
        return Ok(Content::Nothing);
    }
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_json = essence.ends_with("/json") || essence.ends_with("+json");
    if is_json || matches!(essence.as_str(), "" | "text/plain") {
        let (code, message) = match answer_json::parse(body) {
            Ok(value) => return Ok(Content::Json(value)),
            Err(Unread::TooMany) => (
                "upstream_too_large",
                "the upstream's answer has too many values in it, ask for less with `limit`",
            ),
            Err(Unread::NotJson) => (
                "upstream_malformed",
                "the upstream's answer says that it is JSON, and is not",
            ),
        };
        if is_json {
            return Err(Failure::unanswered(StatusCode::BAD_GATEWAY, code, message));
        }
    }
    let is_text = essence.is_empty() && std::str::from_utf8(body).is_ok();
    let kind = match (kind, is_text) {
        ("", true) => "text/plain",
        ("", false) => UNKNOWN,
        (kind, _) => kind,
    };
    Ok(Content::Other(Passed {
        content_type: kind.to_owned(),
        body: body.clone(),
    }))
}

/// A text as it is, and anything else in letters, as long as a model can take it.
fn for_models(passed: &Passed) -> Value {
    if let Some(text) = passed.text() {
        return text.into();
    }
    let size = passed.body.len();
    let base64 = (size <= FOR_MODELS).then(|| STANDARD.encode(&passed.body));
    json!({ "content_type": passed.content_type, "size": size, "base64": base64 })
}
