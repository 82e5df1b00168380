//! The check that most requests are, answered from memory: `POST /api-keys/auth/{key}` by a caller
//! and for a key that are both known there. All else is left to the routes, which answer the same.

use claviger_edge::{
    ApiError, Asked, Core, Credential, Draft, ErrorCode, Shortcut, rate_limit_headers,
};
use claviger_verify::CallerLimit;
use http::header;

use super::authenticate::{Presentation, refusal_of, write_answer};

const PATH: &str = "/api-keys/auth/";

/// The check of a key, where all of it is in memory.
pub const SHORTCUT: Shortcut = Shortcut {
    template: "/api-keys/auth/{key}",
    answer: check_from_memory,
};

/// Answers a check from memory; `None` where anything about it has to be looked up, or is unusual.
fn check_from_memory(
    core: &Core,
    asked: Asked<'_>,
    draft: &mut Draft,
) -> Option<Result<(), ApiError>> {
    let key = asked.target.strip_prefix(PATH)?;
    // Characters that no rule for paths changes. Web pages are the routes' to answer.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if asked.method != "POST"
        || key.is_empty()
        || !key.bytes().all(is_plain)
        || asked.fields.value(&header::ORIGIN).is_some()
    {
        return None;
    }
    let caller = core
        .verifier
        .known_access_key(Credential::text(asked.fields)?)?;
    let reach = caller.checking()?;
    let found = core.verifier.look_up_known(&caller.key, reach, key)?;
    // From here on something is counted, and the routes must not count it again.
    if let CallerLimit::Over(level) = core.verifier.take_call_of_known(&caller) {
        let refused = ApiError::new(ErrorCode::CallerRateLimited, "Too many requests");
        let headers = rate_limit_headers(level, Some(core.now()));
        return Some(Err(refused.with_headers(headers)));
    }
    let question = Presentation::of(asked.fields, false).question();
    let checked = core.verifier.check_found(found, &question);
    Some(match refusal_of(core, &checked) {
        None => write_answer(core, &checked, draft),
        Some(refused) => Err(refused),
    })
}
