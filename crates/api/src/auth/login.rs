//! `POST /auth/login`.

use axum::extract::State;
use claviger_domain::event::Actor;
use claviger_domain::password::is_worth_trying;
use claviger_edge::{Anyone, ApiError, Body, Core};
use claviger_store::users::{PasswordHash, User};
use claviger_store::{sessions, users};
use claviger_verify::Tokens;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{self, Arrival, Password, SignedInAnswer, TokensBody};

/// An address and its password.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Login {
    /// The address.
    #[serde(default)]
    #[schema(required, example = "ada@example.com")]
    email: Option<String>,
    /// The password.
    #[serde(default)]
    #[schema(required, value_type = String)]
    password: Option<Password>,
}

/// Sign in with a password
///
/// Answers tokens for an address and its password. Whether it is the address or the password that is
/// wrong is not told, and takes the same time.
#[utoipa::path(post, path = "/auth/login", operation_id = "logIn", tag = "auth",
    request_body = Login,
    responses(
        (status = 201, description = "The user, and tokens.", body = TokensBody),
        (status = 400, description = "A member is missing."),
        (status = 401, description = "They do not go together."),
        (status = 429, description = "Too many attempts, from there or for this address."),
        (status = 503, description = "Too many others sign in at this moment.")),
    security(()))]
pub(crate) async fn log_in(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    Body(input): Body<Login>,
) -> Result<SignedInAnswer, ApiError> {
    let email = tokens::email(input.email.as_deref())?;
    let Password(password) = input
        .password
        .ok_or_else(|| ApiError::field("password", "is required"))?;
    if !is_worth_trying(password.expose_secret()) {
        return Err(ApiError::invalid_sign_in());
    }
    core.verifier.may_sign_in(&email)?;
    let queued = core.people.passwords.queue()?;
    let attempt = core.verifier.attempt_password(&email, arrival.network)?;
    let found = users::find_by_email(&core.db, &email).await?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let matches = queued.verify(password, hash.clone()).await?;
    let user = user.filter(|_| matches);
    let user = user.ok_or_else(ApiError::invalid_sign_in)?;
    core.verifier.count_sign_in(&email)?;
    let from = arrival.network;
    let tokens = begin(&core, &user, hash, arrival).await?;
    core.verifier.succeeded(attempt);
    core.verifier.note_signed_in(&email, from);
    Ok(tokens::signed_in(&tokens, &user))
}

/// Begins a session of somebody whose password was verified, unless it is another one by now: whoever
/// knew the one before is not signed in after it was changed.
async fn begin(
    core: &Core,
    user: &User,
    verified: Option<PasswordHash>,
    arrival: Arrival,
) -> Result<Tokens, ApiError> {
    let change = core.change(&Actor::User(user.id.clone()));
    let tokens = core.verifier.draw_tokens();
    let (pair, begun, id) = (tokens.pair.clone(), arrival.begun, user.id.clone());
    core.verifier
        .change_person::<_, ApiError, _>(user.id.clone(), move |tx| {
            Box::pin(async move {
                if !users::hold_with_password(tx, &id, verified.as_ref()).await? {
                    return Err(ApiError::invalid_sign_in());
                }
                Ok(sessions::begin(tx, &change, &id, &begun, &pair).await?)
            })
        })
        .await?;
    Ok(tokens)
}
