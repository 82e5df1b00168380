//! `Idempotency-Key`: a repeated request gets the first one's answer. For ten minutes it has the secret
//! of that, unless the key has been ended or exchanged; from then on, a mask in its place.

use std::fmt::Write;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use claviger_domain::id::{self, Id};
use claviger_store::Asker;
use claviger_store::idempotency::{self, Answer, Claim, SealedAnswer};
use claviger_store::sealing::Purpose;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{ApiError, Core, ErrorCode, Identity, NoStore, mask_secrets, unread_body};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key that is taken.
const LONGEST: usize = 255;

/// Which requests of a surface honour the header.
#[derive(Clone, Debug)]
pub struct Idempotent {
    /// The shared parts of the program.
    pub core: Core,
    /// Templates of the routes whose POST creates or rotates.
    pub routes: &'static [&'static str],
    /// MiB that their bodies may have.
    pub mib: usize,
}

/// A layer that runs after [`identify`](crate::identify); without the header it does nothing.
pub async fn idempotent(
    State(idempotent): State<Idempotent>,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = request.headers().get(KEY).cloned() else {
        return next.run(request).await;
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    if request.method() != Method::POST || !idempotent.routes.contains(&route) {
        return next.run(request).await;
    }
    // Whoever may change nothing is refused by the route, and leaves no row.
    let identity = request.extensions().get::<Identity>();
    let Some(identity) = identity.filter(|identity| !identity.rights.only_check_keys()) else {
        return next.run(request).await;
    };
    let caller = Repeater {
        name: identity.actor.describe(),
        gets_secrets: !identity.is_delegated,
    };
    // Boxed, so that requests without the header do not carry it along.
    match Box::pin(run(idempotent, &caller, &key, request, next)).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// Who may repeat a request.
struct Repeater {
    name: String,
    /// Whether its repeats have secrets: never through the gateway.
    gets_secrets: bool,
}

async fn run(
    Idempotent { core, mib, .. }: Idempotent,
    caller: &Repeater,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if key.is_empty() || key.len() > LONGEST {
        let message = format!("must have 1 to {LONGEST} characters");
        return Err(ApiError::field("Idempotency-Key", message));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, mib * 1_024 * 1_024)
        .await
        .map_err(|error| unread_body(error, &format!("{mib} MiB")))?;
    let id = digest(
        &core,
        &[
            caller.name.as_bytes(),
            parts.method.as_str().as_bytes(),
            parts.uri.path().as_bytes(),
            key.as_bytes(),
        ],
    );
    match idempotency::claim(&core.db, id, digest(&core, &[&body]), core.now()).await? {
        Claim::First => {}
        Claim::InFlight => {
            let message = "The first request with this Idempotency-Key is not finished";
            return Err(ApiError::new(ErrorCode::IdempotencyInFlight, message));
        }
        Claim::OtherBody => {
            let message = "This Idempotency-Key was used with another body";
            return Err(ApiError::new(ErrorCode::IdempotencyKeyReused, message));
        }
        Claim::Replay {
            status,
            body,
            sealed,
        } => {
            let sealed = sealed.filter(|_| caller.gets_secrets);
            let opened = sealed.and_then(|sealed| open(&core, id, &sealed));
            return Ok(replay(status, body, opened));
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    let seals = caller.gets_secrets;
    // A task of its own: when the client goes away, the answer is remembered all the same.
    let finished = tokio::spawn(Asker::current().scope(async move {
        let response = next.run(request).await;
        remember(&core, id, seals, response).await
    }));
    match finished.await {
        Ok(response) => response,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Keeps the answer of a success; a refusal changed nothing, so that it can be tried again.
async fn remember(
    core: &Core,
    id: [u8; 32],
    seals: bool,
    response: Response,
) -> Result<Response, ApiError> {
    if !response.status().is_success() {
        idempotency::forget(&core.db, id).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(|_| ApiError::new(ErrorCode::Internal, "Internal server error"))?;
    let whole: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let mut masked = whole.clone();
    mask_secrets(&mut masked);
    let key = key_in(&whole).filter(|_| seals && masked != whole);
    let answer = Answer {
        status: parts.status.as_u16().into(),
        body: masked.to_string(),
        sealed: key.map(|key| SealedAnswer {
            key: key.to_owned(),
            body: seal(core, id, &bytes),
        }),
    };
    // The change is committed: from here on the answer is the change's own, come what may.
    let kept = idempotency::finish(&core.db, id, answer, core.now());
    if let Err(error) = kept.await {
        tracing::error!(%error, "the answer for an idempotency key was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// The id of the API key or access key that an answer shows. No other secret is given again.
fn key_in(answer: &Value) -> Option<&str> {
    let id = answer["id"].as_str()?;
    let is_key = Id::<id::ApiKey>::parse(id).is_some() || Id::<id::AccessKey>::parse(id).is_some();
    is_key.then_some(id)
}

/// Seals an answer for the request that it is of: credential, method, path and key.
fn seal(core: &Core, id: [u8; 32], body: &[u8]) -> Vec<u8> {
    let (subject, random) = (hexadecimal(&id), &*core.random);
    core.sealing.seal(Purpose::Answers, &subject, body, random)
}

/// Opens what [`seal`] made; whatever does not open is not given again.
fn open(core: &Core, id: [u8; 32], sealed: &[u8]) -> Option<SecretSlice<u8>> {
    let subject = hexadecimal(&id);
    match core.sealing.open(Purpose::Answers, &subject, sealed) {
        Ok(opened) => Some(opened),
        Err(error) => {
            tracing::error!(%error, "a sealed answer does not open");
            None
        }
    }
}

/// With its secret, where that is there; no cache keeps it then.
fn replay(status: i64, masked: String, opened: Option<SecretSlice<u8>>) -> Response {
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let json = HeaderValue::from_static("application/json");
    let headers = [
        (header::CONTENT_TYPE, json),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    let status = status.unwrap_or(StatusCode::OK);
    match opened {
        None => (status, headers, masked).into_response(),
        Some(opened) => {
            let whole = opened.expose_secret().to_vec();
            NoStore((status, headers, whole)).into_response()
        }
    }
}

/// Digests several parts so that no two lists of parts run together, under the pepper: a body may
/// have a key in it, which must not be guessed from the row.
fn digest(core: &Core, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *core
        .verifier
        .digest(&hexadecimal(&hasher.finalize()))
        .as_bytes()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a text takes whatever is written");
    }
    text
}
