//! What a check is compared with from below: a route that answers as many bytes and does nothing else.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Serves `routes` on a port of its own, which it prints, until the process is killed.
pub(crate) async fn serve(routes: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready: http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // A stream that is gone by now is seen by whoever reads it.
        drop(stream.set_nodelay(true));
    });
    axum::serve(listener, routes)
        .await
        .context("serving failed")
}

/// The bare route, with the answer that the file `answer` has: a list of headers, and a body.
pub(crate) fn routes(answer: &str) -> Result<Router> {
    let (headers, body): (Vec<(String, String)>, String) = serde_json::from_str(answer)?;
    let headers = headers
        .into_iter()
        .map(|(name, value)| Ok((HeaderName::try_from(name)?, HeaderValue::try_from(value)?)))
        .collect::<Result<HeaderMap>>()?;
    let body = Bytes::from(body);
    let route = post(move || {
        let answer = (headers.clone(), body.clone());
        async { answer }
    });
    Ok(Router::new().route("/api-keys/auth/{key}", route))
}
