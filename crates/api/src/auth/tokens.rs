//! The tokens that somebody who signs in gets, and where that comes from.

use axum::Json;
use axum::extract::FromRequestParts;
use claviger_domain::email::Email;
use claviger_domain::plain_text;
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, Core, NoStore, network_of};
use claviger_store::sessions::{ACCESS_SECONDS, Begun};
use claviger_store::users::User;
use claviger_verify::{Network, Tokens};
use http::request::Parts;
use http::{StatusCode, header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::users::UserBody;

/// Characters that are kept of what a program calls itself.
const LONGEST_AGENT: usize = 200;

/// What somebody who is signed in presents from now on.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub(crate) struct TokensBody {
    /// Presented with each request, as `Authorization: Bearer …`.
    #[schema(example = "user_access_…")]
    access_token: String,
    /// Exchanged for another pair when the first is over; works once.
    #[schema(example = "user_refresh_…")]
    refresh_token: String,
    /// Seconds until the access token is over.
    #[schema(example = 900)]
    expires_in: i64,
    /// How the access token is presented.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Who is signed in.
    user: UserBody,
}

/// The answer to whoever signed in.
pub(super) type SignedInAnswer = (StatusCode, NoStore<Json<TokensBody>>);

/// Tells the tokens, for once.
pub(super) fn signed_in(tokens: &Tokens, user: &User) -> SignedInAnswer {
    with_lifetime(tokens, user, ACCESS_SECONDS)
}

/// The same where the access token has been there for some seconds.
pub(super) fn refreshed(
    tokens: &Tokens,
    user: &User,
    until: Timestamp,
    now: Timestamp,
) -> SignedInAnswer {
    with_lifetime(tokens, user, until.micros_since(now).max(0) / 1_000_000)
}

fn with_lifetime(tokens: &Tokens, user: &User, expires_in: i64) -> SignedInAnswer {
    let body = TokensBody {
        access_token: tokens.access.expose().to_owned(),
        refresh_token: tokens.refresh.expose().to_owned(),
        expires_in,
        token_type: "Bearer",
        user: user.into(),
    };
    (StatusCode::CREATED, NoStore(Json(body)))
}

/// Where somebody signs in from.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// For the budgets of those who guess.
    pub(crate) network: Option<Network>,
    /// For the list of sessions.
    pub(super) begun: Begun,
}

impl FromRequestParts<Core> for Arrival {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, core: &Core) -> Result<Self, ApiError> {
        let network = network_of(core, &parts.extensions, &parts.headers);
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let agent = agent.map(|agent| {
            let clean = plain_text::clean(agent).replace(['\n', '\t'], " ");
            clean.chars().take(LONGEST_AGENT).collect()
        });
        Ok(Self {
            network,
            begun: Begun {
                user_agent: agent,
                address: network
                    .and_then(Network::address)
                    .map(|address| address.to_string()),
                shown_at: None,
            },
        })
    }
}

/// Reads the address of somebody who signs in or up.
pub(super) fn email(text: Option<&str>) -> Result<Email, ApiError> {
    let text = text.ok_or_else(|| ApiError::field("email", "is required"))?;
    Email::parse(text)
        .ok_or_else(|| ApiError::field("email", "must be an address such as ada@example.com"))
}

/// A password in a body: wiped when it is done with, and never shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Password(pub(super) SecretString);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}
