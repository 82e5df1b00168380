//! The check that most requests are, answered from memory: `POST /api-keys/auth/{key}` by a caller
//! and for a key that are both known there. All else is left to the routes, which answer the same.

use axum::response::{IntoResponse, Response};
use claviger_edge::{ApiError, Core, Credential, ErrorCode, Shortcut, rate_limit_headers};
use claviger_verify::CallerLimit;
use http::{HeaderMap, Method, Uri, header};

use super::authenticate::{Presentation, answer_of, refusal_of};

const PATH: &str = "/api-keys/auth/";

/// The check of a key, where all of it is in memory.
pub const SHORTCUT: Shortcut = Shortcut {
    template: "/api-keys/auth/{key}",
    answer: check_from_memory,
};

/// Answers a check from memory; `None` where anything about it has to be looked up, or is unusual.
fn check_from_memory(
    core: &Core,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response> {
    let key = uri.path().strip_prefix(PATH)?;
    // Characters that no rule for paths changes. Web pages are the routes' to answer.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if method != Method::POST
        || key.is_empty()
        || !key.bytes().all(is_plain)
        || headers.contains_key(header::ORIGIN)
    {
        return None;
    }
    let caller = core.verifier.known_access_key(Credential::text(headers)?)?;
    let reach = caller.checking()?;
    let found = core.verifier.look_up_known(&caller.key, reach, key)?;
    // From here on something is counted, and the routes must not count it again.
    if let CallerLimit::Over(level) = core.verifier.take_call_of_known(&caller) {
        let refused = ApiError::new(ErrorCode::CallerRateLimited, "Too many requests");
        let headers = rate_limit_headers(level, Some(core.now()));
        return Some(refused.with_headers(headers).into_response());
    }
    let question = Presentation::of(headers, false).question();
    let checked = core.verifier.check_found(found, &question);
    let answered = match refusal_of(core, &checked) {
        None => answer_of(core, &checked),
        Some(refused) => Err(refused),
    };
    Some(answered.unwrap_or_else(IntoResponse::into_response))
}
