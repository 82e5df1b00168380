//! `DELETE /projects/{id}/reveal-grants/{grantId}`.

use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::ProjectsWrite;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, PathParameter};
use claviger_store::projects;
use claviger_store::reveal_grants::{self, Ended};
use http::StatusCode;

use super::super::absent;

/// End a grant to read keys back
///
/// From then on the access key is shown the project's keys by their references, at once. The project's
/// id comes from listing projects, the grant's from listing the grants of that. Whoever may write the
/// project may end a grant; only making one is not for access keys.
#[utoipa::path(delete, path = "/projects/{id}/reveal-grants/{grantId}",
    operation_id = "deleteRevealGrant", tag = "projects",
    params(
        ("id" = String, Path, description = "The project's id, from listing projects.",
            example = "prj_4f8Q2mXc7ZrT1bVw9KpL"),
        ("grantId" = String, Path, description = "The grant's id, from listing the grants of the \
            project.", example = "rvg_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It has ended."),
        (status = 404, description = "No such project or grant.")))]
pub(crate) async fn delete_reveal_grant(
    State(core): State<Core>,
    caller: Caller<ProjectsWrite>,
    PathParameter((id, grant)): PathParameter<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let grant = Id::parse(&grant);
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    core.db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let project = projects::hold(tx, &reach, &id).await?.ok_or_else(absent)?;
                let grant = grant.ok_or_else(no_grant)?;
                let which = Ended::One(&project.id, &grant);
                match reveal_grants::end(tx, &change, which).await? {
                    0 => Err(no_grant()),
                    _ => Ok(StatusCode::NO_CONTENT),
                }
            })
        })
        .await
}

fn no_grant() -> ApiError {
    ApiError::new(ErrorCode::RevealGrantNotFound, "Grant not found")
}
