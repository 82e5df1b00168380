//! The API whose tools are called for training, with its connector: another one than `mcp` measures, so
//! that the tool whose calls are measured is none that the program was trained by.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// What each answer ends with.
pub(super) const LAST_WORD: &str = "so much for that";
/// Its name as a connector.
pub(super) const SLUG: &str = "shop";
/// Calls of its tools repeat after so many.
pub(super) const KINDS: u64 = 8;
/// Its tools: one row, a page of rows, a change with a body.
const GET: &str = "get_single_shop_order_by_id";
const LIST: &str = "list_all_shop_orders";
const CREATE: &str = "create_a_shop_order";

/// Rows of a page.
const PAGE: u32 = 10;

#[derive(Deserialize)]
struct Asked {
    currency: Option<String>,
}

/// The API: some hundred bytes for an order, some kilobytes for a page of them. It may be told of events.
pub(crate) fn upstream() -> Router {
    let one = async |Path((branch, number)): Path<(String, String)>, Query(asked): Query<Asked>| {
        let currency = asked.currency.as_deref().unwrap_or("EUR");
        Json(order(&branch, &number, currency))
    };
    let page = async |Path(branch): Path<String>| {
        let rows = (0..PAGE).map(|number| order(&branch, &number.to_string(), "EUR"));
        Json(json!({"orders": rows.collect::<Vec<_>>(), "after": PAGE.to_string()}))
    };
    let made = async |Path(branch): Path<String>, Json(asked): Json<Value>| {
        let mut order = order(&branch, "4711", "EUR");
        order["asked"] = asked;
        (StatusCode::CREATED, Json(order))
    };
    Router::new()
        .route("/branches/{branch}/orders", get(page).post(made))
        .route("/branches/{branch}/orders/{number}", get(one))
        .route("/told", post(async || StatusCode::NO_CONTENT))
}

/// The tool of the call with that number, and its arguments: rows are read most, and there is some of what
/// else a tool does.
pub(super) fn asked(number: u64) -> (&'static str, Value) {
    let id = (number % 1_000).to_string();
    match number % KINDS {
        0 => (
            LIST,
            json!({"branch": "east", "status": "sent", "since": number}),
        ),
        1 => {
            let lines = json!([{"article": "umbrella", "count": 2}]);
            (
                CREATE,
                json!({"branch": "east", "customer": id, "gift": true, "lines": lines}),
            )
        }
        2 => (GET, json!({"branch": "east", "id": id, "currency": "CHF"})),
        _ => (GET, json!({"branch": "north west", "id": id})),
    }
}

fn order(branch: &str, number: &str, currency: &str) -> Value {
    json!({
        "branch": branch, "id": number, "status": "sent", "total": {"amount": 84.5, "currency": currency},
        "customer": {"name": "Ada \"the first\" Lovelace", "email": "ada@example.com", "since": null},
        "lines": [
            {"article": "umbrella", "count": 2, "gift": true},
            {"article": "d\u{e9}j\u{e0} vu, paperback", "count": 1, "gift": false},
        ],
        "note": "Leave it at the door.\nThe dog is kind.", "end": LAST_WORD,
    })
}

/// A connector to it, as it is sent.
pub(super) fn connector() -> Value {
    let text = json!({"type": "string"});
    let branch = json!({"name": "branch", "in": "path", "required": true, "schema": text,
        "description": "Where it was ordered."});
    let answer = json!({"description": "So it is.", "content": {"application/json": {
        "schema": {"type": "object"}}}});
    json!({
        "slug": SLUG, "label": "Shop", "tool_prefix": "shop",
        "openapi": {
            "openapi": "3.1.0",
            "info": {"title": "Shop", "version": "1"},
            "paths": {
                "/branches/{branch}/orders": {
                    "get": {
                        "operationId": "listOrders",
                        "description": "Lists the orders of a branch.",
                        "parameters": [branch,
                            {"name": "status", "in": "query", "schema": {"enum": ["sent", "open"]}},
                            {"name": "since", "in": "query", "schema": {"type": "integer", "minimum": 0}},
                            {"name": "size", "in": "query", "schema": {"type": "integer"}},
                            {"name": "after", "in": "query", "schema": text}],
                        "responses": {"200": answer},
                    },
                    "post": {
                        "operationId": "createOrder",
                        "description": "Orders something.",
                        "parameters": [branch],
                        "requestBody": {"required": true, "content": {"application/json": {"schema": {
                            "type": "object",
                            "required": ["customer", "lines"],
                            "properties": {
                                "customer": text,
                                "gift": {"type": "boolean"},
                                "lines": {"type": "array", "maxItems": 50, "items": {
                                    "type": "object",
                                    "required": ["article"],
                                    "properties": {
                                        "article": text,
                                        "count": {"type": "integer", "minimum": 1},
                                    },
                                }},
                            },
                        }}}},
                        "responses": {"201": answer},
                    },
                },
                "/branches/{branch}/orders/{id}": {"get": {
                    "operationId": "getOrder",
                    "description": "Answers one order by its number.",
                    "parameters": [branch,
                        {"name": "id", "in": "path", "required": true, "schema": text},
                        {"name": "currency", "in": "query", "schema": {"enum": ["EUR", "CHF"]}}],
                    "responses": {"200": answer},
                }},
            },
        },
        "base_url": "http://{{context.host}}",
        "context": [{"name": "host", "type": "host"}],
        "credentials": {"api_key": {
            "fields": [{"name": "key"}],
            "authorization": {"header": {"name": "authorization", "value": "Bearer {{credentials.key}}"}},
        }},
        "pagination": {"style": "cursor", "limit": "size", "cursor": "after", "next": "after"},
        "resources": {"orders": {"singular": "order", "methods": {
            "list": {"http": "GET /branches/{branch}/orders", "response_path": "orders"},
            "get": {"http": "GET /branches/{branch}/orders/{id}"},
            "create": {"http": "POST /branches/{branch}/orders"},
        }}},
    })
}
