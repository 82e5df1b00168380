//! `GET /webhooks/{id}/deliveries`.

use axum::extract::State;
use claviger_domain::webhook::DeliveryStatus;
use claviger_edge::permission::WebhooksRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, PathParameter, Query};
use claviger_store::PAGE_SIZE;
use claviger_store::webhook_deliveries::{self, Filter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::delivery_body::DeliveryBody;
use super::found;
use super::input::one_topic;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only deliveries that became that: `waiting`, `delivered` or `failed`.
    #[param(example = "failed")]
    status: Option<String>,
    /// Only deliveries of this topic.
    topic: Option<String>,
    /// Deliveries to answer, at most 1000; 500 when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Deliveries to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List a webhook's deliveries
///
/// Answers what was sent to a webhook and what waits for it, the newest event first, with each
/// attempt, the status and the beginning of the answer. Kept for 30 days.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", operation_id = "listWebhookDeliveries",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL"), Parameters),
    responses(
        (status = 200, description = "The deliveries.", body = Vec<DeliveryBody>),
        (status = 404, description = "No such webhook.")))]
pub(crate) async fn list_webhook_deliveries(
    State(core): State<Core>,
    caller: Caller<WebhooksRead>,
    PathParameter(id): PathParameter,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<DeliveryBody>, ApiError> {
    let webhook = found(&core, &caller.reach, &id).await?;
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let status = parameters.status.as_deref().map(|status| {
        DeliveryStatus::parse(status)
            .ok_or_else(|| ApiError::field("status", "must be one of waiting, delivered, failed"))
    });
    let topic = parameters.topic.as_deref();
    let filter = Filter {
        status: status.transpose()?,
        topic: topic.map(|topic| one_topic("topic", topic)).transpose()?,
    };
    let limit = part.limit.unwrap_or(PAGE_SIZE);
    let listed = webhook_deliveries::list(&core.db, &webhook.id, filter, limit, part.offset);
    let (found, total) = listed.await?;
    Ok(Listed {
        items: found.into_iter().map(Into::into).collect(),
        total,
    })
}
