//! `PATCH /projects/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_domain::key_storage::KeyStorage;
use claviger_edge::permission::ProjectsWrite;
use claviger_edge::{ApiError, Body, Caller, Core, PathParameter};
use claviger_store::projects::{self, Edit};
use serde::Deserialize;
use utoipa::ToSchema;

use super::absent;
use super::body::{KeyStorageName, ProjectBody};
use crate::wire::name_of;

/// What of a project can be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectChange {
    /// The project's name: 1 to 255 characters.
    #[serde(default)]
    #[schema(example = "Weather API")]
    name: Option<String>,
    /// `recoverable`: keys that are made from then on are kept sealed, and can be read back by access
    /// keys that are granted that. `hashed`: only digests are kept; what could be read back is erased,
    /// for good, and so are the grants. No access key changes it, whatever its role: an owner does who is
    /// signed in, or the operator.
    #[serde(default)]
    key_storage: Option<KeyStorageName>,
}

/// Change a project
///
/// Renames a project, or says whether its keys can be read back. Its keys keep working. The project's
/// id comes from listing projects.
#[utoipa::path(patch, path = "/projects/{id}", operation_id = "updateProject", tag = "projects",
    params(("id" = String, Path, description = "The project's id, from listing projects.",
        example = "prj_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = ProjectChange,
    responses(
        (status = 200, description = "The project as it is now.", body = ProjectBody),
        (status = 403, description = "The storage of keys is not for access keys to change."),
        (status = 404, description = "No such project.")))]
pub(crate) async fn update_project(
    State(core): State<Core>,
    caller: Caller<ProjectsWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<ProjectChange>,
) -> Result<Json<ProjectBody>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let found = projects::find(&core.db, &caller.reach, &id)
        .await?
        .ok_or_else(absent)?;
    let name = input.name.as_deref().map(|name| name_of(Some(name)));
    let name = name.transpose()?.filter(|name| *name != found.name);
    let storage = input.key_storage.map(KeyStorage::from);
    let edit = Edit {
        name: name.map(str::to_owned),
        key_storage: storage.filter(|storage| *storage != found.key_storage),
    };
    if edit == Edit::default() {
        return Ok(Json((&found).into()));
    }
    if edit.key_storage.is_some() {
        let account = found.account();
        caller.identity.must_open_keys_of(&account, core.now())?;
    }
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let updated = core
        .verifier
        .change_project(move |tx| {
            Box::pin(async move { projects::update(tx, &change, &reach, &id, &edit).await })
        })
        .await?;
    let project = updated.ok_or_else(absent)?;
    Ok(Json((&project).into()))
}
