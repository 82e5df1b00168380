//! `PATCH /api-keys/{id}`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::event::EventKind;
use claviger_domain::key_string::KeyShape;
use claviger_edge::permission::KeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, PathParameter};
use claviger_store::Change;
use claviger_store::api_keys::{ApiKey, Status};
use claviger_verify::Edit;
use serde_json::json;

use super::create::{custom_key, duplicate};
use super::reactivate::switch_on;
use super::revoke::{reason_of, switch_off};
use super::selector::{absent, selector_of};
use crate::wire::{ApiKeyBody, ApiKeyInput, api_key_body};

/// Change an API key
///
/// Changes what is given and leaves the rest; null clears. Switching a key off (`isActive` or
/// `status`) works at once, like revoking it. An object that was read can be sent back.
#[utoipa::path(patch, path = "/api-keys/{id}", operation_id = "updateApiKey", tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW")),
    request_body = ApiKeyInput,
    responses(
        (status = 200, description = "The key as it is now.", body = ApiKeyBody),
        (status = 400, description = "A member is malformed."),
        (status = 404, description = "No such key."),
        (status = 409, description = "Another key has that key string, or the key cannot be \
            switched on again.")))]
pub(crate) async fn update_api_key(
    State(core): State<Core>,
    caller: Caller<KeysWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<ApiKeyInput>,
) -> Result<Response, ApiError> {
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let edit = {
        let change = change.clone();
        move |key: &mut ApiKey| apply(input, key, &change)
    };
    let verifier = &core.verifier;
    let edited = verifier
        .edit_api_key(change, caller.reach, which, edit, duplicate)
        .await?;
    let key = edited.ok_or_else(absent)?;
    Ok(Json(api_key_body(&core, &key, None).await?).into_response())
}

/// The whole update as a rule: what the key becomes, and which event tells of it.
pub(crate) fn apply(
    input: ApiKeyInput,
    key: &mut ApiKey,
    change: &Change,
) -> Result<Edit, ApiError> {
    let before = key.clone();
    if input
        .project_id
        .as_deref()
        .is_some_and(|project| project != key.project_id.as_str())
    {
        return Err(ApiError::field(
            "projectId",
            "a key cannot be moved to another project",
        ));
    }
    let new_key = input.key.clone().filter(|text| !names(text, key));
    if new_key.is_some() && !key.is_custom {
        let mut error = ApiError::field("key", "a generated key keeps its key string, rotate it");
        error.code = ErrorCode::InvalidKey;
        return Err(error);
    }
    let wanted = wanted_status(&input, key, change)?;
    let reason = input.reason.clone();
    input.apply(key)?;
    let mut kind = EventKind::ApiKeyUpdated;
    match wanted.unwrap_or(key.status) {
        Status::Active if wanted.is_some() && switch_on(key)? => {
            kind = EventKind::ApiKeyReactivated;
        }
        Status::Active => {
            reason_of(reason.as_deref())?;
        }
        // Also for a key that is off already: that it was compromised must not be lost.
        status => {
            let reason = reason_of(reason.as_deref())?;
            if switch_off(key, status, reason, change) {
                kind = EventKind::ApiKeyDeleted;
            }
        }
    }
    let data = json!({"name": key.name, "status": key.status.as_str(), "reason": key.reason});
    Ok(match new_key {
        Some(text) => Edit::Rekey(custom_key(&text)?, kind, data),
        None if *key == before => Edit::Nothing,
        None => Edit::Save(kind, data),
    })
}

/// Whether a text is what reading or making the key gave, and so no new key string: its reference,
/// or the full key that begins with its public characters.
fn names(text: &str, key: &ApiKey) -> bool {
    let is_full = KeyShape::read(text).is_some_and(|shape| {
        shape.checksum_holds && key.id.as_str().strip_prefix("key_") == Some(shape.public)
    });
    is_full || text == key.view().reference()
}

/// The status that `isActive` and `status` ask for together; of two that differ, the new one.
fn wanted_status(
    input: &ApiKeyInput,
    key: &ApiKey,
    change: &Change,
) -> Result<Option<Status>, ApiError> {
    let is_active = key.is_active_at(change.now);
    let flag = input.is_active.filter(|wanted| *wanted != is_active);
    let status = input.status.map(Status::from);
    // What reading a key whose grace is over shows.
    let shown = if key.status == Status::Active && !is_active {
        Status::Inactive
    } else {
        key.status
    };
    let status = status.filter(|wanted| *wanted != shown);
    match (flag, status) {
        (None, status) => Ok(status),
        (Some(true), None) => Ok(Some(Status::Active)),
        (Some(false), None) => Ok(Some(Status::Inactive)),
        (Some(flag), Some(status)) if flag == (status == Status::Active) => Ok(Some(status)),
        (Some(_), Some(_)) => Err(ApiError::field(
            "isActive",
            "contradicts status, give one of them",
        )),
    }
}
