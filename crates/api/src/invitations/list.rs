//! `GET /invitations`.

use axum::extract::State;
use claviger_edge::permission::InvitationsRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::Page;
use claviger_store::invitations::{self, Filter, Status};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::InvitationBody;
use crate::{accounts, projects};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only invitations for this project: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Only those that are `pending`, `accepted`, `cancelled` or `expired`.
    #[param(example = "pending")]
    status: Option<String>,
    /// Invitations to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Invitations to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List invitations
///
/// Answers who was asked into an account, the oldest invitation first, and what became of it.
#[utoipa::path(get, path = "/invitations", operation_id = "listInvitations", tag = "invitations",
    params(Parameters),
    responses(
        (status = 200, description = "The invitations.", body = Vec<InvitationBody>),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn list_invitations(
    State(core): State<Core>,
    caller: Caller<InvitationsRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<InvitationBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let project = projects::named(&core, &caller.reach, parameters.project_id.as_deref()).await?;
    let status = parameters.status.as_deref().map(|text| {
        Status::parse(text).ok_or_else(|| {
            let accepted: Vec<_> = Status::ALL.iter().map(|one| one.as_str()).collect();
            ApiError::field("status", format!("must be one of {}", accepted.join(", ")))
        })
    });
    let filter = Filter {
        account,
        project,
        status: status.transpose()?,
    };
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let now = core.now();
    let (found, total) = invitations::list(&core.db, &caller.reach, &filter, &page, now).await?;
    Ok(Listed {
        items: InvitationBody::all(&core, &found, now).await?,
        total,
    })
}
