//! `DELETE /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::id::Id;
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Caller, Core, PathParameter};
use claviger_store::{StoreError, webhooks};
use http::{HeaderMap, StatusCode};

use super::absent;

/// Delete a webhook
///
/// Removes a webhook for good: what waits for it is sent no more. To stop it for a while, change its
/// `status` to `paused`.
#[utoipa::path(delete, path = "/webhooks/{id}", operation_id = "deleteWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It is removed; 200 with `true` under \
            `Prefer: return=representation`."),
        (status = 404, description = "No such webhook.")))]
pub(crate) async fn delete_webhook(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    PathParameter(id): PathParameter,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let deleted = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { webhooks::delete(tx, &change, &reach, &id).await })
        })
        .await?;
    deleted.ok_or_else(absent)?;
    let wants_body = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("return=representation"));
    Ok(if wants_body {
        Json(true).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    })
}
