//! `DELETE /invitations/{id}`.

use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::InvitationsWrite;
use claviger_edge::{ApiError, Caller, Core, PathParameter};
use claviger_store::invitations::{self, Status};
use http::StatusCode;

use super::{absent, over};
use crate::role_place::exceeds;

/// Take an invitation back
///
/// Whoever was asked can accept no more. The invitation's id comes from listing invitations.
#[utoipa::path(delete, path = "/invitations/{id}", operation_id = "cancelInvitation",
    tag = "invitations",
    params(("id" = String, Path, description = "The invitation's id, from listing invitations.",
        example = "inv_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It is taken back."),
        (status = 403, description = "It gives more than who would take it back holds."),
        (status = 404, description = "No such invitation."),
        (status = 409, description = "It was accepted.")))]
pub(crate) async fn cancel_invitation(
    State(core): State<Core>,
    caller: Caller<InvitationsWrite>,
    PathParameter(id): PathParameter,
) -> Result<StatusCode, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, rights) = (caller.reach, caller.rights);
    let change = core.change(&caller.actor);
    let cancelled = core.db.write::<_, ApiError, _>(move |tx| {
        Box::pin(async move {
            let locked = invitations::lock(tx, &reach, &id).await?;
            let mut invitation = locked.ok_or_else(absent)?;
            match invitation.status_at(change.now) {
                // What is greater than who takes it back is not theirs to take back.
                Status::Pending if !rights.cover(&invitation.grant()) => {
                    return Err(exceeds(invitation.role));
                }
                Status::Pending => invitations::cancel(tx, &change, &mut invitation).await?,
                Status::Accepted => return Err(over()),
                Status::Cancelled | Status::Expired => {}
            }
            Ok(())
        })
    });
    cancelled.await?;
    Ok(StatusCode::NO_CONTENT)
}
