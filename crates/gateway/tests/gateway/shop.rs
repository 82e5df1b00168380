//! A world with two connectors to other APIs, and a stand-in of those APIs on this machine.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::response::{IntoResponse, Response};
use claviger_testkit::{Engine, Received, Receiver, TestApp, TestResponse};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::world::World;

const ORDERS: &str = include_str!("../../../../connectors/orders.yaml");
const ORDERS_DOCUMENT: &str = include_str!("../../../../connectors/orders.openapi.json");

/// A connector with every form of credentials, over the same document.
const TEA: &str = r#"
slug: tea
label: Tea
tool_prefix: tea
openapi: orders.openapi.json
base_url: "http://{{context.host}}/api"
context: [{ name: host, type: host }]
credentials:
  api_key:
    fields: [{ name: key, pattern: "^[!-~]+$" }]
    authorization: { header: { name: x-tea-key, value: "{{credentials.key}}" } }
    validate: orders.list
  basic: {}
  bearer: { authorization: { query: { name: token, value: "{{credentials.token}}" } } }
errors: { failed_when: [{ path: ok, is: false }] }
resources:
  orders:
    singular: order
    methods:
      list: { http: "GET /orders" }
      get: { http: "GET /orders/{id}" }
      create: { http: "POST /orders" }
      delete: { http: "DELETE /orders/{id}" }
  invoices: { methods: { get: { http: "GET /orders/{id}/invoice" } } }
"#;

/// A credential that is in no answer.
pub(crate) const CANARY: &str = "canary/of+32=letters&more";

type Script = Arc<Mutex<Box<dyn FnMut(&Received) -> Response + Send>>>;

/// The world, and the other API.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) upstream: Receiver,
    script: Script,
}

/// An answer of the other API.
pub(crate) fn answer(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body.clone())).into_response()
}

/// What the other API answers unless a test says otherwise.
fn usual(received: &Received) -> Response {
    if received.path.starts_with("/oauth/token") {
        let token =
            json!({ "access_token": "token-canary-1", "token_type": "Bearer", "expires_in": 3600 });
        return answer(200, &token);
    }
    match received.path.split('?').next().unwrap_or_default() {
        "/v1/orders" if received.method == Method::GET => answer(200, &json!({ "orders": [] })),
        "/api/orders" if received.method == Method::GET => answer(200, &json!([])),
        _ => answer(200, &json!({ "id": "o1" })),
    }
}

/// Brings both connectors to the account.
pub(crate) async fn bring_connectors(world: &World) {
    bring_connectors_as(world, &world.owner).await;
}

/// Brings both connectors to the account of whoever holds the key.
pub(crate) async fn bring_connectors_as(world: &World, key: &str) {
    // What stands in for the other API has no certificate.
    bring_connectors_over("http://", world, key).await;
}

/// The same for an API that is reached so.
pub(crate) async fn bring_connectors_over(scheme: &str, world: &World, key: &str) {
    for file in [
        ORDERS.replace("https://", scheme),
        TEA.replace("http://", scheme),
    ] {
        let mut body: Value = serde_saphyr::from_str(&file).unwrap();
        body["openapi"] = serde_json::from_str(ORDERS_DOCUMENT).unwrap();
        let brought = world.ask(key, Method::POST, "/integration", body);
        brought.await.expect(201);
    }
}

impl Shop {
    /// The second connector, with its document in it.
    pub(crate) fn tea_file() -> Value {
        let mut body: Value = serde_saphyr::from_str(TEA).unwrap();
        body["openapi"] = serde_json::from_str(ORDERS_DOCUMENT).unwrap();
        body
    }

    /// Brings the second connector once more, with other members.
    pub(crate) async fn bring(&self, slug: &str, changes: Value) {
        self.bring_as(&self.world.owner, slug, changes).await;
    }

    /// The same as whoever holds the key.
    pub(crate) async fn bring_as(&self, key: &str, slug: &str, changes: Value) {
        let mut body = Self::tea_file();
        body["slug"] = slug.into();
        let changes = changes.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(changes);
        let brought = self.world.ask(key, Method::POST, "/integration", body);
        brought.await.expect(201);
    }

    pub(crate) async fn open(engine: Engine) -> Self {
        let world = World::of(TestApp::with(engine).await).await;
        bring_connectors(&world).await;
        let script: Script = Arc::new(Mutex::new(Box::new(usual)));
        let said = Arc::clone(&script);
        let upstream = Receiver::answering(move |received| {
            let answer = (said.lock().unwrap())(&received);
            async move { answer }
        });
        Self {
            world,
            upstream: upstream.await,
            script,
        }
    }

    /// Lets the other API answer otherwise.
    pub(crate) fn says(&self, script: impl FnMut(&Received) -> Response + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Lets the other API answer as usual.
    pub(crate) fn says_as_usual(&self) {
        self.says(usual);
    }

    pub(crate) fn host(&self) -> &str {
        self.upstream.url.strip_prefix("http://").unwrap()
    }

    pub(crate) async fn owner(&self, method: Method, path: &str, body: Value) -> TestResponse {
        self.world.ask(&self.world.owner, method, path, body).await
    }

    pub(crate) async fn connect(&self, body: Value) -> TestResponse {
        self.owner(Method::POST, "/integrated-account", body).await
    }

    /// Connects the API with a key, and gives the connected account's id.
    pub(crate) async fn tea(&self, format: &str, credentials: Value) -> String {
        let body = json!({
            "integration": "tea", "tenant_id": "t", "authentication_method": format,
            "context": { "host": self.host() }, "credentials": credentials,
        });
        let made = self.connect(body).await.expect(201);
        assert_eq!(made["status"], "active", "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn keyed(&self) -> String {
        self.tea("api_key", json!({ "key": CANARY })).await
    }

    /// Connects the shop with the credentials of a client.
    pub(crate) async fn orders(&self) -> Value {
        let body = json!({
            "integration": "orders", "tenant_id": "t", "context": { "host": self.host() },
            "credentials": { "client_id": "agent", "client_secret": CANARY },
        });
        self.connect(body).await.expect(201)
    }

    /// Asks the proxy as the owner.
    pub(crate) async fn proxy(
        &self,
        connected: &str,
        method: Method,
        rest: &str,
        body: Value,
    ) -> TestResponse {
        let sign = if rest.contains('?') { '&' } else { '?' };
        let path = format!("/proxy/{rest}{sign}integrated_account_id={connected}");
        self.owner(method, &path, body).await
    }

    pub(crate) async fn get(&self, connected: &str, rest: &str) -> TestResponse {
        self.proxy(connected, Method::GET, rest, Value::Null).await
    }

    /// The status of a connected account.
    pub(crate) async fn status(&self, connected: &str) -> String {
        let shown = self
            .world
            .get(&format!("/integrated-account/{connected}"))
            .await;
        shown.expect(200)["status"].as_str().unwrap().to_owned()
    }
}

/// Whether the canary is in a text, as it is or in letters that mean the same.
pub(crate) fn has_canary(text: &str) -> bool {
    text.to_lowercase().contains("canary") || text.contains("Y2FuYXJ5")
}

pub(crate) fn content_type(kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

pub(crate) fn run(engine: Engine, body: impl AsyncFnOnce(Shop)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { body(Shop::open(engine).await).await });
}

/// A test on both engines.
macro_rules! in_both_shops {
    ($name:ident, async |$shop:ident| $body:block) => {
        mod $name {
            use super::*;

            #[test]
            fn on_sqlite() {
                crate::shop::run(
                    claviger_testkit::Engine::Sqlite,
                    async |$shop: crate::shop::Shop| $body,
                );
            }

            #[test]
            fn on_postgres() {
                crate::shop::run(
                    claviger_testkit::Engine::Postgres,
                    async |$shop: crate::shop::Shop| $body,
                );
            }
        }
    };
}

pub(crate) use in_both_shops;
