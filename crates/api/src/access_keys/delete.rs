//! `DELETE /access-keys/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_edge::permission::AccessKeysWrite;
use claviger_edge::{ApiError, Caller, Core, PathParameter};
use claviger_store::access_keys::AccessKey;
use serde_json::json;

use super::selector::{above_caller, absent, may_end, own_key, selector_of};

/// Deactivate an access key
///
/// Switches an access key off at once, with every MCP server that it made. It can be reactivated.
#[utoipa::path(delete, path = "/access-keys/{id}", operation_id = "deleteAccessKey",
    tag = "access_keys",
    params(("id" = String, Path, description = "The access key's id (from listing access keys), \
        its reference, or the key itself.", example = "ack_8dK2vQ0mZpR4xTbW")),
    responses(
        (status = 200, description = "It is switched off: `true`.", body = bool,
            content_type = "application/json"),
        (status = 403, description = "It is the caller itself, or its successor."),
        (status = 404, description = "No such access key.")))]
pub(crate) async fn delete_access_key(
    State(core): State<Core>,
    caller: Caller<AccessKeysWrite>,
    PathParameter(id): PathParameter,
) -> Result<Json<bool>, ApiError> {
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let (reach, rights) = (caller.reach.clone(), std::sync::Arc::clone(&caller.rights));
    let identity = caller.identity.clone();
    let edit = move |key: &mut AccessKey| {
        if !rights.cover(&key.grant()) {
            return Err(above_caller());
        }
        if !may_end(&identity, key) {
            return Err(own_key());
        }
        let was_active = std::mem::replace(&mut key.is_active, false);
        let data = json!({"name": key.name});
        Ok(was_active.then_some((EventKind::AccessKeyDeleted, data)))
    };
    match core
        .verifier
        .edit_access_key(change, reach, which, edit)
        .await?
    {
        Some(_) => Ok(Json(true)),
        None => Err(absent(&core, &caller, &id).await),
    }
}
