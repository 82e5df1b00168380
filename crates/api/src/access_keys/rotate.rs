//! `POST /access-keys/{id}/rotate`.

use axum::Json;
use axum::extract::State;
use claviger_domain::time::outlives;
use claviger_edge::permission::AccessKeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore, PathParameter};
use claviger_store::access_keys::AccessKey;
use claviger_verify::RotationRefused;
use http::StatusCode;

use super::body::AccessKeyBody;
use super::selector::{above_caller, absent, outlives_maker, selector_of};
use crate::api_keys::rotate::RotationInput;

/// Rotate an access key
///
/// Makes a successor with the same role and place, and answers it in full: the only time that it
/// is shown. What the old one made, such as MCP servers, answers to the new one. The old one ends
/// at once, or after the grace that you give.
#[utoipa::path(post, path = "/access-keys/{id}/rotate", operation_id = "rotateAccessKey",
    tag = "access_keys",
    params(("id" = String, Path, description = "The access key's id (from listing access keys), \
        its reference, or the key itself.", example = "ack_8dK2vQ0mZpR4xTbW")),
    request_body = RotationInput,
    responses(
        (status = 201, description = "The new access key, in full.", body = AccessKeyBody),
        (status = 404, description = "No such access key, or it is switched off or expired."),
        (status = 409, description = "It was rotated already, and is in its grace.")))]
pub(crate) async fn rotate_access_key(
    State(core): State<Core>,
    caller: Caller<AccessKeysWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<RotationInput>,
) -> Result<(StatusCode, NoStore<Json<AccessKeyBody>>), ApiError> {
    let grace = input.grace_seconds()?;
    let which = selector_of(&core, &id);
    let change = core.change(&caller.actor);
    let now = change.now;
    let (reach, rights) = (caller.reach.clone(), std::sync::Arc::clone(&caller.rights));
    let bound = caller.identity.ends_at;
    // The successor is made by the caller, who gets its secret, so it must not exceed the caller.
    let judge = move |key: &AccessKey| {
        if !rights.cover(&key.grant()) {
            return Err(above_caller());
        }
        if outlives(key.expires_at, bound) {
            return Err(outlives_maker());
        }
        Ok(())
    };
    match core
        .verifier
        .rotate_access_key(change, reach, which, grace, judge)
        .await?
    {
        Ok(rotation) => {
            let body = AccessKeyBody::of(&rotation.key, Some(&rotation.plain), now);
            Ok((StatusCode::CREATED, NoStore(Json(body))))
        }
        Err(RotationRefused::Absent) => Err(absent(&core, &caller, &id).await),
        Err(RotationRefused::InGrace) => {
            let message = "The access key was rotated already, and is in its grace";
            Err(ApiError::new(ErrorCode::KeyInGrace, message))
        }
    }
}
