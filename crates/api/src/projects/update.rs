//! `PATCH /projects/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::ProjectsWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, PathParameter};
use claviger_store::projects;
use serde::Deserialize;
use utoipa::ToSchema;

use super::absent;
use super::body::ProjectBody;
use crate::wire::name_of;

/// What of a project can be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectChange {
    /// The project's name: 1 to 255 characters.
    #[serde(default)]
    #[schema(example = "Weather API")]
    name: Option<String>,
    /// `hashed`; other ways of keeping keys are not configured here.
    #[serde(default)]
    #[schema(ignore)]
    key_storage: Option<String>,
}

/// Change a project
///
/// Renames a project. Its keys keep working.
#[utoipa::path(patch, path = "/projects/{id}", operation_id = "updateProject", tag = "projects",
    params(("id" = String, Path, description = "The project's id, from listing projects.",
        example = "prj_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = ProjectChange,
    responses(
        (status = 200, description = "The project as it is now.", body = ProjectBody),
        (status = 404, description = "No such project.")))]
pub(crate) async fn update_project(
    State(core): State<Core>,
    caller: Caller<ProjectsWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<ProjectChange>,
) -> Result<Json<ProjectBody>, ApiError> {
    if input.key_storage.is_some_and(|storage| storage != "hashed") {
        let message = "Keys that can be read back are not configured on this instance";
        return Err(ApiError::new(ErrorCode::NotConfigured, message));
    }
    let id = Id::parse(&id).ok_or_else(absent)?;
    let found = projects::find(&core.db, &caller.reach, &id)
        .await?
        .ok_or_else(absent)?;
    let Some(name) = input.name else {
        return Ok(Json((&found).into()));
    };
    let name = name_of(Some(&name))?.to_owned();
    if name == found.name {
        return Ok(Json((&found).into()));
    }
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let renamed = core
        .verifier
        .change_project(move |tx| {
            Box::pin(async move { projects::rename(tx, &change, &reach, &id, &name).await })
        })
        .await?;
    let project = renamed.ok_or_else(absent)?;
    Ok(Json((&project).into()))
}
