//! `PATCH /invitations/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::InvitationsWrite;
use claviger_edge::{ApiError, Body, Caller, Core, PathParameter};
use claviger_store::invitations::{self, Status};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::InvitationBody;
use super::{absent, found, over};
use crate::access_keys::RoleName;
use crate::role_place::{RolePlace, exceeds, read_role};

/// What of an invitation can be changed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InvitationChange {
    /// As what they are asked. Nobody gives more than they hold.
    #[serde(default)]
    #[schema(value_type = Option<RoleName>)]
    role: Option<String>,
}

/// Change an invitation
///
/// Says as what somebody is asked, as long as they have not accepted. The invitation's id comes from
/// listing invitations.
#[utoipa::path(patch, path = "/invitations/{id}", operation_id = "updateInvitation",
    tag = "invitations",
    params(("id" = String, Path, description = "The invitation's id, from listing invitations.",
        example = "inv_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = InvitationChange,
    responses(
        (status = 200, description = "The invitation as it is now.", body = InvitationBody),
        (status = 403, description = "It would exceed who changes it, or does already."),
        (status = 404, description = "No such invitation."),
        (status = 409, description = "It was accepted, taken back, or is over.")))]
pub(crate) async fn update_invitation(
    State(core): State<Core>,
    caller: Caller<InvitationsWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<InvitationChange>,
) -> Result<Json<InvitationBody>, ApiError> {
    let seen = found(&core, &caller.reach, &id).await?;
    let Some(role) = input.role.as_deref() else {
        return InvitationBody::one(&core, &seen, core.now()).await;
    };
    let role = read_role(Some(role))?;
    let place = RolePlace {
        account: seen.account.clone(),
        projects: seen.projects.clone(),
    };
    place.judge(&caller, role)?;
    let (reach, rights) = (caller.reach, caller.rights);
    let change = core.change(&caller.actor);
    let now = change.now;
    let changed = core.db.write::<_, ApiError, _>(move |tx| {
        Box::pin(async move {
            let locked = invitations::lock(tx, &reach, &seen.id).await?;
            let mut invitation = locked.ok_or_else(absent)?;
            if invitation.status_at(now) != Status::Pending {
                return Err(over());
            }
            // What is greater than who changes it is not theirs to make less of.
            if !rights.cover(&invitation.grant()) {
                return Err(exceeds(invitation.role));
            }
            if invitation.role != role {
                invitations::set_role(tx, &change, &mut invitation, role).await?;
            }
            Ok(invitation)
        })
    });
    InvitationBody::one(&core, &changed.await?, now).await
}
