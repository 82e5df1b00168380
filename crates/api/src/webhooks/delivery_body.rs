//! A delivery as answers show it.

use claviger_domain::time::Timestamp;
use claviger_store::webhook_deliveries::{Attempt, Delivery};
use serde::Serialize;
use utoipa::ToSchema;

/// An event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookDelivery)]
pub(crate) struct DeliveryBody {
    /// The delivery's id.
    #[schema(example = "dlv_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// The event's id: what the receiver gets as `webhook-id`, and as `id` in the body.
    #[schema(example = "evt_4f8Q2mXc7ZrT1bVw9KpL")]
    event_id: String,
    /// What happened.
    #[schema(example = "api-key.created")]
    topic: String,
    /// `waiting` to be tried, for the first time or again; `delivered`; `failed` for the last time.
    #[schema(example = "delivered")]
    status: String,
    /// When it is tried next, where it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    /// What each attempt came to, the oldest first; the last 20.
    attempts: Vec<AttemptBody>,
    /// When the event happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookAttempt)]
struct AttemptBody {
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The status of the answer; null when there was none.
    status_code: Option<u16>,
    /// How long it took.
    duration_ms: i64,
    /// Why there was no answer: `blocked`, `unreachable`, `timeout` or `tls`.
    error: Option<String>,
    /// The beginning of the answer's body.
    response_excerpt: Option<String>,
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: Timestamp::from_micros(attempt.at),
            status_code: attempt.status_code,
            duration_ms: attempt.duration_ms,
            error: attempt.error,
            response_excerpt: attempt.excerpt,
        }
    }
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let attempts: Vec<Attempt> = serde_json::from_str(&delivery.attempts).unwrap_or_default();
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            topic: delivery.topic,
            status: delivery.status,
            next_attempt_at: delivery.next_at.map(Timestamp::from_micros),
            attempts: attempts.into_iter().map(Into::into).collect(),
            created_at: Timestamp::from_micros(delivery.created_at),
        }
    }
}
