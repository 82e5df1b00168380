//! Notifications: what the people of an account are told.

mod body;
mod list;
mod update;

use claviger_edge::Core;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_notifications))
        .routes(routes!(update::update_notification))
}
