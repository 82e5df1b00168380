//! `GET /projects`.

use axum::extract::State;
use claviger_edge::permission::ProjectsRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::{Page, projects};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::ProjectBody;
use crate::accounts;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Projects to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Projects to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List projects
///
/// Answers the projects of an account that you may see, the oldest first. Use it to find the id
/// of the project that a key is made in.
#[utoipa::path(get, path = "/projects", operation_id = "listProjects", tag = "projects",
    params(Parameters),
    responses(
        (status = 200, description = "The projects.", body = Vec<ProjectBody>),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn list_projects(
    State(core): State<Core>,
    caller: Caller<ProjectsRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<ProjectBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let (found, total) = projects::list(&core.db, &caller.reach, &account, &page).await?;
    Ok(Listed {
        items: found.iter().map(Into::into).collect(),
        total,
    })
}
