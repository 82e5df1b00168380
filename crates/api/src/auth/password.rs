//! `POST /auth/password`.

use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::password::{check_password, is_worth_trying};
use claviger_edge::{ApiError, Body, Core, SignedIn};
use claviger_store::sessions::{self, Ended};
use claviger_store::users::{self, PasswordHash, User};
use claviger_verify::Attempt;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{Arrival, Password};

/// A password in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PasswordChange {
    /// The password so far. Who has none needs none, but has to have signed in within 15 minutes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    current_password: Option<Password>,
    /// The new one: 8 characters or more.
    #[serde(default)]
    #[schema(required, value_type = String)]
    new_password: Option<Password>,
}

/// Change your password
///
/// Gives the user of the access token another password, and ends all their other sessions.
#[utoipa::path(post, path = "/auth/password", operation_id = "changePassword", tag = "auth",
    request_body = PasswordChange,
    responses(
        (status = 204, description = "It is changed."),
        (status = 400, description = "The new one is not taken as a password."),
        (status = 403, description = "Who has no password has to sign in again first."),
        (status = 429, description = "Too many attempts."),
        (status = 503, description = "Too many others sign in at this moment.")))]
pub(crate) async fn change_password(
    State(core): State<Core>,
    signed_in: SignedIn,
    arrival: Arrival,
    Body(input): Body<PasswordChange>,
) -> Result<StatusCode, ApiError> {
    let user = users::find(&core.db, &signed_in.user).await?;
    let user = user.ok_or_else(ApiError::unauthorized)?;
    let Password(new) = input
        .new_password
        .ok_or_else(|| ApiError::field("newPassword", "is required"))?;
    check_password(new.expose_secret(), &user.email)
        .map_err(|fault| ApiError::field("newPassword", fault.to_string()))?;
    let proof = Proof::take(&core, &user, &signed_in, input.current_password, &arrival).await?;
    let hash = core.people.passwords.queue()?;
    let hash = hash.digest(new, &*core.random).await?;
    let change = core.change(&signed_in.identity.actor);
    let Proof { verified, attempt } = proof;
    let current = signed_in.session;
    core.verifier
        .change_person::<_, ApiError, _>(user.id.clone(), move |tx| {
            Box::pin(async move {
                // Meanwhile a reset may have given them another one, and ended this session.
                if !users::hold_with_password(tx, &user.id, verified.as_ref()).await?
                    || !sessions::is_there(tx, &user.id, &current).await?
                {
                    return Err(ApiError::unauthorized());
                }
                users::set_password(tx, &change, &user.id, &hash).await?;
                let others = Ended::Others(&current);
                Ok(sessions::end(tx, &change, &user.id, others, "password").await?)
            })
        })
        .await?;
    core.verifier.succeeded(attempt);
    Ok(StatusCode::NO_CONTENT)
}

/// That it is they who ask: a token alone, taken from a page, does not take the account over.
struct Proof {
    /// The password that they have, which they know.
    verified: Option<PasswordHash>,
    attempt: Attempt,
}

impl Proof {
    async fn take(
        core: &Core,
        user: &User,
        signed_in: &SignedIn,
        given: Option<Password>,
        arrival: &Arrival,
    ) -> Result<Self, ApiError> {
        let Some(hash) = users::password_of(&core.db, &user.id).await? else {
            // There is none to ask for: whoever has been let in by mail within minutes is they.
            signed_in.identity.must_have_signed_in_lately(core.now())?;
            return Ok(Self {
                verified: None,
                attempt: core.verifier.attempt_sign_in(arrival.network)?,
            });
        };
        let wrong = || ApiError::field("currentPassword", "is not your password");
        let Password(given) = given.ok_or_else(wrong)?;
        let Some(email) = Email::parse(&user.email) else {
            return Err(wrong());
        };
        if !is_worth_trying(given.expose_secret()) {
            return Err(wrong());
        }
        let queued = core.people.passwords.queue()?;
        let attempt = core.verifier.attempt_password(&email, arrival.network)?;
        if !queued.verify(given, Some(hash.clone())).await? {
            return Err(wrong());
        }
        Ok(Self {
            verified: Some(hash),
            attempt,
        })
    }
}
