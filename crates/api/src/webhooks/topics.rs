//! `GET /webhooks/topics`.

use axum::Json;
use claviger_domain::webhook::Topic;
use claviger_edge::Caller;
use claviger_edge::permission::WebhooksRead;

/// List webhook topics
///
/// Answers the topics that a webhook can be told of, such as `api-key.created`.
#[utoipa::path(get, path = "/webhooks/topics", operation_id = "listWebhookTopics",
    tag = "webhooks",
    responses((status = 200, description = "The topics.", body = Vec<String>)))]
pub(crate) async fn list_webhook_topics(_: Caller<WebhooksRead>) -> Json<Vec<&'static str>> {
    Json(Topic::ALL.iter().map(|topic| topic.as_str()).collect())
}
