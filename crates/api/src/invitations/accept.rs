//! `POST /invitations/{id}/accept`.

use axum::Json;
use axum::extract::State;
use claviger_domain::rights::Reach;
use claviger_edge::{ApiError, Body, Core, PathParameter, SignedIn};
use claviger_store::invitations::{self, Invitation};
use claviger_store::users::{self, User};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{absent, found, of_token};

/// What shows that the mail arrived.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Acceptance {
    /// The token of the invitation, as its link has it. Not needed by who is asked by their own
    /// address, where that is verified.
    #[serde(default)]
    token: Option<String>,
}

/// Accept an invitation
///
/// Gives the user of the access token the role that the invitation names. The id alone gives nothing:
/// its token is needed, or a verified address that is the invitation's.
#[utoipa::path(post, path = "/invitations/{id}/accept", operation_id = "acceptInvitation",
    tag = "invitations",
    params(("id" = String, Path, description = "The invitation's id, from the mail.",
        example = "inv_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = Acceptance,
    responses(
        (status = 201, description = "The role is theirs.", body = Object),
        (status = 404, description = "Nothing that they can accept.")))]
pub(crate) async fn accept_invitation(
    State(core): State<Core>,
    signed_in: SignedIn,
    PathParameter(id): PathParameter,
    Body(input): Body<Acceptance>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let invitation = match &input.token {
        Some(token) => {
            let presented = of_token(&core, signed_in.identity.network, token).await?;
            presented
                .filter(|one| one.id.as_str() == id)
                .ok_or_else(absent)?
        }
        None => found(&core, &Reach::whole(), &id).await?,
    };
    let user = users::find(&core.db, &signed_in.user).await?;
    let user = user.ok_or_else(absent)?;
    let verifies = judge(&user, &invitation, input.token.is_some())?;
    let change = core.change(&signed_in.identity.actor);
    core.verifier
        .change_person::<_, ApiError, _>(user.id.clone(), move |tx| {
            Box::pin(async move {
                if !invitations::accept(tx, &change, &invitation.id, &user.id).await? {
                    return Err(absent());
                }
                if verifies {
                    users::verify_email(tx, &change, &user.id).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}

/// Whether somebody may accept, and whether that shows that mail reaches them.
fn judge(user: &User, invitation: &Invitation, has_token: bool) -> Result<bool, ApiError> {
    let is_theirs = user.email.eq_ignore_ascii_case(invitation.email.folded());
    match (has_token, is_theirs, user.is_verified) {
        (_, true, true) | (true, false, true) => Ok(false),
        (true, true, false) => Ok(true),
        (true, false, false) => {
            // Until then they reach only the account that their sign-up made.
            Err(ApiError::not_verified())
        }
        (false, _, _) => Err(absent()),
    }
}
