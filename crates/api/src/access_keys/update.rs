//! `PATCH /access-keys/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_domain::time::{Timestamp, outlives};
use claviger_edge::permission::AccessKeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, Patch, PathParameter};
use claviger_store::access_keys::AccessKey;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::AccessKeyBody;
use super::limit;
use super::selector::{above_caller, absent, may_end, outlives_maker, own_key, selector_of};
use crate::wire::{DateText, choose, name_of};

/// What of an access key can be changed. Members that are not there are left; null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessKeyChange {
    /// The access key's name: 1 to 255 characters.
    #[serde(default)]
    name: Option<String>,
    /// Switches it off and on.
    #[serde(default)]
    is_active: Option<bool>,
    /// Calls that it may make in a window; null: without a limit.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    rate_limit: Patch<u64>,
    /// Seconds in a window.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    rate_limit_ttl: Patch<u32>,
    /// When it ends; null: never.
    #[serde(default)]
    #[schema(value_type = Option<DateText>)]
    expiry: Patch<DateText>,
    /// The spelling of `expiry` in answers.
    #[serde(default)]
    #[schema(ignore)]
    expires_at: Patch<DateText>,
}

/// Change an access key
///
/// Changes what is given and leaves the rest. Switching it off works at once. An access key cannot
/// change its own expiry, limit or activity, nor those of a key that it succeeded or that succeeded
/// it.
#[utoipa::path(patch, path = "/access-keys/{id}", operation_id = "updateAccessKey",
    tag = "access_keys",
    params(("id" = String, Path, description = "The access key's id (from listing access keys), \
        its reference, or the key itself.", example = "ack_8dK2vQ0mZpR4xTbW")),
    request_body = AccessKeyChange,
    responses(
        (status = 200, description = "The access key as it is now.", body = AccessKeyBody),
        (status = 403, description = "It is the caller itself."),
        (status = 404, description = "No such access key."),
        (status = 409, description = "It was rotated, and its successor is in use.")))]
pub(crate) async fn update_access_key(
    State(core): State<Core>,
    caller: Caller<AccessKeysWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<AccessKeyChange>,
) -> Result<Json<AccessKeyBody>, ApiError> {
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let now = change.now;
    let (reach, rights) = (caller.reach.clone(), std::sync::Arc::clone(&caller.rights));
    let (identity, bound) = (caller.identity.clone(), caller.identity.ends_at);
    let edit = move |key: &mut AccessKey| {
        if !rights.cover(&key.grant()) {
            return Err(above_caller());
        }
        let own = Own {
            is_own: identity.keys.contains(&key.lineage),
            may_end: may_end(&identity, key),
        };
        let before = (key.expires_at, key.is_active);
        let change = apply(input, key, own, now)?;
        let is_longer = key.expires_at != before.0 || (key.is_active && !before.1);
        if is_longer && outlives(key.ends_at(), bound) {
            return Err(outlives_maker());
        }
        Ok(change)
    };
    let edited = core
        .verifier
        .edit_access_key(change, reach, which, edit)
        .await?;
    match edited {
        Some(key) => Ok(Json(AccessKeyBody::of(&key, None, now))),
        None => Err(absent(&core, &caller, &id).await),
    }
}

/// What a caller may not change of an access key because it stands behind the call.
#[derive(Clone, Copy)]
struct Own {
    /// Whether the key is one of its own: itself, or one of its rotations.
    is_own: bool,
    /// Whether it may be switched off all the same.
    may_end: bool,
}

fn apply(
    input: AccessKeyChange,
    key: &mut AccessKey,
    own: Own,
    now: Timestamp,
) -> Result<Option<(EventKind, Value)>, ApiError> {
    let before = key.clone();
    if let Some(name) = &input.name {
        name_of(Some(name))?.clone_into(&mut key.name);
    }
    key.rate_limit = limit::changed(key.rate_limit, &input.rate_limit, &input.rate_limit_ttl)?;
    // What was read has milliseconds only, and must not cut what is stored.
    let shown = |at: Timestamp| DateText(Timestamp::from_micros(at.as_millis() * 1_000));
    let stored = key.expires_at.map(shown);
    match choose(
        ["expiry", "expiresAt"],
        [input.expiry, input.expires_at],
        stored.as_ref(),
    )? {
        Patch::Keep => {}
        Patch::Clear => key.expires_at = None,
        Patch::Set(date) if Some(date) == stored => {}
        Patch::Set(date) => key.expires_at = Some(date.0),
    }
    let was_active = key.is_active && key.stops_at.is_none_or(|stop| now < stop);
    let mut kind = EventKind::AccessKeyUpdated;
    if let Some(is_active) = input.is_active.filter(|wanted| *wanted != was_active) {
        if is_active {
            switch_on(key)?;
        }
        key.is_active = is_active;
        kind = if is_active {
            EventKind::AccessKeyReactivated
        } else {
            EventKind::AccessKeyDeleted
        };
    }
    if *key == before {
        return Ok(None);
    }
    let is_ended = before.is_active && !key.is_active;
    let is_all = AccessKey {
        name: before.name.clone(),
        is_active: key.is_active || is_ended,
        ..key.clone()
    } == before;
    let is_allowed = is_all && (!is_ended || own.may_end);
    if own.is_own && !is_allowed {
        return Err(own_key());
    }
    Ok(Some((
        kind,
        json!({"name": key.name, "isActive": key.is_active}),
    )))
}

/// A rotated access key stays off.
pub(super) fn switch_on(key: &AccessKey) -> Result<(), ApiError> {
    match &key.rotated_to {
        None => Ok(()),
        Some(successor) => {
            let message = format!("The access key was rotated, {successor} is in its place");
            Err(ApiError::new(ErrorCode::KeyRotated, message))
        }
    }
}
