//! Notifications: what the people of an account are told.

mod body;
mod list;
mod update;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_notifications))
        .routes(routes!(update::update_notification))
}
