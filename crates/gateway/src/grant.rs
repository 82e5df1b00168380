//! What a user's consent gives (RFC 6749, 4.1): a token, and what another one is fetched with when it ends.
//! Both are sealed with the origins that they are for, as everything is that somebody entered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use claviger_domain::time::{Clock, Timestamp};
use claviger_outbound::{Asking, Target, Upstreams};
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use crate::connect::client::Client;
use crate::connector::file::ClientAuthentication;
use crate::request::IN_SEGMENT;
use crate::tokens::{NoToken, refusal};

/// How long a server has for its answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds before its end from which a token is not used any more, where it lives so long.
const MARGIN: i64 = 60;
/// The longest life that is believed, in seconds.
const LONGEST_LIFE: i64 = 10 * 366 * 86_400;

/// What a consent gave.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) access: Arc<SecretString>,
    /// What another token is fetched with; none: there is no other without another consent.
    pub(crate) refresh: Option<SecretString>,
    /// Until when the token is used; none: as long as it is taken.
    pub(crate) until: Option<Timestamp>,
}

impl Grant {
    /// Whether its token is used at `now`.
    pub(crate) fn is_good_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Its secrets, which come back in no answer.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let refresh = self.refresh.as_ref().map(ExposeSecret::expose_secret);
        std::iter::once(self.access.expose_secret()).chain(refresh)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "access_token": self.access.expose_secret(),
            "refresh_token": self.refresh.as_ref().map(ExposeSecret::expose_secret),
            "until": self.until.map(Timestamp::as_micros),
        })
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        Some(Self {
            access: Arc::new(text("access_token")?.to_owned().into()),
            refresh: text("refresh_token").map(|token| token.to_owned().into()),
            until: value
                .get("until")
                .and_then(Value::as_i64)
                .map(Timestamp::from_micros),
        })
    }
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
        if !told.status.is_success() {
            return Err(refusal(&told));
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
        if self.access_token.is_empty() || !self.token_type.eq_ignore_ascii_case("bearer") {
            return Err(NoToken::NotNow);
        }
        // Some write the number as a text.
        let life = self.expires_in.and_then(|life| match life {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        });
        let until = life.map(|life: i64| {
            let life = life.clamp(0, LONGEST_LIFE);
            now.plus_seconds(life - MARGIN.min(life / 10))
        });
        let refresh = self.refresh_token.filter(|token| !token.is_empty());
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
