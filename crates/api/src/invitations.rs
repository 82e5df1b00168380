//! Invitations: that somebody is asked into an account.

mod accept;
mod account_user;
mod body;
mod cancel;
mod create;
mod info;
mod list;
mod maker;
mod show;
mod update;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_edge::{ApiError, Core, ErrorCode, routes};
use claviger_store::invitations::{self, Invitation};
use claviger_verify::Network;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::body::InvitationBody;
pub(crate) use self::maker::{Drawn, Names, inviter, names_of, shows_link};

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_invitations, create::create_invitation))
        .routes(routes!(
            show::show_invitation,
            update::update_invitation,
            cancel::cancel_invitation
        ))
        .routes(routes!(accept::accept_invitation))
        .routes(routes!(account_user::create_account_user))
        .routes(routes!(info::show_invitation_info))
}

/// The invitation that a path names.
async fn found(core: &Core, reach: &Reach, text: &str) -> Result<Invitation, ApiError> {
    let id: Id<id::Invitation> = Id::parse(text).ok_or_else(absent)?;
    let found = invitations::find(&core.db, reach, &id).await?;
    found.ok_or_else(absent)
}

/// The invitation that a token is of. Who presents those of none is told to come later, by their network.
pub(crate) async fn of_token(
    core: &Core,
    from: Option<Network>,
    token: &str,
) -> Result<Option<Invitation>, ApiError> {
    let digest = core.verifier.digest(token);
    let found = core.verifier.look_for_one_time(from, async || {
        invitations::find_by_token(&core.db, &digest).await
    });
    Ok(found.await?)
}

/// No such invitation, or one that the caller may not see or accept: the same answer.
fn absent() -> ApiError {
    ApiError::new(ErrorCode::InvitationNotFound, "Invitation not found")
}

/// It was accepted, taken back, or is over.
fn over() -> ApiError {
    let message = "The invitation was accepted, taken back, or is over";
    ApiError::new(ErrorCode::InvitationOver, message)
}
