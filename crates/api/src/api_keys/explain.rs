//! `POST` and `GET /api-keys/{id}/auth`: what authenticating a key would answer, by its id.

use axum::Json;
use axum::extract::State;
use claviger_domain::address;
use claviger_domain::decision::Presented;
use claviger_edge::permission::KeysRead;
use claviger_edge::{ApiError, Body, Caller, Core, PathParameter, Query};
use claviger_store::api_keys;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::authenticate::refusal_of;
use super::selector::{absent, selector_of};
use super::verify::{CodeName, RuleBody, rule_bodies};

/// What is known of the request that would present the key.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct ExplainInput {
    /// The end user's origin.
    #[serde(default)]
    #[schema(example = "https://app.example.com")]
    origin: Option<String>,
    /// The end user's address.
    #[serde(default)]
    #[schema(example = "192.0.2.7")]
    ip: Option<String>,
    /// Scopes that the request would need.
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

/// The same in a query string.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainParameters {
    /// The end user's origin.
    origin: Option<String>,
    /// The end user's address.
    ip: Option<String>,
    /// Scopes that the request would need, separated by commas.
    scopes: Option<String>,
}

/// What authenticating the key would answer now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// The key's id.
    #[schema(example = "key_8dK2vQ0mZpR4xTbW")]
    key_id: String,
    /// The HTTP status that authenticating it would answer.
    #[schema(example = 200)]
    would_answer: u16,
    /// `VALID`, or why it would not pass.
    code: CodeName,
    /// Each rule and whether it would be met.
    checks: Vec<RuleBody>,
}

/// Explain whether an API key would pass
///
/// Takes a key's id, so that nobody needs the key itself, and tells what authenticating it would
/// answer now and which rule decides. Nothing is counted or taken.
#[utoipa::path(post, path = "/api-keys/{id}/auth", operation_id = "explainApiKey",
    tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW")),
    request_body = ExplainInput,
    responses(
        (status = 200, description = "What authenticating it would answer.", body = Explanation),
        (status = 404, description = "No such key.")))]
pub(crate) async fn explain_api_key(
    State(core): State<Core>,
    caller: Caller<KeysRead>,
    PathParameter(id): PathParameter,
    Body(input): Body<ExplainInput>,
) -> Result<Json<Explanation>, ApiError> {
    explain(&core, &caller, &id, &input).await
}

/// Explain whether an API key would pass, without a body
///
/// The same as the POST, with what is known of the request in the query string.
#[utoipa::path(get, path = "/api-keys/{id}/auth", operation_id = "explainApiKeyByQuery",
    tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW"), ExplainParameters),
    responses(
        (status = 200, description = "What authenticating it would answer.", body = Explanation),
        (status = 404, description = "No such key.")))]
pub(crate) async fn explain_api_key_by_query(
    State(core): State<Core>,
    caller: Caller<KeysRead>,
    PathParameter(id): PathParameter,
    Query(parameters): Query<ExplainParameters>,
) -> Result<Json<Explanation>, ApiError> {
    let scopes = parameters.scopes.map(|list| {
        list.split(',')
            .map(|scope| scope.trim().to_owned())
            .collect()
    });
    let input = ExplainInput {
        origin: parameters.origin,
        ip: parameters.ip,
        scopes,
    };
    explain(&core, &caller, &id, &input).await
}

async fn explain(
    core: &Core,
    caller: &Caller<KeysRead>,
    id: &str,
    input: &ExplainInput,
) -> Result<Json<Explanation>, ApiError> {
    let which = selector_of(core, id);
    let key = api_keys::find(&core.db, &caller.reach, &which)
        .await?
        .ok_or_else(absent)?;
    let presented = Presented {
        project: None,
        origin: input.origin.as_deref(),
        ip: input.ip.as_deref().and_then(address::parse_address),
        scopes: input.scopes.as_deref().unwrap_or_default(),
    };
    let key_id = key.id.to_string();
    let checked = core.verifier.explain(key, presented.clone()).await?;
    let would_answer = refusal_of(core, &checked).map_or(200, |error| error.code.status().as_u16());
    let checks = rule_bodies(core, &checked, &presented);
    Ok(Json(Explanation {
        key_id,
        would_answer,
        code: checked.verdict.into(),
        checks,
    }))
}
