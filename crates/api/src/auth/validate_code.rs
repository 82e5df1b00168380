//! `POST /auth/validate-login-code`.

use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::time::Timestamp;
use claviger_edge::{Anyone, ApiError, Body, Core, ErrorCode};
use claviger_store::one_time_codes::{self, CodePurpose, Tried};
use claviger_store::sessions::{self, Begun, Ended, Pair};
use claviger_store::users::{self, User};
use claviger_store::{Change, StoreError, Tx};
use claviger_verify::Tokens;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{self, Arrival, SignedInAnswer, TokensBody};
use crate::mailed::{SIGN_IN, digest_of};

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
    // A link's token says itself for whom it is, whatever is sent along.
    let email = input.email.as_deref();
    let email = email.filter(|_| !given.starts_with(SIGN_IN));
    let email = email.map(|email| tokens::email(Some(email))).transpose()?;
    let (tokens, user) = sign_in_by_code(&core, arrival, email, &given).await?;
    Ok(tokens::signed_in(&tokens, &user))
}

/// Begins a session of whoever has that address and was mailed those digits; or, without it, of whoever
/// was mailed that token.
pub(crate) async fn sign_in_by_code(
    core: &Core,
    arrival: Arrival,
    email: Option<Email>,
    given: &str,
) -> Result<(Tokens, User), ApiError> {
    let attempt = core.verifier.attempt_sign_in(arrival.network)?;
    let (email, given) = match email {
        Some(email) => {
            let digest = digest_of(core, &email, given.trim());
            (email, Given::Digits(digest))
        }
        None => by_token(core, &arrival, given).await?,
    };
    let found = users::find_by_email(&core.db, &email).await?;
    let user = found.map(|(user, _)| user.id);
    let address = email.clone();
    let (tokens, begun) = (core.verifier.draw_tokens(), arrival.begun);
    let pair = tokens.pair.clone();
    let tried = if let Some(user) = user {
        let change = core.change(&Actor::User(user.clone()));
        let whose = user.clone();
        let signed_in = core
            .verifier
            .change_person::<_, StoreError, _>(whose, move |tx| {
                Box::pin(async move {
                    let tried = given.try_for(tx, &email, change.now).await?;
                    if tried != Tried::Right {
                        return Ok(Err(tried));
                    }
                    let user = let_in(tx, &change, &user, &begun, &pair).await?;
                    Ok(user.ok_or(Tried::Wrong))
                })
            });
        signed_in.await?
    } else {
        let now = core.now();
        let tried = core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { given.try_for(tx, &email, now).await })
        });
        // Nobody signed up with the address, so that what is right for it lets nobody in.
        Err(tried.await?)
    };
    match tried {
        Ok(user) => {
            core.verifier.succeeded(attempt);
            core.verifier.note_signed_in(&address, arrival.network);
            Ok((tokens, user))
        }
        Err(Tried::Right | Tried::Wrong) => Err(ApiError::invalid_sign_in()),
        Err(Tried::TooMany(until)) => {
            let message = "Too many codes were tried for this address, try again later";
            let micros = until.micros_since(core.now()).max(0).unsigned_abs();
            Err(ApiError::new(ErrorCode::TooManyAttempts, message)
                .with_retry_after(micros.div_ceil(1_000_000)))
        }
    }
}

/// What is stored of a code that was given.
enum Given {
    Digits(KeyDigest),
    Token(KeyDigest),
}

impl Given {
    /// Tries it for an address; one that is right is used up.
    async fn try_for(
        self,
        tx: &mut Tx,
        email: &Email,
        now: Timestamp,
    ) -> Result<Tried, StoreError> {
        match self {
            Self::Digits(digest) => one_time_codes::try_digits(tx, email, &digest, now).await,
            Self::Token(digest) => {
                let purpose = CodePurpose::SignIn;
                let used = one_time_codes::use_token(tx, purpose, &digest, now).await?;
                Ok(used.map_or(Tried::Wrong, |_| Tried::Right))
            }
        }
    }
}

/// Begins a session of somebody whose code is used up, all or nothing.
async fn let_in(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::User>,
    begun: &Begun,
    pair: &Pair,
) -> Result<Option<User>, StoreError> {
    users::hold(tx, id).await?;
    verify(tx, change, id).await?;
    sessions::begin(tx, change, id, begun, pair).await?;
    users::hold(tx, id).await
}

/// Notes that mail to somebody's address reaches whoever is there now. Whoever signed up with the address,
/// and chose a password, may be somebody else.
pub(crate) async fn verify(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::User>,
) -> Result<(), StoreError> {
    if users::verify_email(tx, change, id).await? {
        users::clear_password(tx, change, id).await?;
        sessions::end(tx, change, id, Ended::All, "verified").await?;
    }
    Ok(())
}

async fn by_token(core: &Core, arrival: &Arrival, token: &str) -> Result<(Email, Given), ApiError> {
    let digest = core.verifier.digest(token);
    let (now, purpose) = (core.now(), CodePurpose::SignIn);
    // Looked for first: guesses of tokens have a budget, and take no turn of a change.
    let known = core
        .verifier
        .look_for_one_time(arrival.network, async || {
            one_time_codes::address_of(&core.db, purpose, &digest, now).await
        })
        .await?;
    let email = known.ok_or_else(ApiError::invalid_sign_in)?;
    Ok((email, Given::Token(digest)))
}
