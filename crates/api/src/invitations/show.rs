//! `GET /invitations/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::InvitationsRead;
use claviger_edge::{ApiError, Caller, Core, PathParameter};

use super::body::InvitationBody;
use super::found;

/// Show an invitation
///
/// Answers an invitation by its id, which comes from listing invitations.
#[utoipa::path(get, path = "/invitations/{id}", operation_id = "showInvitation",
    tag = "invitations",
    params(("id" = String, Path, description = "The invitation's id, from listing invitations.",
        example = "inv_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The invitation.", body = InvitationBody),
        (status = 404, description = "No such invitation.")))]
pub(crate) async fn show_invitation(
    State(core): State<Core>,
    caller: Caller<InvitationsRead>,
    PathParameter(id): PathParameter,
) -> Result<Json<InvitationBody>, ApiError> {
    let invitation = found(&core, &caller.reach, &id).await?;
    InvitationBody::one(&core, &invitation, core.now()).await
}
