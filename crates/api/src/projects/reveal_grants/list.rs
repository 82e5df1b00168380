//! `GET /projects/{id}/reveal-grants`.

use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::AuditRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, PathParameter, Query};
use claviger_store::{Page, projects, reveal_grants};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::absent;
use super::body::RevealGrantBody;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Grants to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Grants to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List who may read keys back
///
/// Answers the grants of a project that have not ended, the oldest first: which access keys are shown
/// its keys in full, until when, and who granted it. The project's id comes from listing projects. It
/// needs the role owner or admin on the account.
#[utoipa::path(get, path = "/projects/{id}/reveal-grants", operation_id = "listRevealGrants",
    tag = "projects",
    params(("id" = String, Path, description = "The project's id, from listing projects.",
        example = "prj_4f8Q2mXc7ZrT1bVw9KpL"), Parameters),
    responses(
        (status = 200, description = "The grants.", body = Vec<RevealGrantBody>),
        (status = 404, description = "No such project.")))]
pub(crate) async fn list_reveal_grants(
    State(core): State<Core>,
    caller: Caller<AuditRead>,
    PathParameter(id): PathParameter,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<RevealGrantBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let id = Id::parse(&id).ok_or_else(absent)?;
    let project = projects::find(&core.db, &caller.reach, &id)
        .await?
        .ok_or_else(absent)?;
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let listed = reveal_grants::list(&core.db, &project.id, &page, core.now());
    let (grants, total) = listed.await?;
    Ok(Listed {
        items: grants.iter().map(Into::into).collect(),
        total,
    })
}
