//! A request for another API before it is signed.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

use super::IDEMPOTENCY_KEY;
use crate::request::UpstreamRequest;

/// What of a request for another API is known before it is signed.
pub(crate) struct Sending<'a> {
    pub(crate) method: Method,
    /// Path and query below the connector's base, percent-encoded.
    pub(crate) path_and_query: String,
    /// Headers beside those that the connector says.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What templates are filled from.
    pub(crate) request: Option<&'a UpstreamRequest>,
    pub(crate) id: Option<&'a Value>,
}

impl<'a> Sending<'a> {
    /// The sending of a tool's request.
    pub(crate) fn of(
        request: &'a UpstreamRequest,
        id: Option<&'a Value>,
        idempotency_key: Option<HeaderValue>,
    ) -> Self {
        let mut headers = request.headers.clone();
        let json = HeaderValue::from_static("application/json");
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, */*;q=0.5"),
        );
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        if request.body.is_some() {
            let kind = if request.form.is_some() { form } else { json };
            headers.insert(header::CONTENT_TYPE, kind);
        }
        headers.extend(idempotency_key.map(|key| (IDEMPOTENCY_KEY, key)));
        let body = match (&request.form, &request.body) {
            (Some(form), _) => form.clone(),
            (None, Some(body)) => body.to_string(),
            (None, None) => String::new(),
        };
        Self {
            method: request.verb.clone(),
            path_and_query: request.path_and_query(),
            headers,
            body: body.into(),
            request: Some(request),
            id,
        }
    }
}
