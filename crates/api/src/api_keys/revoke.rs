//! `DELETE /api-keys/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_domain::permission::Permission;
use claviger_edge::permission::KeysWrite;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, PathParameter, Query, flag};
use claviger_store::Change;
use claviger_store::api_keys::{ApiKey, COMPROMISED, Status};
use claviger_verify::Edit;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::create::duplicate;
use super::selector::{absent, selector_of};

/// Why a key may be revoked.
const REASONS: [&str; 5] = ["unused", "billing", COMPROMISED, "superseded", "other"];

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Why: `unused`, `billing`, `compromised`, `superseded` or `other`. A compromised key cannot
    /// be reactivated.
    reason: Option<String>,
    /// Removes the key for good instead, its totals stay. Needs the role owner.
    #[serde(default, deserialize_with = "flag")]
    purge: Option<bool>,
}

/// Revoke an API key
///
/// Switches a key off at once: when the answer is there, no check accepts it any more. It can be
/// reactivated later, unless its reason is `compromised`.
#[utoipa::path(delete, path = "/api-keys/{id}", operation_id = "revokeApiKey", tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW"), Parameters),
    responses(
        (status = 200, description = "It is revoked: `true`.", body = bool,
            content_type = "application/json"),
        (status = 404, description = "No such key.")))]
pub(crate) async fn revoke_api_key(
    State(core): State<Core>,
    caller: Caller<KeysWrite>,
    PathParameter(id): PathParameter,
    Query(parameters): Query<Parameters>,
) -> Result<Json<bool>, ApiError> {
    let reason = reason_of(parameters.reason.as_deref())?.map(str::to_owned);
    let purges = parameters.purge == Some(true);
    let owned = caller.reach_of(Permission::AccountsDelete);
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let edit = {
        let change = change.clone();
        move |key: &mut ApiKey| {
            if purges {
                let is_owner = owned.reaches_account(&key.account);
                return is_owner
                    .then_some(Edit::Purge)
                    .ok_or_else(ApiError::forbidden);
            }
            let changed = switch_off(key, Status::Inactive, reason.as_deref(), &change);
            let data = json!({"name": key.name, "reason": key.reason});
            let save = Edit::Save(EventKind::ApiKeyDeleted, data);
            Ok(if changed { save } else { Edit::Nothing })
        }
    };
    let verifier = &core.verifier;
    let edited = verifier
        .edit_api_key(change, caller.reach, which, edit, duplicate)
        .await?;
    edited.map(|_| Json(true)).ok_or_else(absent)
}

/// Reads a reason.
pub(super) fn reason_of(text: Option<&str>) -> Result<Option<&'static str>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let known = REASONS
        .into_iter()
        .find(|reason| text.eq_ignore_ascii_case(reason));
    known.map(Some).ok_or_else(|| {
        let message = format!("must be one of {}", REASONS.join(", "));
        let mut error = ApiError::field("reason", message);
        error.code = ErrorCode::InvalidInput;
        error
    })
}

/// Switches a key off, and tells whether that changed anything. A key in the grace of its rotation
/// stops at once.
pub(super) fn switch_off(
    key: &mut ApiKey,
    status: Status,
    reason: Option<&str>,
    change: &Change,
) -> bool {
    let is_worse = reason == Some(COMPROMISED) && key.reason.as_deref() != Some(COMPROMISED);
    if key.status == status && !is_worse {
        return false;
    }
    if key.status == Status::Active {
        key.revoked_at = Some(change.now);
        key.revoked_by = change.actor.id().map(str::to_owned);
    }
    key.status = status;
    // What was said to be compromised stays so, and no reason is lost for want of another.
    if let Some(reason) = reason.filter(|_| key.reason.as_deref() != Some(COMPROMISED)) {
        key.reason = Some(reason.to_owned());
    }
    true
}
