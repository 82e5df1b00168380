//! The layers around all routes: request ids, spans, paths, sizes, the body of errors.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use claviger_domain::id::{self, Id};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::error::Report;
use crate::slow_body::in_time;
use crate::traffic::place_of;
use crate::{ApiError, ClientAddress, Core, Delegated, ErrorCode, paths};

/// The largest request body: 1 MiB.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands for the template of a path that no route matches.
const UNMATCHED: &str = "unmatched";

/// The id of a request, which its answer and its log lines have.
#[derive(Clone, Debug)]
pub struct RequestId(pub Id<id::Request>);

/// Puts the layers that every surface has around its routes. What comes out is not routed by
/// axum's own router any more, so that paths can be cleaned before they are matched.
pub fn wrap(core: &Core, routes: Router) -> Router {
    let core = core.clone();
    let routes = routes
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| {
                ApiError::new(ErrorCode::Internal, "Internal server error").into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(
            Arc::new(core.clone()),
            name_route,
        ));
    // A router whose only route is its fallback: it sees every path before it is matched.
    Router::new().fallback(move |request: Request| {
        let (core, routes) = (core.clone(), routes.clone());
        async move { serve(&core, routes, request).await }
    })
}

async fn serve(core: &Core, mut routes: Router, mut request: Request) -> Response {
    let began = core.now();
    let id = Id::<id::Request>::draw(&*core.random);
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let wants_problem = accept.is_some_and(|accept| accept.contains("application/problem+json"));
    let span = tracing::info_span!(
        "request",
        id = id.as_str(),
        method = request.method().as_str(),
        route = tracing::field::Empty,
        status = tracing::field::Empty,
    );
    let response = match paths::normalize(request.uri()) {
        None => {
            let method = place_of(request.method());
            let route = core.traffic.route(UNMATCHED);
            route.answered(method, StatusCode::NOT_FOUND, 0);
            ApiError::not_found().into_response()
        }
        Some(uri) => {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(RequestId(id.clone()));
            let trusted = &core.trusted_proxies;
            let client = ClientAddress::told(trusted, request.extensions(), request.headers());
            if let Some(client) = client {
                request.extensions_mut().insert(client);
            }
            let request = request.map(in_time);
            let answer = tower::Service::call(&mut routes, request).instrument(span.clone());
            answer.await.unwrap_or_else(|never| match never {})
        }
    };
    span.record("status", response.status().as_u16());
    let duration_us = core.now().micros_since(began);
    tracing::debug!(parent: &span, duration_us, "answered a request");
    finish(response, &id, wants_problem)
}

/// Notes the route's template in the span, never the path, which may have a secret in it; and counts
/// the answer.
async fn name_route(State(core): State<Arc<Core>>, request: Request, next: Next) -> Response {
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
    let method = place_of(request.method());
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
        .or_insert(HeaderValue::from_static("no-referrer"));
    response
}
