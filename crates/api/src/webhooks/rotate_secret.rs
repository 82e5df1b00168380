//! `POST /webhooks/{id}/rotate-secret`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_domain::id::Id;
use claviger_domain::webhook::SECRET_GRACE;
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Caller, Core, NoStore, PathParameter};
use claviger_store::{StoreError, webhooks};
use serde_json::json;

use super::absent;
use super::body::WebhookBody;

/// Rotate a webhook's secret
///
/// Draws a new secret and answers the webhook with it: the only time that it is shown. For a day
/// deliveries have the signatures of both the old and the new one, so that a receiver can be changed
/// over meanwhile. The secret of the older header, where there is one, is exchanged at once.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The webhook, with its new secret.", body = WebhookBody),
        (status = 404, description = "No such webhook.")))]
pub(crate) async fn rotate_webhook_secret(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    PathParameter(id): PathParameter,
) -> Result<NoStore<Json<WebhookBody>>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let service = core.webhooks.clone();
    let rotated = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let Some(mut webhook) = webhooks::lock(tx, &reach, &id).await? else {
                    return Ok(None);
                };
                let subject = webhook.subject();
                let secret = service.draw_secret(&subject);
                let old = std::mem::replace(&mut webhook.sealed.secret, secret.sealed);
                webhook.sealed.previous = Some((old, change.now.plus_seconds(SECRET_GRACE)));
                let legacy = webhook.sealed.legacy.is_some();
                let legacy = legacy.then(|| service.draw_secret(&subject));
                let (legacy, shown) = legacy.map(|it| (it.sealed, it.shown)).unzip();
                webhook.sealed.legacy = legacy;
                let kind = EventKind::WebhookSecretRotated;
                webhooks::save(tx, &change, &mut webhook, kind, json!({})).await?;
                Ok(Some((webhook, secret.shown, shown)))
            })
        })
        .await?;
    let (webhook, secret, legacy) = rotated.ok_or_else(absent)?;
    let body = WebhookBody::from(&webhook).with_secrets(&secret, legacy.as_ref());
    Ok(NoStore(Json(body)))
}
