//! `POST /api-keys/auth/{key}` and its older spellings: may this key pass now, counted.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::address;
use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::limit::Period;
use claviger_domain::permission::Permission;
use claviger_edge::permission::KeysCheck;
use claviger_edge::{
    ApiError, Caller, Core, Draft, ErrorCode, Fields, PathParameter, Query, flag,
    rate_limit_headers, tell_rate_limit,
};
use claviger_verify::{Checked, Counting, KnownKey, Question};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::wire::{ApiKeyBody, api_key_body_of};

const ORIGIN_DOMAIN: HeaderName = HeaderName::from_static("x-origin-domain");
const CLIENT_IP: HeaderName = HeaderName::from_static("x-client-ip");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");

/// What the headers tell of the request that presents a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presentation<'a> {
    origin: Option<&'a str>,
    ip: Option<&'a str>,
    project: Option<&'a str>,
    counting: Counting,
}

impl<'a> Presentation<'a> {
    /// Reads the headers. A check that only `explains` counts nothing.
    pub(crate) fn of(fields: &'a dyn Fields, explains: bool) -> Self {
        Self {
            origin: fields.text(&ORIGIN_DOMAIN),
            ip: fields.text(&CLIENT_IP),
            project: fields.text(&PROJECT_ID),
            counting: if explains {
                Counting::Looks
            } else {
                Counting::Counts
            },
        }
    }
}

impl<'a> Presentation<'a> {
    /// What is asked of the key.
    pub(super) fn question(self) -> Question<'a> {
        Question {
            presented: Presented {
                project: self.project,
                origin: self.origin,
                ip: self.ip.and_then(address::parse_address),
                scopes: &[],
            },
            cost: 1,
            counting: self.counting,
        }
    }
}

/// Checks a full key; every reason not to pass is its error.
pub(crate) async fn authenticate_key(
    core: &Core,
    caller: &Caller<KeysCheck>,
    key: &str,
    presentation: Presentation<'_>,
) -> Result<Checked, ApiError> {
    let question = presentation.question();
    let checked = core
        .verifier
        .check(caller.identity.network, &caller.reach, key, &question)
        .await?;
    match refusal_of(core, &checked) {
        None => Ok(checked),
        Some(error) => Err(error),
    }
}

/// The error that a check comes to; none when the key passes.
pub(crate) fn refusal_of(core: &Core, checked: &Checked) -> Option<ApiError> {
    let limited = |code, message| {
        let level = if code == ErrorCode::QuotaExceeded {
            checked.quota
        } else {
            checked.rate_limit
        };
        let headers = level.map(|level| rate_limit_headers(level, Some(core.now())));
        let headers = headers.unwrap_or_default();
        ApiError::new(code, message).with_headers(headers)
    };
    Some(match checked.verdict {
        Verdict::Valid => return None,
        Verdict::NotFound | Verdict::Revoked | Verdict::Expired | Verdict::WrongProject => {
            ApiError::invalid_client_key()
        }
        Verdict::RateLimited => limited(ErrorCode::RateLimited, "Too many requests"),
        Verdict::QuotaExceeded => {
            let known = checked.known.as_ref();
            let period = known.and_then(KnownKey::quota).map(|quota| quota.period);
            let message = match period {
                Some(Period::Day) => "Daily request quota exceeded",
                _ => "Monthly request quota exceeded",
            };
            limited(ErrorCode::QuotaExceeded, message)
        }
        Verdict::OriginNotAllowed => {
            let message = "Origin domain is not allowed for this API key";
            ApiError::new(ErrorCode::OriginNotAllowed, message)
        }
        Verdict::IpNotAllowed => {
            let message = "IP address is not allowed for this API key";
            ApiError::new(ErrorCode::IpNotAllowed, message)
        }
        Verdict::ScopeMissing => ApiError::new(
            ErrorCode::ScopeMissing,
            "The API key lacks a required scope",
        ),
    })
}

async fn answer(
    core: &Core,
    caller: &Caller<KeysCheck>,
    key: &str,
    presentation: Presentation<'_>,
) -> Result<Response, ApiError> {
    let checked = authenticate_key(core, caller, key, presentation).await?;
    let mut draft = Draft::default();
    draft.begin();
    write_answer(core, &checked, &mut draft)?;
    Ok(draft.into_response())
}

/// Writes the answer of a key that passed.
pub(super) fn write_answer(
    core: &Core,
    checked: &Checked,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    let known = checked
        .known
        .as_ref()
        .ok_or_else(ApiError::invalid_client_key)?;
    let body = api_key_body_of(&known.view(), None, core.now(), checked.quota)?;
    serde_json::to_writer(draft.body(), &body).expect("a key as text is JSON");
    draft.field(&header::CONTENT_TYPE, "application/json");
    if let Some(level) = checked.rate_limit {
        tell_rate_limit(level, None, |name, value| draft.field_of(&name, value));
    }
    // It tells of a key, which no cache is to keep.
    draft.field(&header::CACHE_CONTROL, "no-store");
    Ok(())
}

/// Authenticate an API key
///
/// Tells whether a key that an end user presented may pass now: counts the use and takes from the
/// key's limit and quota. Only the full key is accepted, never an id or a reference. Unknown,
/// revoked and expired keys are all 404.
#[utoipa::path(post, path = "/api-keys/auth/{key}", operation_id = "authenticateApiKey",
    tag = "api_keys",
    params(("key" = String, Path, description = "The full key, as the end user presented it."),
        ("x-origin-domain" = Option<String>, Header, description = "The end user's origin, for \
            keys that are locked to some."),
        ("x-client-ip" = Option<String>, Header, description = "The end user's address, for keys \
            that are locked to networks."),
        ("x-project-id" = Option<String>, Header, description = "Accept keys of this project \
            only.")),
    responses(
        (status = 200, description = "The key may pass.", body = ApiKeyBody),
        (status = 403, description = "The key is locked to other origins or networks."),
        (status = 404, description = "Not a key that may pass."),
        (status = 429, description = "The key is over its limit or quota.")))]
pub(crate) async fn authenticate_api_key(
    State(core): State<Core>,
    caller: Caller<KeysCheck>,
    PathParameter(key): PathParameter,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(&core, &caller, &key, Presentation::of(&headers, false)).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Explains {
    /// `true` answers without counting, for callers who may read keys.
    #[serde(default, deserialize_with = "flag")]
    explain: Option<bool>,
}

/// Authenticate an API key, older spelling
///
/// The same as the POST. With `explain=true`, which needs `keys:read` as well, nothing is counted or taken.
#[utoipa::path(get, path = "/api-keys/auth/{key}", operation_id = "authenticateApiKeyByPath",
    tag = "api_keys",
    params(("key" = String, Path, description = "The full key, as the end user presented it."),
        Explains),
    responses(
        (status = 200, description = "The key may pass.", body = ApiKeyBody),
        (status = 404, description = "Not a key that may pass.")))]
pub(crate) async fn authenticate_by_path(
    State(core): State<Core>,
    caller: Caller<KeysCheck>,
    PathParameter(key): PathParameter,
    Query(explains): Query<Explains>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    legacy(&core, &caller, &key, explains.explain, &method, &headers).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyInQuery {
    /// The full key, as the end user presented it.
    #[param(required)]
    key: Option<String>,
    /// `true` answers without counting, for callers who may read keys.
    #[serde(default, deserialize_with = "flag")]
    explain: Option<bool>,
}

/// Tell whether an API key would pass
///
/// Takes a full key and answers it when it may pass. With `explain=true`, which needs `keys:read` as
/// well, nothing is counted or taken; without it this is an older spelling of authenticating a key.
#[utoipa::path(get, path = "/api-keys/auth", operation_id = "authenticateApiKeyByQuery",
    tag = "api_keys", params(KeyInQuery),
    responses(
        (status = 200, description = "The key may pass.", body = ApiKeyBody),
        (status = 404, description = "Not a key that may pass.")))]
pub(crate) async fn authenticate_by_query(
    State(core): State<Core>,
    caller: Caller<KeysCheck>,
    Query(query): Query<KeyInQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = query.key.unwrap_or_default();
    legacy(&core, &caller, &key, query.explain, &method, &headers).await
}

/// A client that was given no key asks for the path without one.
pub(crate) async fn authenticate_nothing(_: Caller<KeysCheck>) -> ApiError {
    ApiError::invalid_client_key()
}

async fn legacy(
    core: &Core,
    caller: &Caller<KeysCheck>,
    key: &str,
    explain: Option<bool>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    if method == Method::HEAD {
        // A HEAD would count, and its sender does not expect that.
        return Err(ApiError::new(
            ErrorCode::MethodNotAllowed,
            "Method Not Allowed",
        ));
    }
    // Only for callers who may read keys: an end user whose text ends up in this URL must not choose
    // to be checked without being counted.
    let explains = explain == Some(true) && caller.rights.reach(Permission::KeysRead).is_some();
    let presentation = Presentation::of(headers, explains);
    let mut response = answer(core, caller, key, presentation).await?;
    response
        .headers_mut()
        .insert("deprecation", HeaderValue::from_static("true"));
    Ok(response)
}
