//! A receiver of webhooks on this machine.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::response::IntoResponse;
use claviger_store::webhook_deliveries::Busy;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::TestApp;

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its verb.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Received {
    /// A header's text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("our headers are text"))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("deliveries are JSON")
    }
}

/// Listens on a port of its own until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens: `http://127.0.0.1:…`.
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::answering(|_| async { StatusCode::NO_CONTENT }).await
    }

    /// One that answers as it is told; the request is noted before.
    pub async fn answering<F, A>(answer: F) -> Self
    where
        F: Fn(Received) -> A + Send + Sync + 'static,
        A: Future<Output: IntoResponse> + Send,
    {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (noted, answer) = (Arc::clone(&received), Arc::new(answer));
        let routes = Router::new().fallback(move |request: Request| {
            let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                let path = parts.uri.path_and_query().map(ToString::to_string);
                let one = Received {
                    method: parts.method,
                    path: path.unwrap_or_default(),
                    headers: parts.headers,
                    body,
                };
                lock(&noted).push(one.clone());
                answer(one).await
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("this machine has free ports");
        let address = listener.local_addr().expect("it listens");
        let serving = tokio::spawn(async move {
            drop(axum::serve(listener, routes).await);
        });
        Self {
            url: format!("http://{address}"),
            received,
            serving,
        }
    }

    /// What was received so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(received: &Mutex<Vec<Received>>) -> std::sync::MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestApp {
    /// Makes deliveries of all that has happened.
    pub async fn fan_out(&self) {
        while self
            .core
            .webhooks
            .fan_out()
            .await
            .expect("the tests' own database takes rows")
        {}
    }

    /// Tells webhooks what has happened, as the program's job does, until nothing is due.
    pub async fn tell_webhooks(&self) {
        let webhooks = &self.core.webhooks;
        self.fan_out().await;
        let (_stop, stopped) = watch::channel(false);
        loop {
            let claimed = webhooks.claim(Busy::default()).await;
            let Some(claimed) = claimed.expect("the tests' own database takes rows") else {
                return;
            };
            let served = webhooks.serve(claimed, stopped.clone()).await;
            served.expect("the tests' own database takes rows");
        }
    }
}
