//! `POST /webhooks/{id}/deliveries/replay`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::{self, Id};
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, PathParameter};
use claviger_outbound::OverBudget;
use claviger_store::webhook_deliveries::{self, Span};
use claviger_store::webhooks;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{absent, found};
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
    /// Where to go on: `nextCursor` of the answer before, with the same other members.
    #[serde(default)]
    cursor: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayResult {
    /// How many deliveries are sent again.
    replayed: u64,
    /// When there are more: ask again with this as `cursor`. Null when these were all.
    next_cursor: Option<String>,
}

/// Deliveries that one transaction sends again: nobody waits long for it.
const SLICE: u16 = 500;
/// Deliveries that one request sends again, at most.
const MOST: usize = 10_000;

/// Replay the deliveries of a time
///
/// Sends the failed deliveries of events in a time again, or all of them: after a receiver was away
/// for long, or has lost data. Each has the `webhook-id` that it had. At most 10000 are sent again by
/// one request, the oldest first; `nextCursor` is where the next one goes on.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/replay",
    operation_id = "replayWebhookDeliveries", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = ReplayInput,
    responses(
        (status = 200, description = "How many are sent again, and whether there are more.", body = ReplayResult),
        (status = 400, description = "A date is malformed, or `from` is missing."),
        (status = 404, description = "No such webhook."),
        (status = 429, description = "An account and its children have had 20 such replays in this minute.")))]
pub(crate) async fn replay_webhook_deliveries(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<ReplayInput>,
) -> Result<Json<ReplayResult>, ApiError> {
    let webhook = found(&core, &caller.reach, &id).await?;
    let change = core.change(&caller.actor);
    let from = input
        .from
        .ok_or_else(|| ApiError::field("from", "is required"))?;
    let span = Span {
        from: from.0,
        to: input.to.map_or(change.now.plus_seconds(1), |to| to.0),
        with_delivered: input.delivered.unwrap_or(false),
    };
    let mut after = match input.cursor.as_deref() {
        Some(text) => read_cursor(text)
            .ok_or_else(|| ApiError::field("cursor", "is no nextCursor of an answer"))?,
        None => (0, String::new()),
    };
    core.webhooks
        .take_replay(&webhook.account.root)
        .map_err(too_many)?;
    let (mut replayed, mut looked_at) = (0, 0);
    let next_cursor = loop {
        let slice =
            webhook_deliveries::replayable(&core.db, &webhook.id, span, &after, SLICE.into())
                .await?;
        let Some(last) = slice.last().cloned() else {
            break None;
        };
        if looked_at >= MOST {
            break Some(format!("{}_{}", after.0, after.1));
        }
        looked_at += slice.len();
        replayed += replay(&core, &caller, &webhook.id, slice).await?;
        after = last;
    };
    Ok(Json(ReplayResult {
        replayed,
        next_cursor,
    }))
}

/// Where a slice ended: when the event of its last delivery happened, and the delivery.
fn read_cursor(text: &str) -> Option<(i64, String)> {
    let (at, id) = text.split_once('_')?;
    let id: Id<id::Delivery> = Id::parse(id)?;
    Some((at.parse().ok()?, id.to_string()))
}

fn too_many(over: OverBudget) -> ApiError {
    let message = "Too many replays, at most 20 a minute for an account and its children";
    let retry_after = HeaderValue::from(over.retry_after_seconds);
    ApiError::new(ErrorCode::TooManyReplays, message)
        .with_headers([(header::RETRY_AFTER, retry_after)])
}

/// Sends some deliveries again, in a transaction of their own.
async fn replay(
    core: &Core,
    caller: &Caller<WebhooksWrite>,
    webhook: &Id<id::Webhook>,
    slice: Vec<(i64, String)>,
) -> Result<u64, ApiError> {
    let (reach, change) = (caller.reach.clone(), core.change(&caller.actor));
    let id = webhook.clone();
    core.db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let webhook = webhooks::lock(tx, &reach, &id).await?;
                let webhook = webhook.ok_or_else(absent)?;
                let ids = slice.iter().map(|(_, id)| id.as_str());
                Ok(webhook_deliveries::replay_all(tx, &change, &webhook, ids).await?)
            })
        })
        .await
}
