//! `PATCH /access-keys/{id}/reactivate`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_domain::time::outlives;
use claviger_edge::permission::AccessKeysWrite;
use claviger_edge::{ApiError, Caller, Core, PathParameter};
use claviger_store::access_keys::AccessKey;
use serde_json::json;

use super::body::AccessKeyBody;
use super::selector::{above_caller, absent, outlives_maker, own_key, selector_of};
use super::update::switch_on;

/// Reactivate an access key
///
/// Switches an access key on again, at once. One that was rotated stays off.
#[utoipa::path(patch, path = "/access-keys/{id}/reactivate",
    operation_id = "reactivateAccessKey", tag = "access_keys",
    params(("id" = String, Path, description = "The access key's id (from listing access keys), \
        its reference, or the key itself.", example = "ack_8dK2vQ0mZpR4xTbW")),
    responses(
        (status = 200, description = "The access key as it is now.", body = AccessKeyBody),
        (status = 403, description = "It is a rotation of the caller."),
        (status = 404, description = "No such access key."),
        (status = 409, description = "It was rotated.")))]
pub(crate) async fn reactivate_access_key(
    State(core): State<Core>,
    caller: Caller<AccessKeysWrite>,
    PathParameter(id): PathParameter,
) -> Result<Json<AccessKeyBody>, ApiError> {
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let now = change.now;
    let (reach, rights) = (caller.reach.clone(), std::sync::Arc::clone(&caller.rights));
    let (own, bound) = (caller.identity.keys.clone(), caller.identity.ends_at);
    let edit = move |key: &mut AccessKey| {
        if !rights.cover(&key.grant()) {
            return Err(above_caller());
        }
        if own.contains(&key.lineage) {
            return Err(own_key());
        }
        if outlives(key.ends_at(), bound) {
            return Err(outlives_maker());
        }
        switch_on(key)?;
        let was_active = std::mem::replace(&mut key.is_active, true);
        let data = json!({"name": key.name});
        Ok((!was_active).then_some((EventKind::AccessKeyReactivated, data)))
    };
    match core
        .verifier
        .edit_access_key(change, reach, which, edit)
        .await?
    {
        Some(key) => Ok(Json(AccessKeyBody::of(&key, None, now))),
        None => Err(absent(&core, &caller, &id).await),
    }
}
