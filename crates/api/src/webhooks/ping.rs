//! `POST /webhooks/ping`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::{self, Id};
use claviger_domain::webhook::Method;
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode};
use claviger_outbound::{OverBudget, Ping, Pinged, custom_headers};
use claviger_store::accounts;
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::found;
use super::input::{self, Headers};

/// Bytes of a body, at most.
const LONGEST: usize = 4_096;

/// What to try out: a URL, or a webhook.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PingInput {
    /// Where the request goes. Give this or `id`.
    #[serde(default)]
    #[schema(example = "https://example.com/hooks")]
    url: Option<String>,
    /// A webhook's id, from listing webhooks: the request is signed, has its headers, and says that
    /// it is a ping. Give this or `url`.
    #[serde(default)]
    #[schema(example = "whk_4f8Q2mXc7ZrT1bVw9KpL")]
    id: Option<String>,
    /// The account whose family's pings are counted: an id from listing accounts. The caller's own when it is
    /// not given.
    #[serde(default)]
    account_id: Option<String>,
    /// The verb, with `url`: `POST`, `PUT` or `PATCH`; `POST` when it is not given.
    #[serde(default)]
    http_method: Option<String>,
    /// The body, with `url`: JSON, or a text that is sent as it is; at most 4096 bytes.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    body: Option<Value>,
    /// Headers to send along, with `url`.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    headers: Option<Headers>,
    /// Another spelling of `headers`.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    custom_headers: Option<Headers>,
}

/// What came of a ping.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PingResult {
    /// Whether it was answered with a 2xx.
    success: bool,
    /// The status of the answer; null when there was none.
    status_code: Option<u16>,
    /// How long it took.
    duration_ms: i64,
    /// Why there was no answer: `blocked` (no request goes there), `unreachable`, `timeout` or `tls`.
    error: Option<String>,
}

/// Ping a webhook
///
/// Sends one request at once, to a URL or to a webhook, and answers what came of it: always with
/// 200, `success` tells whether the receiver took it. At most 10 a minute for an account and its
/// children together.
#[utoipa::path(post, path = "/webhooks/ping", operation_id = "pingWebhook", tag = "webhooks",
    request_body = PingInput,
    responses(
        (status = 200, description = "What came of it.", body = PingResult),
        (status = 400, description = "A member is malformed, or both `url` and `id` are given."),
        (status = 404, description = "No such webhook."),
        (status = 429, description = "More than 10 pings in a minute.")))]
pub(crate) async fn ping_webhook(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    Body(input): Body<PingInput>,
) -> Result<Json<PingResult>, ApiError> {
    let pinged = match (input.url.as_deref(), input.id.as_deref()) {
        (Some(_), Some(_)) => return Err(ApiError::field("id", "is given beside url, give one")),
        (None, None) => return Err(ApiError::field("url", "is required, or id")),
        (None, Some(id)) => {
            // Whoever may ping must not have anything signed that they like.
            if input.body.is_some() || input.headers.is_some() || input.custom_headers.is_some() {
                let message = "a webhook is sent its own headers and a body of ours";
                return Err(ApiError::field("id", message));
            }
            let webhook = found(&core, &caller.reach, id).await?;
            let leave = core.webhooks.take_ping(&webhook.account.root);
            let leave = leave.map_err(too_many)?;
            core.webhooks.ping_webhook(&webhook, leave).await?
        }
        (Some(url), None) => {
            let target = input::target(&core.webhooks, url)?;
            let method = input
                .http_method
                .as_deref()
                .map(input::method)
                .transpose()?;
            let headers = headers_of(input.headers, input.custom_headers)?;
            let body = body_of(input.body)?;
            let root = root_of(&core, &caller, input.account_id.as_deref()).await?;
            let leave = core.webhooks.take_ping(&root).map_err(too_many)?;
            let ping = Ping {
                target,
                method: method.unwrap_or(Method::Post),
                headers,
                body: body.into(),
            };
            core.webhooks.ping(ping, leave).await
        }
    };
    Ok(Json(result_of(pinged)))
}

/// The root of the family whose pings are counted: of the account that is named, or else of the
/// caller's own.
async fn root_of(
    core: &Core,
    caller: &Caller<WebhooksWrite>,
    named: Option<&str>,
) -> Result<Id<id::Account>, ApiError> {
    let Some(text) = named else {
        return Ok(caller.own_account()?.root.clone());
    };
    let id = Id::parse(text).ok_or_else(crate::accounts::absent)?;
    let found = accounts::find(&core.db, &caller.reach, &id).await?;
    let found = found.ok_or_else(crate::accounts::absent)?;
    Ok(found.reference().root)
}

fn headers_of(one: Option<Headers>, other: Option<Headers>) -> Result<HeaderMap, ApiError> {
    let (field, given) = match (one, other) {
        (Some(_), Some(_)) => {
            let message = "is another spelling of headers, give one";
            return Err(ApiError::field("customHeaders", message));
        }
        (None, Some(given)) => ("customHeaders", given),
        (given, None) => ("headers", given.unwrap_or_default()),
    };
    let judged = input::new_headers(field, given)?;
    let mut headers = custom_headers(&judged).expect("they were judged a line ago");
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    Ok(headers)
}

fn body_of(given: Option<Value>) -> Result<String, ApiError> {
    let body = match given {
        None => json!({"topic": "ping"}).to_string(),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    if body.len() > LONGEST {
        return Err(ApiError::field("body", "has more than 4096 bytes"));
    }
    Ok(body)
}

fn too_many(over: OverBudget) -> ApiError {
    let message = "Too many pings, at most 10 a minute for an account and its children";
    let retry_after = HeaderValue::from(over.retry_after_seconds);
    ApiError::new(ErrorCode::TooManyPings, message)
        .with_headers([(header::RETRY_AFTER, retry_after)])
}

fn result_of(pinged: Pinged) -> PingResult {
    PingResult {
        success: pinged.answer.is_ok_and(|status| status.is_success()),
        status_code: pinged.answer.ok().map(|status| status.as_u16()),
        duration_ms: pinged.duration_ms,
        error: pinged.answer.err().map(|error| error.to_string()),
    }
}
