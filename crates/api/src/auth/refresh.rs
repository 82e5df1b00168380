//! `POST /auth/refresh-access-token`.

use axum::extract::State;
use claviger_domain::event::Actor;
use claviger_domain::key_string::PlainKey;
use claviger_edge::{Anyone, ApiError, Body, Core};
use claviger_store::users;
use claviger_verify::Refreshed;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{self, Arrival, SignedInAnswer, TokensBody};

/// A token to exchange.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Refresh {
    /// The refresh token, as signing in or the last exchange answered it.
    #[serde(default)]
    #[schema(required)]
    refresh_token: Option<String>,
    /// The access token that is over; not needed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[expect(dead_code, reason = "older clients send it along")]
    access_token: Option<serde::de::IgnoredAny>,
}

/// Exchange a refresh token for new tokens
///
/// Answers a new pair of tokens. A refresh token works once; the same one within ten seconds gets the
/// same answer, and later it ends the session, since two then have it.
#[utoipa::path(post, path = "/auth/refresh-access-token", operation_id = "refreshAccessToken",
    tag = "auth", request_body = Refresh,
    responses(
        (status = 201, description = "The user, and new tokens.", body = TokensBody),
        (status = 400, description = "`refresh_token` is missing."),
        (status = 401, description = "It is not taken, or not any more."),
        (status = 429, description = "Too many tokens that are none, or too many of one person's.")),
    security(()))]
pub(crate) async fn refresh_access_token(
    State(core): State<Core>,
    _: Anyone,
    arrival: Arrival,
    Body(input): Body<Refresh>,
) -> Result<SignedInAnswer, ApiError> {
    let token = input
        .refresh_token
        .ok_or_else(|| ApiError::field("refresh_token", "is required"))?;
    // Whoever comes with the token of a session that is ended for it may not be its person.
    let change = core.change(&Actor::System);
    let now = change.now;
    let refreshed = core
        .verifier
        .refresh(change, &PlainKey::new(token), arrival.network)
        .await?;
    let Refreshed::Done(tokens, user, until) = refreshed else {
        return Err(ApiError::invalid_sign_in());
    };
    let user = users::find(&core.db, &user).await?;
    let user = user.ok_or_else(ApiError::invalid_sign_in)?;
    Ok(tokens::refreshed(&tokens, &user, until, now))
}
