//! `GET /projects/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::ProjectsRead;
use claviger_edge::{ApiError, Caller, Core, PathParameter};
use claviger_store::projects;

use super::absent;
use super::body::ProjectBody;

/// Show a project
///
/// Answers a project by its id, which comes from listing projects.
#[utoipa::path(get, path = "/projects/{id}", operation_id = "showProject", tag = "projects",
    params(("id" = String, Path, description = "The project's id, from listing projects.",
        example = "prj_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The project.", body = ProjectBody),
        (status = 404, description = "No such project.")))]
pub(crate) async fn show_project(
    State(core): State<Core>,
    caller: Caller<ProjectsRead>,
    PathParameter(id): PathParameter,
) -> Result<Json<ProjectBody>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let project = projects::find(&core.db, &caller.reach, &id)
        .await?
        .ok_or_else(absent)?;
    Ok(Json((&project).into()))
}
