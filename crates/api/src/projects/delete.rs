//! `DELETE /projects/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::ProjectsDelete;
use claviger_edge::{ApiError, Caller, Core, PathParameter};

use super::absent;
use super::body::ProjectBody;

/// Delete a project
///
/// Removes a project with all its keys, at once: no check accepts them any more. It cannot be
/// undone through this API. Answers the project that was removed.
#[utoipa::path(delete, path = "/projects/{id}", operation_id = "deleteProject", tag = "projects",
    params(("id" = String, Path, description = "The project's id, from listing projects.",
        example = "prj_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The project that was removed.", body = ProjectBody),
        (status = 404, description = "No such project.")))]
pub(crate) async fn delete_project(
    State(core): State<Core>,
    caller: Caller<ProjectsDelete>,
    PathParameter(id): PathParameter,
) -> Result<Json<ProjectBody>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let change = core.change(&caller.actor);
    let deleted = core
        .verifier
        .delete_project(change, caller.reach, id)
        .await?;
    let project = deleted.ok_or_else(absent)?;
    Ok(Json((&project).into()))
}
