//! OAuth access tokens of connected accounts whose credentials are those of a client (RFC 6749, 4.4). They
//! are fetched when one is needed, kept in memory alone until shortly before they end, and fetched by one
//! caller however many wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use claviger_domain::id::{self, Id};
use claviger_domain::time::{Clock, Timestamp};
use claviger_outbound::{Asking, Refusal, Target, Told, Unanswered, Upstreams};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::credentials::Credentials;
use crate::request::IN_SEGMENT;

/// How many tokens are kept; past it all are let go, since fetching one again is cheap.
const KEPT: usize = 10_000;
/// Seconds for which a token is good whose end is not told.
const USUAL_LIFE: i64 = 300;
/// Seconds before its end from which a token is not used any more, where it lives so long.
const MARGIN: i64 = 60;
/// Seconds for which those who waited, and whoever comes next, get the refusal that one of them got.
const REFUSED_FOR: i64 = 5;
/// How long a server has for its answer.
const FETCHING: Duration = Duration::from_secs(20);
/// How long somebody waits for a token, behind whoever fetches it too.
const WAITING: Duration = Duration::from_secs(30);
/// Codes by which a server refuses a client for good; the latter four are those of products that have names of
/// their own for it.
const FOR_GOOD: [&str; 9] = [
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "invalid_scope",
    "unsupported_grant_type",
    "bad_refresh_token",
    "invalid_refresh_token",
    "bad_verification_code",
    "incorrect_client_credentials",
];

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoToken {
    /// The server refuses these credentials.
    #[error("the authorization server refuses the credentials of this connected account")]
    Refused,
    /// The server cannot be asked, or answers with no token.
    #[error("the authorization server gives no token now")]
    NotNow,
    /// The server does not answer in time.
    #[error("the authorization server gave no token in time")]
    TooSlow,
}

/// For what a token is asked.
pub(crate) struct Wanted<'a> {
    pub(crate) connected: &'a Id<id::ConnectedAccount>,
    /// The credentials as they are sealed: with others, another token is fetched.
    pub(crate) sealed: &'a [u8],
    pub(crate) credentials: &'a Credentials,
    pub(crate) target: Target,
    pub(crate) scopes: &'a [String],
}

/// Tokens by what they were fetched for.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<[u8; 32], Arc<Place>>>);

/// Where one token is. Whoever fetches it holds the place, and the others wait for it.
type Place = tokio::sync::Mutex<Option<(Fetched, Timestamp)>>;

type Fetched = Result<Arc<SecretString>, NoToken>;

impl Tokens {
    /// The token, fetched now where there is none that is good.
    pub(crate) async fn of(
        &self,
        upstreams: &Upstreams,
        wanted: Wanted<'_>,
        clock: &dyn Clock,
    ) -> Fetched {
        let place = self.place(&wanted);
        let fetched = timeout(WAITING, held_or_fetched(&place, upstreams, &wanted, clock));
        fetched.await.unwrap_or(Err(NoToken::TooSlow))
    }

    /// Forgets that token, which the upstream does not take, or whichever there is.
    pub(crate) async fn forget(&self, wanted: &Wanted<'_>, token: Option<&SecretString>) {
        let place = self.place(wanted);
        // Whoever holds the place for longer fetches another one.
        let Ok(mut held) = timeout(WAITING, place.lock()).await else {
            return;
        };
        let is_it = match (&*held, token) {
            (Some((Ok(kept), _)), Some(token)) => kept.expose_secret() == token.expose_secret(),
            (_, token) => token.is_none(),
        };
        if is_it {
            *held = None;
        }
    }

    fn place(&self, wanted: &Wanted<'_>) -> Arc<Place> {
        let mut digest = Sha256::new();
        let parts = [
            wanted.connected.as_str().as_bytes(),
            wanted.sealed,
            wanted.target.url().as_bytes(),
        ];
        // A connector that asks for less by now is not answered with a token for more.
        let scopes = wanted.scopes.iter().map(String::as_bytes);
        for part in parts.into_iter().chain(scopes) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let key: [u8; 32] = digest.finalize().into();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            kept.clear();
        }
        Arc::clone(kept.entry(key).or_default())
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// The token of a place, fetched by whoever comes first. The clock is read when the place is free and when
/// the answer is there: both may be long after the call began.
async fn held_or_fetched(
    place: &Place,
    upstreams: &Upstreams,
    wanted: &Wanted<'_>,
    clock: &dyn Clock,
) -> Fetched {
    let mut held = place.lock().await;
    if let Some((fetched, until)) = &*held
        && clock.now() < *until
    {
        return fetched.clone();
    }
    let fetching = timeout(FETCHING, fetch(upstreams, wanted, clock));
    let (fetched, until) = match fetching.await.unwrap_or(Err(NoToken::TooSlow)) {
        Ok((token, until)) => (Ok(Arc::new(token)), until),
        Err(why) => (Err(why), clock.now().plus_seconds(REFUSED_FOR)),
    };
    *held = Some((fetched.clone(), until));
    fetched
}

async fn fetch(
    upstreams: &Upstreams,
    wanted: &Wanted<'_>,
    clock: &dyn Clock,
) -> Result<(SecretString, Timestamp), NoToken> {
    let asking = asking(wanted).ok_or(NoToken::Refused)?;
    let told = upstreams.ask(asking, clock.now()).await;
    let told = told.map_err(|why| match why {
        Unanswered::Refused(Refusal::Timeout) => NoToken::TooSlow,
        _ => NoToken::NotNow,
    })?;
    if let Some(why) = refusal(&told) {
        return Err(why);
    }
    let answer: Answer = serde_json::from_slice(&told.body).map_err(|_| NoToken::NotNow)?;
    let is_usable =
        !answer.access_token.is_empty() && answer.token_type.eq_ignore_ascii_case("bearer");
    if !is_usable {
        return Err(NoToken::NotNow);
    }
    // Some write the number as a text.
    let life = answer.expires_in.and_then(|life| match life {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    let life = life.unwrap_or(USUAL_LIFE).clamp(0, 86_400);
    let until = clock.now().plus_seconds(life - MARGIN.min(life / 10));
    Ok((answer.access_token.into(), until))
}

fn asking(wanted: &Wanted<'_>) -> Option<Asking> {
    let encoded = |text: &str| utf8_percent_encode(text, IN_SEGMENT).to_string();
    let client = wanted.credentials.value("client_id")?;
    let secret = wanted.credentials.value("client_secret")?;
    let basic = STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret)));
    let mut basic = HeaderValue::try_from(format!("Basic {basic}")).ok()?;
    basic.set_sensitive(true);
    let mut body = "grant_type=client_credentials".to_owned();
    if !wanted.scopes.is_empty() {
        body.push_str("&scope=");
        body.push_str(&encoded(&wanted.scopes.join(" ")));
    }
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = [
        (header::AUTHORIZATION, basic),
        (header::CONTENT_TYPE, form),
        (header::ACCEPT, HeaderValue::from_static("application/json")),
    ];
    Some(Asking {
        method: Method::POST,
        target: wanted.target.clone(),
        headers: HeaderMap::from_iter(headers),
        body: Bytes::from(body),
    })
}

/// What a refusal means: for good where the server says so, and else not now. It is one by what it says,
/// whatever its status: some servers refuse with 200.
pub(crate) fn refusal(told: &Told) -> Option<NoToken> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let said = serde_json::from_slice::<Refusal>(&told.body);
    let is_for_good = match said {
        Ok(refusal) => FOR_GOOD.contains(&refusal.error.as_str()),
        Err(_) if told.status.is_success() => return None,
        Err(_) => told.status == StatusCode::UNAUTHORIZED,
    };
    Some(if is_for_good {
        NoToken::Refused
    } else {
        NoToken::NotNow
    })
}
