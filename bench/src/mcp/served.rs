//! The API that tools are made of, with its document and its connector, and a translation by hand.

use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// Its name as a connector.
pub(super) const SLUG: &str = "bench";
/// The tool that is called: the one operation of the API.
pub(super) const CALLED: &str = "get_single_bench_item_by_id";
/// What the answer of the API ends with.
pub(super) const LAST_WORD: &str = "the last word of it";

/// An API whose answer to each question has a kilobyte.
pub(crate) fn upstream() -> Router {
    let note = "word ".repeat(170);
    let item = move |Path(id): Path<String>| {
        let body = json!({
            "id": id, "name": "An item", "price": 1_250, "currency": "EUR", "tags": ["one", "two"],
            "note": note, "end": LAST_WORD,
        });
        async move { Json(body) }
    };
    Router::new().route("/items/{id}", get(item))
}

/// Its document.
pub(super) fn document() -> Value {
    let text = json!({"type": "string"});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Bench", "version": "1"},
        "paths": {"/items/{id}": {"get": {
            "operationId": "getItem",
            "description": "Answers one item by its id.",
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": text,
                "description": "The item's id."}],
            "responses": {"200": {"description": "The item.", "content": {"application/json": {
                "schema": {"type": "object"}}}}},
        }}},
    })
}

/// A connector to it, as it is sent.
pub(super) fn connector() -> Value {
    json!({
        "slug": SLUG, "label": "Bench", "tool_prefix": "bench",
        "openapi": document(),
        "base_url": "http://{{context.host}}",
        "context": [{"name": "host", "type": "host"}],
        "credentials": {"api_key": {
            "fields": [{"name": "key"}],
            "authorization": {"header": {"name": "x-key", "value": "{{credentials.key}}"}},
        }},
        "resources": {"items": {"singular": "item", "methods": {
            "get": {"http": "GET /items/{id}"},
        }}},
    })
}

#[derive(Clone)]
struct ByHand {
    http: reqwest::Client,
    upstream: String,
}

/// What somebody would write for this one tool: a call becomes a request, and its answer a result.
#[expect(
    clippy::disallowed_methods,
    reason = "the guarded client is what is measured; this is what it is compared with"
)]
pub(crate) fn translation(upstream: &str) -> Result<Router> {
    // It may have been installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let state = ByHand {
        http: reqwest::Client::builder().no_proxy().build()?,
        upstream: format!("http://{upstream}/items/"),
    };
    Ok(Router::new()
        .route("/mcp", post(translate))
        .with_state(state))
}

async fn translate(State(state): State<ByHand>, Json(asked): Json<Value>) -> impl IntoResponse {
    let id = asked["params"]["arguments"]["id"]
        .as_str()
        .unwrap_or_default();
    let answer = async {
        let request = state.http.get(format!("{}{id}", state.upstream));
        let response = request.header("x-key", "a-key-of-the-other-api").send();
        response.await?.error_for_status()?.json::<Value>().await
    };
    let Ok(item) = answer.await else {
        return (StatusCode::BAD_GATEWAY, Json(Value::Null)).into_response();
    };
    let result = json!({"result": item});
    let body = json!({
        "jsonrpc": "2.0", "id": asked["id"], "result": {
            "content": [{"type": "text", "text": result.to_string()}], "structuredContent": result,
        },
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
