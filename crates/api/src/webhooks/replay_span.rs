//! `POST /webhooks/{id}/deliveries/replay`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Body, Caller, Core, PathParameter};
use claviger_store::webhook_deliveries::{self, Span};
use claviger_store::{StoreError, webhooks};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::absent;
use crate::wire::DateText;

/// Which deliveries to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayInput {
    /// Of events from then on, such as `2034-11-04T17:00:00Z`.
    #[serde(default)]
    #[schema(required, value_type = DateText)]
    from: Option<DateText>,
    /// Of events before then; until now when it is not given.
    #[serde(default)]
    #[schema(value_type = Option<DateText>)]
    to: Option<DateText>,
    /// Whether to send again also what was delivered: for a receiver that has lost it.
    #[serde(default)]
    delivered: Option<bool>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayResult {
    /// How many deliveries are sent again.
    replayed: u64,
}

/// Replay the deliveries of a time
///
/// Sends the failed deliveries of events in a time again, or all of them: after a receiver was away
/// for long, or has lost data. Each has the `webhook-id` that it had.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/replay",
    operation_id = "replayWebhookDeliveries", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = ReplayInput,
    responses(
        (status = 200, description = "How many are sent again.", body = ReplayResult),
        (status = 400, description = "A date is malformed, or `from` is missing."),
        (status = 404, description = "No such webhook.")))]
pub(crate) async fn replay_webhook_deliveries(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<ReplayInput>,
) -> Result<Json<ReplayResult>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let from = input.from.map(|from| from.0);
    let to = input.to.map_or(change.now.plus_seconds(1), |to| to.0);
    let with_delivered = input.delivered.unwrap_or(false);
    let replayed = core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                if webhooks::lock(tx, &reach, &id).await?.is_none() {
                    return Err(absent());
                }
                let from = from.ok_or_else(|| ApiError::field("from", "is required"))?;
                let span = Span {
                    from,
                    to,
                    with_delivered,
                };
                let replayed = webhook_deliveries::replay_span(tx, &change, &id, span).await;
                Ok::<_, ApiError>(replayed.map_err(StoreError::from)?)
            })
        })
        .await?;
    Ok(Json(ReplayResult { replayed }))
}
