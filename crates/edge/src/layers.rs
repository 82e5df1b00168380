//! The layers around all routes: request ids, spans, paths, sizes, the body of errors.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use claviger_domain::id::{self, Id};
use claviger_store::Asker;
use futures::future::{BoxFuture, Either, Ready, ready};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::error::Report;
use crate::slow_body::in_time;
use crate::trace_parent::trace_parent;
use crate::traffic::place_of;
use crate::{ApiError, ClientAddress, Core, Delegated, Draft, ErrorCode, Fields, paths};

/// The largest request body where a route does not say otherwise: 1 MiB.
const LARGEST_BODY: usize = 1024 * 1024;

const NO_REFERRER: &str = "no-referrer";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands for the template of a path that no route matches.
const UNMATCHED: &str = "unmatched";

/// The id of a request, which its answer and its log lines have.
#[derive(Clone, Debug)]
pub struct RequestId(pub Id<id::Request>);

/// A way around the routes, for what is answered from memory.
#[derive(Clone, Copy, Debug)]
pub struct Shortcut {
    /// The template of the route whose requests it answers.
    pub template: &'static str,
    /// Answers as the route would, into the draft that was begun, or leaves the request to it.
    pub answer: fn(&Core, Asked<'_>, &mut Draft) -> Option<Result<(), ApiError>>,
}

/// What a request without a body asks.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// The path, as it was sent; what has more than a path has it here.
    pub target: &'a str,
    /// Its header fields.
    pub fields: &'a dyn Fields,
}

/// An answer that is there, or that comes.
pub type Answer = Either<Ready<Response>, BoxFuture<'static, Response>>;

/// Routes behind what all surfaces share. Paths are cleaned before they are matched.
#[derive(Clone, Debug)]
pub struct Surface(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    core: Core,
    routes: Router,
    shortcut: Option<Shortcut>,
}

impl Surface {
    /// Puts the layers around the routes.
    pub fn new(core: &Core, routes: Router, shortcut: Option<Shortcut>) -> Self {
        // As one layer: axum boxes each one's service and its future, for each request.
        let around = ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(core.clone(), name_route))
            .layer(CatchPanicLayer::custom(
                |_: Box<dyn std::any::Any + Send>| panicked().into_response(),
            ))
            .layer(DefaultBodyLimit::max(LARGEST_BODY));
        Self(Arc::new(Shared {
            core: core.clone(),
            routes: routes.layer(around),
            shortcut,
        }))
    }

    /// The same as a router whose only route is its fallback.
    pub fn into_router(self) -> Router {
        Router::new().fallback(async move |request: Request| self.answer(request, None).await)
    }

    /// Answers a request from `peer`; none where the request says itself where it comes from.
    ///
    /// What is in memory is answered at once. All else is a future of its own, boxed: it is large,
    /// and most requests do not come as far as that.
    pub fn answer<B>(&self, request: http::Request<B>, peer: Option<SocketAddr>) -> Answer
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let target = request.uri().path_and_query();
        let asked = Asked {
            method: request.method().as_str(),
            target: target.map_or("", PathAndQuery::as_str),
            fields: request.headers(),
        };
        let mut draft = Draft::default();
        if self.answer_from_memory(asked, &mut draft) {
            return Either::Left(ready(draft.into_response()));
        }
        let (surface, wants_problem) = (self.clone(), wants_problem(request.headers()));
        let id = Id::<id::Request>::draw(&*surface.0.core.random);
        Either::Right(Box::pin(async move {
            let response = surface.route(request.map(Body::new), peer, &id).await;
            finish(response, &id, wants_problem)
        }))
    }

    /// Answers from memory what can be; `false` leaves all else to [`Self::answer`], and has counted
    /// nothing of it.
    pub fn answer_from_memory(&self, asked: Asked<'_>, draft: &mut Draft) -> bool {
        let Some(shortcut) = self.0.shortcut else {
            return false;
        };
        let core = &self.0.core;
        let began = core.now();
        draft.begin();
        // As around the routes: a panic is this request's, and no more.
        let answering = AssertUnwindSafe(|| (shortcut.answer)(core, asked, draft));
        let Some(outcome) = catch_unwind(answering).unwrap_or_else(|_| Some(Err(panicked())))
        else {
            return false;
        };
        let id = Id::<id::Request>::draw(&*core.random);
        if let Err(error) = outcome {
            draft.refuse(error, id.as_str(), wants_problem(asked.fields));
        }
        draft.field(&REQUEST_ID, id.as_str());
        draft.field(&header::REFERRER_POLICY, NO_REFERRER);
        let route = core.traffic.route(shortcut.template);
        let now = core.now();
        draft.date(now);
        route.answered(
            place_of(asked.method),
            draft.status(),
            now.micros_since(began),
        );
        true
    }

    async fn route(
        &self,
        mut request: Request,
        peer: Option<SocketAddr>,
        id: &Id<id::Request>,
    ) -> Response {
        let core = &self.0.core;
        let began = core.now();
        let span = tracing::info_span!(
            "request",
            id = id.as_str(),
            method = request.method().as_str(),
            route = tracing::field::Empty,
            status = tracing::field::Empty,
            traceparent = trace_parent(request.headers()),
        );
        let response = match paths::normalize(request.uri()) {
            None => {
                let method = place_of(request.method().as_str());
                let route = core.traffic.route(UNMATCHED);
                route.answered(method, StatusCode::NOT_FOUND, 0);
                ApiError::not_found().into_response()
            }
            Some(uri) => {
                *request.uri_mut() = uri;
                request.extensions_mut().insert(RequestId(id.clone()));
                if let Some(peer) = peer {
                    request.extensions_mut().insert(ConnectInfo(peer));
                }
                let trusted = &core.trusted_proxies;
                let client = ClientAddress::told(trusted, request.extensions(), request.headers());
                if let Some(client) = client {
                    request.extensions_mut().insert(client);
                }
                let request = request.map(in_time);
                let routed = self.0.routes.clone().oneshot(request);
                // Until it is known who sends it.
                let answer = Asker::Stranger.scope(routed).instrument(span.clone());
                answer.await.unwrap_or_else(|never| match never {})
            }
        };
        span.record("status", response.status().as_u16());
        let duration_us = core.now().micros_since(began);
        tracing::debug!(parent: &span, duration_us, "answered a request");
        response
    }
}

/// Whether the caller asks for errors as problem details.
fn wants_problem(fields: &dyn Fields) -> bool {
    let accept = fields.text(&header::ACCEPT);
    accept.is_some_and(|accept| accept.contains("application/problem+json"))
}

fn panicked() -> ApiError {
    ApiError::new(ErrorCode::Internal, "Internal server error")
}

/// Notes the route's template in the span, never the path, which may have a secret in it; and counts
/// the answer.
async fn name_route(State(core): State<Core>, request: Request, next: Next) -> Response {
    let template = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNMATCHED, MatchedPath::as_str);
    tracing::Span::current().record("route", template);
    if request.extensions().get::<Delegated>().is_some() {
        // A tool's call of this program itself is counted as one of a tool.
        return next.run(request).await;
    }
    let route = core.traffic.route(template);
    let method = place_of(request.method().as_str());
    let began = core.now();
    let response = next.run(request).await;
    route.answered(method, response.status(), core.now().micros_since(began));
    response
}

fn finish(mut response: Response, id: &Id<id::Request>, wants_problem: bool) -> Response {
    // What axum itself refuses has no report yet.
    if response.extensions().get::<Report>().is_none() {
        let refused = match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Some(ErrorCode::MethodNotAllowed),
            StatusCode::PAYLOAD_TOO_LARGE => Some(ErrorCode::BodyTooLarge),
            _ => None,
        };
        if let Some(code) = refused {
            let title = code.status().canonical_reason().unwrap_or("Error");
            let allow = response.headers().get(header::ALLOW).cloned();
            response = ApiError::new(code, title).into_response();
            response
                .headers_mut()
                .extend(allow.map(|allow| (header::ALLOW, allow)));
        }
    }
    if let Some(report) = response.extensions_mut().remove::<Report>() {
        let (body, content_type) = report.render(id.as_str(), wants_problem);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        let content_type = HeaderValue::from_static(content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = Body::from(body);
    }
    let id = HeaderValue::try_from(id.as_str()).expect("base62 fits a header");
    response.headers_mut().insert(REQUEST_ID, id);
    response
        .headers_mut()
        .entry(header::REFERRER_POLICY)
        .or_insert(HeaderValue::from_static(NO_REFERRER));
    response
}
