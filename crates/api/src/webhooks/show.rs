//! `GET /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::WebhooksRead;
use claviger_edge::{ApiError, Caller, Core, PathParameter};

use super::body::WebhookBody;
use super::found;

/// Show a webhook
///
/// Answers a webhook by its id, which comes from listing webhooks, without its secret.
#[utoipa::path(get, path = "/webhooks/{id}", operation_id = "showWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The webhook.", body = WebhookBody),
        (status = 404, description = "No such webhook.")))]
pub(crate) async fn show_webhook(
    State(core): State<Core>,
    caller: Caller<WebhooksRead>,
    PathParameter(id): PathParameter,
) -> Result<Json<WebhookBody>, ApiError> {
    let webhook = found(&core, &caller.reach, &id).await?;
    Ok(Json(WebhookBody::seen_with(&caller.rights, &webhook)))
}
