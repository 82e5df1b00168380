//! `GET /webhooks/{id}/deliveries`.

use axum::extract::State;
use claviger_domain::date;
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::DeliveryStatus;
use claviger_edge::permission::WebhooksRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, PathParameter, Query};
use claviger_store::webhook_deliveries::{self, Filter, LOOKED_AT};
use serde::Deserialize;
use utoipa::IntoParams;

use super::delivery_body::DeliveryBody;
use super::found;
use super::input::one_topic;

/// Deliveries of a page, and the most of one: each can have twenty attempts.
const PAGE: i64 = 50;
const LONGEST: i64 = 100;
const END_OF_TIME: Timestamp = Timestamp::from_micros(i64::MAX);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only deliveries that became that: `waiting`, `delivered` or `failed`.
    #[param(example = "failed")]
    status: Option<String>,
    /// Only deliveries of this topic.
    topic: Option<String>,
    /// Only deliveries of events before then, such as `2034-11-04T17:00:00Z`.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<String>,
    /// Deliveries to answer, at most 100; 50 when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Deliveries to skip, at most 10000: go further back with `before`.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List a webhook's deliveries
///
/// Answers what was sent to a webhook and what waits for it, the newest event first, with each
/// attempt, the status and the beginning of the answer. Kept for 30 days. The latest 10000 are looked at,
/// and counted: go further back with `before`.
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
    let before = parameters.before.as_deref().map(|text| {
        date::parse(text)
            .ok_or_else(|| ApiError::field("before", format!("must be {}", date::ACCEPTED)))
    });
    let topic = parameters.topic.as_deref();
    let filter = Filter {
        status: status.transpose()?,
        topic: topic.map(|topic| one_topic("topic", topic)).transpose()?,
        before: before.transpose()?.unwrap_or(END_OF_TIME),
    };
    if part.offset > LOOKED_AT {
        return Err(ApiError::field(
            "offset",
            "is over 10000: go further back with before",
        ));
    }
    let limit = part.limit.map_or(PAGE, |limit| limit.min(LONGEST));
    let listed = webhook_deliveries::list(&core.db, &webhook.id, filter, limit, part.offset);
    let (found, total) = listed.await?;
    Ok(Listed {
        items: found.into_iter().map(Into::into).collect(),
        total,
    })
}
