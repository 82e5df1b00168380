//! Projects: named sets of API keys.

mod body;
mod create;
mod delete;
mod list;
mod show;
mod update;

use claviger_edge::{ApiError, Core, ErrorCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_projects, create::create_project))
        .routes(routes!(
            show::show_project,
            update::update_project,
            delete::delete_project
        ))
}

/// No such project, or one of another account: the same answer.
pub(crate) fn absent() -> ApiError {
    ApiError::new(ErrorCode::ProjectNotFound, "Project not found")
}
