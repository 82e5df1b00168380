//! Requests to a [`TestApp`](crate::TestApp), and its answers.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A request that is being put together.
#[derive(Debug)]
#[must_use = "it is sent by `send`"]
pub struct TestRequest {
    routes: Router,
    request: Request<Body>,
}

impl TestRequest {
    /// Begins a request to those routes.
    pub fn to(routes: Router, method: &str, path: &str) -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .extension(ConnectInfo(local))
            .body(Body::empty())
            .expect("tests ask for paths that a request line can have");
        Self { routes, request }
    }

    /// Presents a credential.
    pub fn key(self, key: &str) -> Self {
        self.header("x-api-key", key)
    }

    /// Presents a person's token, as a page does.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("tests send header names");
        let value = HeaderValue::from_str(value).expect("tests send header values");
        self.request.headers_mut().append(name, value);
        self
    }

    /// Comes from another address than 127.0.0.1.
    pub fn from(mut self, peer: SocketAddr) -> Self {
        self.request.extensions_mut().insert(ConnectInfo(peer));
        self
    }

    /// Has this body, as JSON.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test writes `.json(json!({…}))`"
    )]
    pub fn json(self, body: Value) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), "application/json")
            .body(body.to_string())
    }

    /// Has this body, whatever it is.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends it through the program's routes, without a socket.
    pub async fn send(self) -> TestResponse {
        let answer = self.routes.oneshot(self.request).await;
        let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
        let bytes = body
            .collect()
            .await
            .expect("answers without a socket arrive whole")
            .to_bytes();
        let body = match bytes.as_ref() {
            [] => Value::Null,
            text => serde_json::from_slice(text)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(text))),
        };
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct TestResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body: JSON; text that is none as a string; null when there is none.
    pub body: Value,
}

impl TestResponse {
    /// A header's text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("our headers are text"))
    }

    /// The body of an answer with that status; panics with the whole answer when it has another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }
}
