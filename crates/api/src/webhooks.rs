//! Webhooks: URLs that are told what happens in an account.

mod body;
mod create;
mod delete;
mod deliveries;
mod delivery_body;
mod input;
mod list;
mod ping;
mod replay;
mod replay_span;
mod rotate_secret;
mod show;
mod topics;
mod update;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_edge::{ApiError, Core, ErrorCode, routes};
use claviger_store::webhooks::{self, Webhook};
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_webhooks, create::create_webhook))
        .routes(routes!(topics::list_webhook_topics))
        .routes(routes!(ping::ping_webhook))
        .routes(routes!(
            show::show_webhook,
            update::update_webhook,
            delete::delete_webhook
        ))
        .routes(routes!(rotate_secret::rotate_webhook_secret))
        .routes(routes!(deliveries::list_webhook_deliveries))
        .routes(routes!(replay_span::replay_webhook_deliveries))
        .routes(routes!(replay::replay_webhook_delivery))
}

/// The webhook that a path names.
async fn found(core: &Core, reach: &Reach, text: &str) -> Result<Webhook, ApiError> {
    let id: Id<id::Webhook> = Id::parse(text).ok_or_else(absent)?;
    let found = webhooks::find(&core.db, reach, &id).await?;
    found.ok_or_else(absent)
}

/// No such webhook, or one of another account: the same answer.
fn absent() -> ApiError {
    ApiError::new(ErrorCode::WebhookNotFound, "Webhook not found")
}
