//! `Idempotency-Key`: a repeated request gets the first one's answer, its secrets masked.

use std::fmt::Write;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use claviger_store::Asker;
use claviger_store::idempotency::{self, Claim};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{ApiError, Core, ErrorCode, Identity, mask_secrets, unread_body};

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
    let caller = identity.actor.describe();
    // Boxed, so that requests without the header do not carry it along.
    match Box::pin(run(idempotent, &caller, &key, request, next)).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn run(
    Idempotent { core, mib, .. }: Idempotent,
    caller: &str,
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
            caller.as_bytes(),
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
        Claim::Replay { status, body } => return Ok(replay(status, body)),
    }
    let request = Request::from_parts(parts, Body::from(body));
    // A task of its own: when the client goes away, the answer is remembered all the same.
    let finished = tokio::spawn(Asker::current().scope(async move {
        let response = next.run(request).await;
        remember(&core, id, response).await
    }));
    match finished.await {
        Ok(response) => response,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Keeps the answer of a success; a refusal changed nothing, so that it can be tried again.
async fn remember(core: &Core, id: [u8; 32], response: Response) -> Result<Response, ApiError> {
    if !response.status().is_success() {
        idempotency::forget(&core.db, id).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(|_| ApiError::new(ErrorCode::Internal, "Internal server error"))?;
    let mut value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    mask_secrets(&mut value);
    // The change is committed: from here on the answer is the change's own, come what may.
    let kept = idempotency::finish(
        &core.db,
        id,
        i64::from(parts.status.as_u16()),
        value.to_string(),
    );
    if let Err(error) = kept.await {
        tracing::error!(%error, "the answer for an idempotency key was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(status: i64, body: String) -> Response {
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let json = HeaderValue::from_static("application/json");
    let headers = [
        (header::CONTENT_TYPE, json),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    (status.unwrap_or(StatusCode::OK), headers, body).into_response()
}

/// Digests several parts so that no two lists of parts run together, under the pepper: a body may
/// have a key in it, which must not be guessed from the row.
fn digest(core: &Core, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut hexadecimal = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(hexadecimal, "{byte:02x}").expect("a text takes whatever is written");
    }
    *core.verifier.digest(&hexadecimal).as_bytes()
}
