//! Projects: named sets of API keys.

mod body;
mod create;
mod delete;
mod list;
mod reveal_grants;
mod show;
mod update;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_edge::{ApiError, Core, ErrorCode, routes};
use claviger_store::projects;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::body::ProjectBody;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_projects, create::create_project))
        .routes(routes!(
            show::show_project,
            update::update_project,
            delete::delete_project
        ))
        .merge(reveal_grants::routes())
}

/// The project that a filter names: one that the caller does not reach is as absent here as in a
/// path.
pub(crate) async fn named(
    core: &Core,
    reach: &Reach,
    text: Option<&str>,
) -> Result<Option<Id<id::Project>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let id = Id::parse(text).ok_or_else(absent)?;
    let found = projects::find(&core.db, reach, &id).await?;
    found.map(|project| Some(project.id)).ok_or_else(absent)
}

/// No such project, or one of another account: the same answer.
pub(crate) fn absent() -> ApiError {
    ApiError::new(ErrorCode::ProjectNotFound, "Project not found")
}
