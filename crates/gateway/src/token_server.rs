//! Where the tokens of a consent are fetched, and as whom: for a code, or for what was given with the token
//! before.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use claviger_domain::id::{self, Id};
use claviger_domain::time::{Clock, Timestamp};
use claviger_outbound::{Asking, Target, Upstreams};
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::connector::file::ClientAuthentication;
use crate::grant::Grant;
use crate::request::IN_SEGMENT;
use crate::tokens::{NoToken, refusal};

/// How long a server has for its answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds before its end from which a token is not used any more, where it lives so long.
const MARGIN: i64 = 60;
/// The shortest and the longest life that is believed, in seconds: each call would have another one fetched.
const SHORTEST_LIFE: i64 = 30;
const LONGEST_LIFE: i64 = 10 * 366 * 86_400;
/// Bytes of a token, at most: it is stored, and sent with each call.
const LARGEST: usize = 16 * 1_024;

/// As whom an account asks, opened.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The account that registered it: the asking one, or the one above it.
    pub(crate) account: Id<id::Account>,
    pub(crate) id: String,
    /// None: it shows by its verifiers alone that it is the one that asked.
    pub(crate) secret: Option<SecretString>,
}

/// What a token is asked for with.
pub(crate) enum With<'a> {
    /// The code that came of a consent, with what shows that it was asked for here (RFC 7636).
    Code {
        code: &'a str,
        verifier: &'a str,
        redirect_uri: &'a str,
    },
    /// What was given with the token before.
    Refresh(&'a SecretString),
}

/// Where a token is asked for, and as whom.
pub(crate) struct TokenServer {
    pub(crate) target: Target,
    pub(crate) client: Client,
    pub(crate) authentication: ClientAuthentication,
}

impl TokenServer {
    /// Asks for a token.
    pub(crate) async fn ask(
        &self,
        upstreams: &Upstreams,
        with: With<'_>,
        clock: &dyn Clock,
    ) -> Result<Grant, NoToken> {
        let asking = self.asking(&with).ok_or(NoToken::Refused)?;
        let told = tokio::time::timeout(PATIENCE, upstreams.ask(asking, clock.now())).await;
        let told = told
            .map_err(|_| NoToken::TooSlow)?
            .map_err(|_| NoToken::NotNow)?;
        if let Some(why) = refusal(&told) {
            return Err(why);
        }
        let answer: Answer = serde_json::from_slice(&told.body).map_err(|_| NoToken::NotNow)?;
        let mut grant = answer.read(clock.now())?;
        if let (None, With::Refresh(before)) = (&grant.refresh, with) {
            // It stays good where no other is given.
            grant.refresh = Some(before.clone());
        }
        Ok(grant)
    }

    fn asking(&self, with: &With<'_>) -> Option<Asking> {
        let mut headers = HeaderMap::from_iter([
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let mut members = match with {
            With::Code {
                code,
                verifier,
                redirect_uri,
            } => vec![
                ("grant_type", "authorization_code"),
                ("code", *code),
                ("redirect_uri", *redirect_uri),
                ("code_verifier", *verifier),
            ],
            With::Refresh(token) => vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose_secret()),
            ],
        };
        let (id, secret) = (&self.client.id, self.client.secret.as_ref());
        match (secret, self.authentication) {
            (Some(secret), ClientAuthentication::Basic) => {
                let pair = [id.as_str(), secret.expose_secret()].map(encoded).join(":");
                let basic = format!("Basic {}", STANDARD.encode(pair));
                let mut basic = HeaderValue::try_from(basic).ok()?;
                basic.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, basic);
            }
            (secret, _) => {
                members.push(("client_id", id));
                let secret = secret.map(ExposeSecret::expose_secret);
                members.extend(secret.map(|secret| ("client_secret", secret)));
            }
        }
        Some(Asking {
            method: Method::POST,
            target: self.target.clone(),
            headers,
            body: Bytes::from(form(&members)),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
}

impl Answer {
    fn read(self, now: Timestamp) -> Result<Grant, NoToken> {
        let is_usable = |token: &String| (1..=LARGEST).contains(&token.len());
        let refresh = self.refresh_token.filter(|token| !token.is_empty());
        let are_usable = is_usable(&self.access_token) && refresh.as_ref().is_none_or(is_usable);
        if !are_usable || !self.token_type.eq_ignore_ascii_case("bearer") {
            return Err(NoToken::NotNow);
        }
        // Some write the number as a text.
        let life = self.expires_in.and_then(|life| match life {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        });
        let until = life.map(|life: i64| {
            let life = life.clamp(SHORTEST_LIFE, LONGEST_LIFE);
            now.plus_seconds(life - MARGIN.min(life / 10))
        });
        Ok(Grant {
            access: Arc::new(self.access_token.into()),
            refresh: refresh.map(Into::into),
            until,
        })
    }
}

/// Members of a form, or of a query.
pub(crate) fn form(members: &[(&str, &str)]) -> String {
    let pairs = members.iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_SEGMENT).to_string()
}
