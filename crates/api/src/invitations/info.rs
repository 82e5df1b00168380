//! `GET /invitations/{id}/info`.

use axum::Json;
use axum::extract::State;
use claviger_domain::rights::Reach;
use claviger_edge::{Anyone, ApiError, Core, PathParameter};
use claviger_store::{accounts, projects};
use serde::Serialize;
use utoipa::ToSchema;

use super::{absent, found};

/// What the page shows on which somebody accepts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvitationInfo {
    /// The invitation's id.
    id: String,
    /// The account that they are asked into.
    account_name: String,
    /// The projects that they are asked for; none where it is all of the account.
    project_names: Vec<String>,
    /// As what.
    #[schema(example = "developer")]
    role: &'static str,
    /// Who is asked, masked.
    #[schema(example = "a***@example.com")]
    email: String,
    /// `pending`, `accepted`, `cancelled` or `expired`.
    #[schema(example = "pending")]
    status: &'static str,
}

/// Show what an invitation is for
///
/// Answers what the page before signing in shows: account, role and the masked address. It needs no
/// credential, and the id opens nothing.
#[utoipa::path(get, path = "/invitations/{id}/info", operation_id = "showInvitationInfo",
    tag = "invitations",
    params(("id" = String, Path, description = "The invitation's id, from the mail.",
        example = "inv_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "What it is for.", body = InvitationInfo),
        (status = 404, description = "No such invitation.")),
    security(()))]
pub(crate) async fn show_invitation_info(
    State(core): State<Core>,
    _: Anyone,
    PathParameter(id): PathParameter,
) -> Result<Json<InvitationInfo>, ApiError> {
    let whole = Reach::whole();
    let invitation = found(&core, &whole, &id).await?;
    let account = accounts::find(&core.db, &whole, &invitation.account.id).await?;
    let mut project_names = Vec::new();
    for id in invitation.projects.iter().flatten() {
        let project = projects::find(&core.db, &whole, id).await?;
        project_names.extend(project.map(|project| project.name));
    }
    Ok(Json(InvitationInfo {
        id: invitation.id.to_string(),
        account_name: account.ok_or_else(absent)?.name,
        project_names,
        role: invitation.role.as_str(),
        email: invitation.email.masked(),
        status: invitation.status_at(core.now()).as_str(),
    }))
}
