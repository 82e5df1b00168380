//! The way to an upstream: The Auth API of this instance, called in-process, or another API.

mod account;
mod context;
mod note;
mod remote;
mod renewing;
mod sending;
mod sign;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use claviger_edge::Delegated;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use tower::ServiceExt;

use crate::failure::Failure;
use crate::request::UpstreamRequest;

pub(crate) use account::Account;
pub(crate) use remote::{Answered, gone, needs_reauth};
pub(crate) use sending::Sending;

/// The largest answer that is read.
const LARGEST: usize = 8 * 1024 * 1024;
/// By which an upstream knows a repeat.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long an upstream has for its answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the upstream answered.
#[derive(Debug)]
pub(crate) struct UpstreamAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Calls The Auth API of this instance in the name of someone. The request is made here from nothing,
/// so that it carries no credential: all that it may do is in `delegated`.
pub(crate) async fn call_local(
    auth_api: &Router,
    request: UpstreamRequest,
    idempotency_key: Option<HeaderValue>,
    delegated: Delegated,
) -> Result<UpstreamAnswer, Failure> {
    let target = request.path_and_query();
    let mut builder = Request::builder().method(request.verb).uri(target);
    if let Some(headers) = builder.headers_mut().filter(|_| request.body.is_some()) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    if let (Some(headers), Some(key)) = (builder.headers_mut(), idempotency_key) {
        headers.insert(IDEMPOTENCY_KEY, key);
    }
    let body = request
        .body
        .map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = builder.body(body).map_err(|_| {
        let message = "the arguments are too long for a request";
        Failure::refused(StatusCode::BAD_REQUEST, "invalid_arguments", message)
    })?;
    request.extensions_mut().insert(delegated);
    let answering = async {
        let response = auth_api
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, LARGEST).await.map_err(|_| {
            let message = "the upstream's answer is too large, ask for less with `limit`";
            Failure::unanswered(StatusCode::BAD_GATEWAY, "upstream_too_large", message)
        })?;
        Ok(UpstreamAnswer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    };
    match tokio::time::timeout(PATIENCE, answering).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::unanswered(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_too_slow",
            "the upstream did not answer in time",
        )),
    }
}
