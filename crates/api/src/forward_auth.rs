//! `/forward-auth`: a reverse proxy asks whether a request that it has in hand may pass.
//!
//! It is not of The Auth API, and lies beside the layers of that: the headers of such a request are
//! the end user's, so that none of those may choose who asks.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::key_string::PlainKey;
use claviger_edge::permission::KeysCheck;
use claviger_edge::{
    ApiError, Caller, ClientAddress, Core, Credential, Identity, Query, network_of,
    rate_limit_headers,
};
use claviger_verify::{Checked, Counting, Question};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

use crate::api_keys::refusal_of;

/// The proxy's own access key: a header that proxies set, and that no client of ours sends.
const CALLER: HeaderName = HeaderName::from_static("x-claviger-access-key");

const KEY: HeaderName = HeaderName::from_static("x-claviger-key-id");
const PROJECT: HeaderName = HeaderName::from_static("x-claviger-project-id");
const ACCOUNT: HeaderName = HeaderName::from_static("x-claviger-account-id");
const USER: HeaderName = HeaderName::from_static("x-claviger-user-id");
/// Why not: the code that an answer of The Auth API has in its body.
const CODE: HeaderName = HeaderName::from_static("x-claviger-code");

/// What a header's value cannot have, and what would not come out of it as it went in.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The route, without the layers of The Auth API.
pub(crate) fn router(core: &Core) -> Router {
    Router::new()
        .route("/forward-auth", any(forward_auth))
        .with_state(core.clone())
}

/// What the proxy asks besides, in the URL that it is configured with. A misspelt name is refused:
/// it would leave a scope unasked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Needed {
    /// Scopes that the key must have, with commas between them.
    #[serde(default)]
    scopes: String,
}

/// Answers by status and headers alone, since proxies hand a refusal on as it is: 200 with whose key
/// it is, 401, 403 or 429.
async fn forward_auth(
    State(core): State<Core>,
    Query(needed): Query<Needed>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let mut answer = match check(&core, &needed, &extensions, &headers).await {
        Ok(checked) => StatusCode::OK.into_response().with(passing(&checked)),
        Err(error) => {
            let why = HeaderValue::from_static(error.code.as_str());
            let answer = error.code.status().into_response().with(error.headers);
            answer.with([(CODE, why)])
        }
    };
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

/// Checks the end user's key and counts it, as authenticating it does.
async fn check(
    core: &Core,
    needed: &Needed,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Result<Checked, ApiError> {
    let caller = caller(core, extensions, headers).await?;
    let Some(Credential(key)) = Credential::of(headers) else {
        return Err(ApiError::unauthorized());
    };
    let scopes = needed.scopes.split(',').map(str::trim);
    let scopes: Vec<_> = scopes
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    let origin = headers.get(header::ORIGIN);
    let question = Question {
        presented: Presented {
            project: None,
            // Bytes that are no text are an origin that no key is locked to.
            origin: origin.map(|origin| origin.to_str().unwrap_or("")),
            // The peer is the proxy: without its word nobody knows where the end user is.
            ip: extensions.get::<ClientAddress>().map(|client| client.0),
            scopes: &scopes,
        },
        cost: 1,
        counting: Counting::Counts,
    };
    let checking = core.verifier.check(
        caller.identity.network,
        &caller.reach,
        key.expose(),
        &question,
    );
    let checked = caller.identity.asker().scope(checking).await?;
    match (checked.verdict, refusal_of(core, &checked)) {
        (_, None) => Ok(checked),
        (
            Verdict::NotFound | Verdict::Revoked | Verdict::Expired | Verdict::WrongProject,
            Some(_),
        ) => Err(ApiError::unauthorized()),
        (_, Some(refusal)) => Err(refusal),
    }
}

/// The proxy. It presents one access key that can check keys and nothing else: a stronger one has
/// no place in its configuration. More than one is what the end user sent beside the proxy's.
async fn caller(
    core: &Core,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Result<Caller<KeysCheck>, ApiError> {
    let mut presented = headers.get_all(CALLER).iter();
    let (Some(key), None) = (presented.next(), presented.next()) else {
        return Err(ApiError::forbidden());
    };
    let credential = Credential(PlainKey::new(key.to_str().unwrap_or_default().trim()));
    let identity =
        Identity::presenting(core, &credential, network_of(core, extensions, headers)).await?;
    let verifier = identity.filter(|identity| identity.rights.only_check_keys());
    Caller::from_identity(verifier.ok_or_else(ApiError::forbidden)?)
}

/// Whose key it is. Each header is always there, so that a proxy that copies it overwrites what the
/// end user sent under its name; one that copies no empty header has to remove that first.
fn passing(checked: &Checked) -> Vec<(HeaderName, HeaderValue)> {
    let limit = checked.rate_limit;
    let limit = limit.into_iter();
    let mut headers: Vec<_> = limit
        .flat_map(|level| rate_limit_headers(level, None))
        .collect();
    let key = checked.known.as_ref().map(|known| known.view());
    let text = |text: Option<&str>| {
        let text = utf8_percent_encode(text.unwrap_or_default(), ENCODED).to_string();
        HeaderValue::try_from(text).expect("what a header cannot have is encoded")
    };
    headers.extend([
        (KEY, text(key.map(|key| key.id.as_str()))),
        (PROJECT, text(key.map(|key| key.project_id.as_str()))),
        (ACCOUNT, text(key.and_then(|key| key.custom_account_id))),
        (USER, text(key.and_then(|key| key.custom_user_id))),
    ]);
    headers
}

/// An answer with more headers.
trait With {
    fn with(self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self;
}

impl With for Response {
    fn with(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.headers_mut().extend(headers);
        self
    }
}
