//! `POST /webhooks/{id}/rotate-secret`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_domain::id::Id;
use claviger_domain::webhook::SECRET_GRACE;
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore, PathParameter};
use claviger_store::webhooks;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::absent;
use super::body::WebhookBody;

/// How to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RotateInput {
    /// Whether the secrets before sign nothing from now on: for one that somebody else knows.
    #[serde(default)]
    revoke_previous: Option<bool>,
}

/// Secrets that sign beside the newest one, at most: no receiver that knows one of them is cut off by a
/// request that was sent twice.
const MOST_PREVIOUS: usize = 2;

/// Rotate a webhook's secret
///
/// Draws a new secret and answers the webhook with it: the only time that it is shown. For a day
/// deliveries have the signatures of both the old and the new one, so that a receiver can be changed
/// over meanwhile. Two can sign beside the newest one; `revokePrevious` ends both at once. The secret of
/// the older header, where there is one, is exchanged at once.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = RotateInput,
    responses(
        (status = 200, description = "The webhook, with its new secret.", body = WebhookBody),
        (status = 404, description = "No such webhook."),
        (status = 409, description = "It was rotated twice within a day.")))]
pub(crate) async fn rotate_webhook_secret(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<RotateInput>,
) -> Result<NoStore<Json<WebhookBody>>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let revokes = input.revoke_previous.unwrap_or(false);
    let service = core.webhooks.clone();
    let rotated = core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let Some(mut webhook) = webhooks::lock(tx, &reach, &id).await? else {
                    return Ok(None);
                };
                let subject = webhook.subject();
                let secret = service.draw_secret(&subject);
                let old = std::mem::replace(&mut webhook.sealed.secret, secret.sealed);
                let previous = &mut webhook.sealed.previous;
                previous.retain(|(_, until)| change.now < *until && !revokes);
                if previous.len() >= MOST_PREVIOUS {
                    let message = "The secret was rotated twice within a day: wait, or end the ones before \
                                   with revokePrevious";
                    return Err(ApiError::new(ErrorCode::TooManySecrets, message));
                }
                if !revokes {
                    previous.insert(0, (old, change.now.plus_seconds(SECRET_GRACE)));
                }
                let legacy = webhook.sealed.legacy.is_some();
                let legacy = legacy.then(|| service.draw_secret(&subject));
                let (legacy, shown) = legacy.map(|it| (it.sealed, it.shown)).unzip();
                webhook.sealed.legacy = legacy;
                let kind = EventKind::WebhookSecretRotated;
                let data = json!({"previousRevoked": revokes});
                webhooks::save(tx, &change, &mut webhook, kind, data).await?;
                Ok(Some((webhook, secret.shown, shown)))
            })
        })
        .await?;
    let (webhook, secret, legacy) = rotated.ok_or_else(absent)?;
    let body = WebhookBody::from(&webhook).with_secrets(&secret, legacy.as_ref());
    Ok(NoStore(Json(body)))
}
