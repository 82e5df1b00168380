//! `POST /projects`.

use axum::Json;
use axum::extract::State;
use claviger_domain::key_string::Environment;
use claviger_edge::permission::ProjectsWrite;
use claviger_edge::{ApiError, Body, Caller, Core};
use claviger_store::{accounts, projects};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::ProjectBody;
use crate::wire::{EnvironmentName, name_of};

/// A project to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewProject {
    /// The project's name: 1 to 255 characters.
    #[serde(default)]
    #[schema(required, example = "Weather API")]
    name: Option<String>,
    /// The account: an id from listing accounts. The caller's own when it is not given.
    #[serde(default)]
    account_id: Option<String>,
    /// Whether its keys are for production; `live` when it is not given.
    #[serde(default)]
    env: Option<EnvironmentName>,
}

/// Create a project
///
/// Makes a project in an account; its id is what keys are made with. Send an `Idempotency-Key`
/// header to be safe to repeat.
#[utoipa::path(post, path = "/projects", operation_id = "createProject", tag = "projects",
    request_body = NewProject,
    responses(
        (status = 201, description = "The project.", body = ProjectBody),
        (status = 404, description = "No such account.")))]
pub(crate) async fn create_project(
    State(core): State<Core>,
    caller: Caller<ProjectsWrite>,
    Body(input): Body<NewProject>,
) -> Result<(StatusCode, Json<ProjectBody>), ApiError> {
    let name = name_of(input.name.as_deref())?.to_owned();
    let environment = input.env.map_or(Environment::Live, Into::into);
    let id = caller.account_or_own(input.account_id.as_deref())?;
    let account = accounts::find(&core.db, &caller.reach, &id)
        .await?
        .filter(|account| caller.reach.reaches_account(&account.reference()))
        .ok_or_else(crate::accounts::absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let created = core
        .verifier
        .change_project(move |tx| {
            Box::pin(async move {
                if !accounts::hold(tx, &reach, &account.id).await? {
                    return Ok(None);
                }
                projects::create(tx, &change, &account, &name, environment)
                    .await
                    .map(Some)
            })
        })
        .await?;
    let project = created.ok_or_else(crate::accounts::absent)?;
    Ok((StatusCode::CREATED, Json((&project).into())))
}
