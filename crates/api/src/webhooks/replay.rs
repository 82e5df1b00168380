//! `POST /webhooks/{id}/deliveries/{deliveryId}/replay`.

use axum::Json;
use axum::extract::{Path, State};
use claviger_domain::id::Id;
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Caller, Core, ErrorCode};
use claviger_store::{StoreError, webhook_deliveries, webhooks};

use super::absent;
use super::delivery_body::DeliveryBody;

/// Replay a delivery
///
/// Sends a delivery again, whatever became of it, with the same `webhook-id`, and as often as a new
/// one would be tried. It waits where the webhook is not live.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{deliveryId}/replay",
    operation_id = "replayWebhookDelivery", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id, from listing webhooks.",
            example = "whk_4f8Q2mXc7ZrT1bVw9KpL"),
        ("deliveryId" = String, Path, description = "The delivery's id, from listing deliveries.",
            example = "dlv_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The delivery, which waits to be sent.", body = DeliveryBody),
        (status = 404, description = "No such webhook, or no such delivery of it.")))]
pub(crate) async fn replay_webhook_delivery(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<Json<DeliveryBody>, ApiError> {
    let Path((id, delivery)) = path.map_err(|_| ApiError::not_found())?;
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let replayed = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let Some(webhook) = webhooks::lock(tx, &reach, &id).await? else {
                    return Ok(None);
                };
                let Some(delivery) = Id::parse(&delivery) else {
                    return Ok(Some(None));
                };
                let replayed = webhook_deliveries::replay(tx, &change, &webhook, &delivery).await?;
                Ok(Some(replayed))
            })
        })
        .await?;
    let replayed = replayed.ok_or_else(absent)?;
    let replayed =
        replayed.ok_or_else(|| ApiError::new(ErrorCode::DeliveryNotFound, "Delivery not found"))?;
    Ok(Json(replayed.into()))
}
