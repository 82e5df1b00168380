//! Analytics: how many checks there were, by time, project and key.

mod api_key_totals;
mod body;
mod first_calls;
mod input;
mod order;
mod project_totals;
mod walk;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(project_totals::list_project_totals))
        .routes(routes!(api_key_totals::list_api_key_totals))
        .routes(routes!(first_calls::list_first_calls))
}
