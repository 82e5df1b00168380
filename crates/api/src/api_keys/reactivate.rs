//! `PATCH /api-keys/{id}/reactivate`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::event::EventKind;
use claviger_edge::permission::KeysWrite;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, PathParameter};
use claviger_store::api_keys::{ApiKey, COMPROMISED, Status};
use claviger_verify::Edit;
use serde_json::json;

use super::create::duplicate;
use super::selector::{absent, selector_of};
use crate::wire::{ApiKeyBody, api_key_body};

/// Reactivate an API key
///
/// Switches a revoked key on again, at once. A key that was compromised, or that was rotated,
/// stays off.
#[utoipa::path(patch, path = "/api-keys/{id}/reactivate", operation_id = "reactivateApiKey",
    tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW")),
    responses(
        (status = 200, description = "The key as it is now.", body = ApiKeyBody),
        (status = 404, description = "No such key."),
        (status = 409, description = "It was compromised or rotated.")))]
pub(crate) async fn reactivate_api_key(
    State(core): State<Core>,
    caller: Caller<KeysWrite>,
    PathParameter(id): PathParameter,
) -> Result<Response, ApiError> {
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let edit = |key: &mut ApiKey| {
        let data = json!({"name": key.name});
        let save = Edit::Save(EventKind::ApiKeyReactivated, data);
        Ok::<_, ApiError>(if switch_on(key)? { save } else { Edit::Nothing })
    };
    let verifier = &core.verifier;
    let edited = verifier
        .edit_api_key(change, caller.reach, which, edit, duplicate)
        .await?;
    let key = edited.ok_or_else(absent)?;
    Ok(Json(api_key_body(&core, &key, None).await?).into_response())
}

/// Switches a key on, and tells whether that changed anything.
pub(super) fn switch_on(key: &mut ApiKey) -> Result<bool, ApiError> {
    if key.reason.as_deref() == Some(COMPROMISED) {
        let message = "The key was compromised and stays revoked, create another one";
        return Err(ApiError::new(ErrorCode::KeyCompromised, message));
    }
    if let Some(successor) = &key.rotated_to {
        let message = format!("The key was rotated, {successor} is in its place");
        return Err(ApiError::new(ErrorCode::KeyRotated, message));
    }
    if key.status == Status::Active {
        return Ok(false);
    }
    key.status = Status::Active;
    key.reason = None;
    key.revoked_at = None;
    key.revoked_by = None;
    Ok(true)
}
