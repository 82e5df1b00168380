//! `POST /auth/authenticate`: how the first clients authenticated a key.

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::KeysCheck;
use claviger_edge::{ApiError, Body, Caller, Core, routes};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::api_keys::{Presentation, authenticate_key};

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(authenticate))
}

/// A key in its old place.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct LegacyInput {
    /// What is presented.
    #[serde(default)]
    #[schema(required)]
    credentials: Option<LegacyCredentials>,
}

/// What is presented.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LegacyCredentials {
    /// The full key, as the end user presented it.
    #[serde(default)]
    #[schema(required)]
    api_key: Option<String>,
}

/// What the first clients read of a key that may pass.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LegacyAnswer {
    /// Always true: a key that may not pass is an error.
    authenticated: bool,
    /// What was attached to the key: any JSON.
    custom_meta_data: Value,
    /// The same, in another spelling.
    custom_metadata: Value,
    /// Your own id of the customer that the key is for.
    custom_account_id: Option<String>,
    /// Your own id of the user that the key is for.
    custom_user_id: Option<String>,
}

/// Authenticate an API key, oldest spelling
///
/// Takes `{credentials: {api_key}}` and counts like authenticating a key does. New programs use
/// `/api-keys/verify`.
#[utoipa::path(post, path = "/auth/authenticate", operation_id = "authenticate", tag = "auth",
    request_body = LegacyInput,
    responses(
        (status = 201, description = "The key may pass.", body = LegacyAnswer),
        (status = 404, description = "Not a key that may pass.")))]
async fn authenticate(
    State(core): State<Core>,
    caller: Caller<KeysCheck>,
    headers: HeaderMap,
    Body(input): Body<LegacyInput>,
) -> Result<(StatusCode, Json<LegacyAnswer>), ApiError> {
    let key = input
        .credentials
        .and_then(|one| one.api_key)
        .unwrap_or_default();
    let presentation = Presentation::of(&headers, false);
    let checked = authenticate_key(&core, &caller, &key, presentation).await?;
    let known = checked.known.ok_or_else(ApiError::invalid_client_key)?;
    let key = known.view();
    let metadata: Value = serde_json::from_str(key.metadata).unwrap_or_default();
    let answer = LegacyAnswer {
        authenticated: true,
        custom_meta_data: metadata.clone(),
        custom_metadata: metadata,
        custom_account_id: key.custom_account_id.map(str::to_owned),
        custom_user_id: key.custom_user_id.map(str::to_owned),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}
