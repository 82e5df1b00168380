//! `POST /api-keys/{id}/rotate`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_edge::permission::KeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore, PathParameter};
use claviger_verify::RotationRefused;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::selector::{absent, selector_of};
use crate::wire::{ApiKeyBody, api_key_body};

/// The longest grace: a year.
const LONGEST_GRACE: u32 = 31_622_400;

/// How a key is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rotation)]
pub(crate) struct RotationInput {
    /// Seconds for which the old key goes on working beside the new one; 0 ends it at once.
    #[serde(default)]
    #[schema(example = 3600)]
    grace_period: Option<u32>,
}

impl RotationInput {
    /// The grace in seconds, within its bounds.
    pub(crate) fn grace_seconds(&self) -> Result<i64, ApiError> {
        let seconds = self.grace_period.unwrap_or(0);
        if seconds > LONGEST_GRACE {
            let message = format!("must be at most {LONGEST_GRACE} seconds");
            return Err(ApiError::field("gracePeriod", message));
        }
        Ok(i64::from(seconds))
    }
}

/// Rotate an API key
///
/// Makes a successor with the same settings under a new key string, and answers it in full: the
/// only time that it is shown. It has a new id; the old key ends at once, or after the grace that
/// you give, and shows the new id in `rotatedTo`.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", operation_id = "rotateApiKey",
    tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW")),
    request_body = RotationInput,
    responses(
        (status = 201, description = "The new key, in full.", body = ApiKeyBody),
        (status = 404, description = "No such key, or it is revoked or expired."),
        (status = 409, description = "It was rotated already, and is in its grace.")))]
pub(crate) async fn rotate_api_key(
    State(core): State<Core>,
    caller: Caller<KeysWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<RotationInput>,
) -> Result<Response, ApiError> {
    let grace = input.grace_seconds()?;
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let rotated = core
        .verifier
        .rotate_api_key(change, caller.reach, which, grace)
        .await?;
    let rotation = rotated.map_err(|refused| match refused {
        RotationRefused::Absent => absent(),
        RotationRefused::InGrace => {
            let message = "The key was rotated already, and is in its grace";
            ApiError::new(ErrorCode::KeyInGrace, message)
        }
    })?;
    let body = api_key_body(&core, &rotation.key, Some(&rotation.plain)).await?;
    Ok((StatusCode::CREATED, NoStore(Json(body))).into_response())
}
