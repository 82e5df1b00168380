//! `POST /auth/validate-login-code`.

use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_edge::{Anyone, ApiError, Body, Core, ErrorCode};
use claviger_store::one_time_codes::{self, CodePurpose, Tried};
use claviger_store::sessions::{self, Ended};
use claviger_store::{StoreError, users};
use serde::Deserialize;
use utoipa::ToSchema;

use super::login::begin;
use super::tokens::{self, Arrival, SignedInAnswer, TokensBody};
use crate::mailed::digest_of;

/// A code that was mailed.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LoginCode {
    /// The eight digits, with the address; or the long one of the mailed link, alone.
    #[serde(default)]
    #[schema(required)]
    code: Option<String>,
    /// The address that it was mailed to.
    #[serde(default)]
    #[schema(example = "ada@example.com")]
    email: Option<String>,
}

/// Sign in with a mailed code
///
/// Answers tokens for a code that was mailed, once. That it arrived shows that the address is the
/// user's: the first time, what was signed in before is ended, and the password is gone, since somebody
/// else may have chosen it.
#[utoipa::path(post, path = "/auth/validate-login-code", operation_id = "validateLoginCode",
    tag = "auth", request_body = LoginCode,
    responses(
        (status = 201, description = "The user, and tokens.", body = TokensBody),
        (status = 400, description = "`code` is missing."),
        (status = 401, description = "It is none, or not any more."),
        (status = 429, description = "Too many attempts, from there or for this address.")),
    security(()))]
pub(crate) async fn validate_login_code(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    Body(input): Body<LoginCode>,
) -> Result<SignedInAnswer, ApiError> {
    let given = input
        .code
        .ok_or_else(|| ApiError::field("code", "is required"))?;
    let email = input.email.as_deref();
    let email = email.map(|email| tokens::email(Some(email))).transpose()?;
    let attempt = core.verifier.attempt_sign_in(arrival.network)?;
    let email = match email {
        Some(email) => by_digits(&core, email, given.trim()).await?,
        None => by_token(&core, &arrival, &given).await?,
    };
    let found = users::find_by_email(&core.db, &email).await?;
    let (user, _) = found.ok_or_else(ApiError::invalid_sign_in)?;
    let change = core.change(&Actor::User(user.id.clone()));
    let id = user.id.clone();
    let verified = core
        .verifier
        .change_person::<_, StoreError, _>(id.clone(), move |tx| {
            Box::pin(async move {
                if users::verify_email(tx, &change, &id).await? {
                    // Whoever signed up with the address, and chose a password, may be somebody else.
                    users::clear_password(tx, &change, &id).await?;
                    sessions::end(tx, &change, &id, Ended::All, "verified").await?;
                }
                Ok(())
            })
        });
    verified.await?;
    let tokens = begin(&core, &user, arrival).await?;
    core.verifier.succeeded(attempt);
    let user = users::find(&core.db, &user.id).await?;
    let user = user.ok_or_else(ApiError::invalid_sign_in)?;
    Ok(tokens::signed_in(&tokens, &user))
}

async fn by_digits(core: &Core, email: Email, digits: &str) -> Result<Email, ApiError> {
    let digest = digest_of(core, &email, digits);
    let (now, sought) = (core.now(), email.clone());
    let tried = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { one_time_codes::try_digits(tx, &sought, &digest, now).await })
    });
    match tried.await? {
        Tried::Right => Ok(email),
        Tried::Wrong => Err(ApiError::invalid_sign_in()),
        Tried::TooMany(until) => {
            let message = "Too many codes were tried for this address, try again later";
            let micros = until.micros_since(now).max(0).unsigned_abs();
            Err(ApiError::new(ErrorCode::TooManyAttempts, message)
                .with_retry_after(micros.div_ceil(1_000_000)))
        }
    }
}

async fn by_token(core: &Core, arrival: &Arrival, token: &str) -> Result<Email, ApiError> {
    let digest = core.verifier.digest(token);
    let (now, purpose) = (core.now(), CodePurpose::SignIn);
    // Looked for first: guesses of tokens have a budget, and take no turn of a change.
    let known = core
        .verifier
        .look_for_one_time(arrival.network, async || {
            one_time_codes::address_of(&core.db, purpose, &digest, now).await
        })
        .await?;
    known.ok_or_else(ApiError::invalid_sign_in)?;
    let used = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { one_time_codes::use_token(tx, purpose, &digest, now).await })
    });
    used.await?.ok_or_else(ApiError::invalid_sign_in)
}
