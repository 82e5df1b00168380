//! `POST /auth/password-reset`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::Actor;
use claviger_domain::password::check_password;
use claviger_edge::{Anyone, ApiError, Body, Core};
use claviger_store::one_time_codes::{self, CodePurpose};
use claviger_store::sessions::{self, Ended};
use claviger_store::users;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::tokens::{self, Arrival, Password};
use crate::mailed::mail_code;

/// Whom to mail a link; or the token of one, with a new password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PasswordReset {
    /// The address: alone, it is mailed a link.
    #[serde(default)]
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// The token of the mailed link.
    #[serde(default)]
    token: Option<String>,
    /// The new password: 8 characters or more.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    new_password: Option<Password>,
}

/// Reset a password
///
/// With `email`, mails a link to that address; the answer is the same where nobody signed up with it.
/// With `token` and `newPassword`, gives whoever the link was mailed to that password, and ends all
/// their sessions. A link is good once, for ten minutes.
#[utoipa::path(post, path = "/auth/password-reset", operation_id = "resetPassword", tag = "auth",
    request_body = PasswordReset,
    responses(
        (status = 201, description = "The link is mailed, or the password is another.",
            body = Object),
        (status = 400, description = "A member is missing, or not taken as a password."),
        (status = 401, description = "The token is none, or not any more."),
        (status = 429, description = "Too many were asked for, from there or for this address."),
        (status = 503, description = "Too many others sign in at this moment.")),
    security(()))]
pub(crate) async fn reset_password(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    Body(input): Body<PasswordReset>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    if let Some(token) = &input.token {
        let password = input.new_password.as_ref();
        let password = password.ok_or_else(|| ApiError::field("newPassword", "is required"))?;
        set(&core, &arrival, token, password).await?;
    } else {
        let email = tokens::email(input.email.as_deref())?;
        let _counted =
            core.verifier
                .attempt_mail(CodePurpose::Password, &email, arrival.network)?;
        let change = core.change(&Actor::System);
        mail_code(&core, change, email, CodePurpose::Password).await?;
    }
    Ok((StatusCode::CREATED, Json(json!({}))))
}

/// Gives whoever the link was mailed to another password.
pub(crate) async fn set(
    core: &Core,
    arrival: &Arrival,
    token: &str,
    Password(password): &Password,
) -> Result<(), ApiError> {
    let digest = core.verifier.digest(token);
    let (now, purpose) = (core.now(), CodePurpose::Password);
    let email = core
        .verifier
        .look_for_one_time(arrival.network, async || {
            one_time_codes::address_of(&core.db, purpose, &digest, now).await
        })
        .await?;
    let email = email.ok_or_else(ApiError::invalid_sign_in)?;
    // Before the token is used up.
    check_password(password.expose_secret(), email.as_str())
        .map_err(|fault| ApiError::field("newPassword", fault.to_string()))?;
    let found = users::find_by_email(&core.db, &email).await?;
    let (user, _) = found.ok_or_else(ApiError::invalid_sign_in)?;
    let queued = core.people.passwords.queue()?;
    // A token that is good is so until it is used: what it costs to try it has a budget all the same.
    let attempt = core.verifier.attempt_sign_in(arrival.network)?;
    let hash = queued.digest(password.clone(), &*core.random).await?;
    let change = core.change(&Actor::User(user.id.clone()));
    core.verifier
        .change_person::<_, ApiError, _>(user.id.clone(), move |tx| {
            Box::pin(async move {
                let address = one_time_codes::use_token(tx, purpose, &digest, change.now).await?;
                address.ok_or_else(ApiError::invalid_sign_in)?;
                users::set_password(tx, &change, &user.id, &hash).await?;
                users::verify_email(tx, &change, &user.id).await?;
                Ok(sessions::end(tx, &change, &user.id, Ended::All, "password").await?)
            })
        })
        .await?;
    core.verifier.succeeded(attempt);
    Ok(())
}
