//! `POST /auth/password`.

use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::password::{check_password, is_worth_trying};
use claviger_edge::{ApiError, Body, Core, SignedIn};
use claviger_store::StoreError;
use claviger_store::sessions::{self, Ended};
use claviger_store::users::{self, User};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{Arrival, Password};

/// A password in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PasswordChange {
    /// The password so far; not needed by who has none.
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
    check_current(&core, &user, input.current_password, &arrival).await?;
    let hash = core.people.passwords.queue()?;
    let hash = hash.digest(new, &*core.random).await?;
    let change = core.change(&signed_in.identity.actor);
    let current = signed_in.session;
    core.verifier
        .change_person::<_, StoreError, _>(user.id.clone(), move |tx| {
            Box::pin(async move {
                users::set_password(tx, &change, &user.id, &hash).await?;
                sessions::end(tx, &change, &user.id, Ended::Others(&current), "password").await
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether they know the password that they have: a token alone, taken from a page, does not take the
/// account over.
async fn check_current(
    core: &Core,
    user: &User,
    given: Option<Password>,
    arrival: &Arrival,
) -> Result<(), ApiError> {
    let hash = users::password_of(&core.db, &user.id).await?;
    if hash.is_none() {
        return Ok(());
    }
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
    if !queued.verify(given, hash).await? {
        return Err(wrong());
    }
    core.verifier.succeeded(attempt);
    Ok(())
}
