//! `GET /invitations/{id}/info`.

use axum::Json;
use axum::extract::State;
use claviger_domain::rights::Reach;
use claviger_edge::{Anyone, ApiError, Core, PathParameter};
use serde::Serialize;
use utoipa::ToSchema;

use super::maker::names_of;
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
    let (account, projects) = (&invitation.account.id, invitation.projects.as_ref());
    let names = names_of(&core, account, projects).await?;
    Ok(Json(InvitationInfo {
        id: invitation.id.to_string(),
        account_name: names.account.ok_or_else(absent)?,
        project_names: names.projects,
        role: invitation.role.as_str(),
        email: invitation.email.masked(),
        status: invitation.status_at(core.now()).as_str(),
    }))
}
