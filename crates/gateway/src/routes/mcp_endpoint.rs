//! `POST /mcp/{token}`, and `POST /mcp` with the token as a bearer: from HTTP to the protocol.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use claviger_edge::{ApiError, ErrorCode, RequestId, network_of, unread_body};
use futures::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::described::{JsonRpcAnswers, JsonRpcMessages};
use crate::admission::{Admitted, Presented, Standing};
use crate::call::Call;
use crate::gateway::Gateway;
use crate::let_in::LetIn;
use crate::mcp::hosts::NotForUs;
use crate::mcp::{self, Answer, Post, Text, ToolCall, ToolResult};

/// The largest body: 4 MiB.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// Speak the Model Context Protocol
///
/// Lists and calls the tools of the MCP server that the URL is of, in the versions of the protocol from 2024-11-05 to
/// 2026-07-28, without sessions: each request is a message of JSON-RPC, or a batch of some where its version has those. The
/// URL carries the access; a server with `require_api_token_auth` asks for an access key with `mcp:use`, too.
#[utoipa::path(post, path = "/mcp/{token}", operation_id = "speakMcp", tag = "mcp",
    params(("token" = String, Path, description = "The server's token.")),
    request_body = JsonRpcMessages,
    responses(
        (status = 200, description = "The answer, or an error of JSON-RPC.", body = JsonRpcAnswers),
        (status = 202, description = "What asks for no answer was taken."),
        (status = 401, description = "No such server, one that has ended, or the access key beside it is not good."),
        (status = 413, description = "The body is larger than 4 MiB.")),
    security((), ("accessKey" = []), ("bearer" = [])))]
pub(super) async fn by_path(
    State(gateway): State<Arc<Gateway>>,
    token: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A path that is no text holds no token.
    let token = token.map(|Path(token)| token).unwrap_or_default();
    serve(&gateway, &token, request).await
}

/// Speak the Model Context Protocol, with the token as a bearer
///
/// The same for clients that send a token in a header: `Authorization: Bearer clvmcp_…`. A server with
/// `require_api_token_auth` asks for an access key with `mcp:use` in `x-api-key`.
#[utoipa::path(post, path = "/mcp", operation_id = "speakMcpByBearer", tag = "mcp",
    request_body = JsonRpcMessages,
    responses(
        (status = 200, description = "The answer, or an error of JSON-RPC.", body = JsonRpcAnswers),
        (status = 202, description = "What asks for no answer was taken."),
        (status = 401, description = "No such server, one that has ended, or the access key beside it is not good."),
        (status = 413, description = "The body is larger than 4 MiB.")),
    security(("bearer" = []), ("bearer" = [], "accessKey" = [])))]
pub(super) async fn by_bearer(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let token = bearer(request.headers()).unwrap_or_default().to_owned();
    serve(&gateway, &token, request).await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn serve(gateway: &Gateway, token: &str, request: Request) -> Response {
    match Box::pin(try_serve(gateway, token, request)).await {
        Ok(answer) => respond(answer),
        Err(error) => error.into_response(),
    }
}

/// Host and origin, method, token, size: in this order, each before the next is looked at.
async fn try_serve(gateway: &Gateway, token: &str, request: Request) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    let from = network_of(&gateway.core, &parts.extensions, &parts.headers);
    gateway
        .hosts
        .check(&parts.uri, &parts.headers)
        .map_err(not_for_us)?;
    if parts.method != Method::POST {
        let allowed = vec![(header::ALLOW, HeaderValue::from_static("POST"))];
        let error = ApiError::new(ErrorCode::MethodNotAllowed, "Method Not Allowed");
        return Err(error.with_headers(allowed));
    }
    let presented = Presented {
        token,
        headers: &parts.headers,
        from,
    };
    let request_id = parts.extensions.get::<RequestId>();
    let request_id = request_id.map(|id| id.0.to_string()).unwrap_or_default();
    let found = gateway.find_server(&presented).await?;
    let admitted = match gateway.admit(&presented, &found).await {
        Ok(admitted) => admitted,
        Err(error) => {
            // Its body is not read: what was called is not known.
            let client = mcp::user_agent(&parts.headers);
            let refused =
                gateway.log_refused(found.server(), client, request_id, error.code.status());
            Box::pin(refused).await;
            return Err(error);
        }
    };
    let body = to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|error| unread_body(error, "4 MiB"))?;
    let calling = Calling {
        gateway,
        presented: &presented,
        admitted: &admitted,
        request_id,
    };
    let post = Post {
        headers: &parts.headers,
        body: &body,
    };
    let now = gateway.core.now();
    Ok(mcp::answer(&admitted.exposure, now, post, |call| calling.call(call)).await)
}

fn not_for_us(why: NotForUs) -> ApiError {
    match why {
        NotForUs::Host => ApiError::new(ErrorCode::Forbidden, "Host is not allowed"),
        NotForUs::Origin => ApiError::new(ErrorCode::OriginNotAccepted, "Origin is not allowed"),
    }
}

/// The calls of one request.
struct Calling<'a> {
    gateway: &'a Gateway,
    presented: &'a Presented<'a>,
    admitted: &'a Admitted,
    request_id: String,
}

impl Calling<'_> {
    async fn call(&self, call: ToolCall) -> ToolResult {
        let Admitted {
            known, exposure, ..
        } = self.admitted;
        let standing = Standing {
            presented: self.presented,
            admitted: self.admitted,
        };
        let call = Call {
            server: Some(&known.server.id),
            connected: &known.over,
            let_in: LetIn::Server(standing),
            catalogue: exposure.catalogue(),
            asked: call,
            profile: exposure.profile(),
            request_id: self.request_id.clone(),
            dry_run: false,
            budget: Some(known.config.budget),
            seals_secrets: known.config.seals_secrets,
            idempotency_key: None,
        };
        // What let the request in may have ended while its body came, or an earlier call was made.
        let admission = self.gateway.admit_call(standing);
        // Boxed: what lies around it would be moved with all of it, once for each step on the way in.
        Box::pin(self.gateway.call(call, admission)).await
    }
}

fn body_of(text: Text) -> Body {
    match text.whole_or_parts() {
        Ok(whole) => whole.into(),
        Err(parts) => Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>))),
    }
}

fn respond(answer: Answer) -> Response {
    let mut response = match answer.body {
        Some(body) => {
            let json = (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            let length = (header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            ([json, length], body_of(body)).into_response()
        }
        None => StatusCode::ACCEPTED.into_response(),
    };
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    // An answer may hold a key that was just made.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(answer.headers);
    response
}
