//! Calls of other APIs, many at once or with large answers; and those whose caller ends meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::{IntoResponse, Response};
use claviger_domain::role::Role;
use claviger_testkit::{Engine, Received, Receiver, TestResponse};
use futures::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::shop::{CANARY, Shop, answer, content_type, in_both_shops, run};
use crate::world::{World, call_message, outcome};

/// An API that answers some paths only when it is let.
struct Slow {
    receiver: Receiver,
    arrived: Arc<Notify>,
    open: Arc<Semaphore>,
}

impl Slow {
    /// Tells of a request whose path has `part` in it once it is the `count`th, and holds them all.
    async fn start(part: &'static str, count: usize) -> Self {
        let (arrived, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let (told, gate) = (Arc::clone(&arrived), Arc::clone(&open));
        let waiting = Arc::new(AtomicUsize::new(0));
        let receiver = Receiver::answering(move |received: Received| {
            let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
            let waiting = Arc::clone(&waiting);
            async move { held(&received, part, (&waiting, count), &told, &gate).await }
        });
        Self {
            receiver: receiver.await,
            arrived,
            open,
        }
    }

    fn host(&self) -> &str {
        self.receiver.url.strip_prefix("http://").unwrap()
    }

    fn let_all_through(&self) {
        self.open.add_permits(1_000);
    }

    fn asked(&self, path: &str) -> usize {
        let received = self.receiver.received();
        received
            .iter()
            .filter(|one| one.path.starts_with(path))
            .count()
    }
}

async fn held(
    received: &Received,
    part: &str,
    (waiting, count): (&AtomicUsize, usize),
    told: &Notify,
    gate: &Semaphore,
) -> Response {
    if received.path.contains(part) {
        if waiting.fetch_add(1, Ordering::SeqCst) + 1 == count {
            told.notify_one();
        }
        drop(gate.acquire().await);
    }
    let body = match received.path.split('?').next().unwrap_or_default() {
        "/oauth/token" => json!({ "access_token": "t", "token_type": "bearer", "expires_in": 60 }),
        "/v1/orders" => json!({ "orders": [] }),
        "/api/orders" => json!([]),
        _ => json!({ "id": "o1" }),
    };
    answer(200, &body)
}

async fn connect(world: &World, key: &str, host: &str) -> String {
    let body = json!({
        "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
        "context": { "host": host }, "credentials": { "key": CANARY },
    });
    let made = world
        .ask(key, Method::POST, "/integrated-account", body)
        .await;
    made.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn server(shop: &Shop, id: &str) -> (String, String) {
    let path = format!("/integrated-account/{id}/mcp");
    let config = json!({ "config": { "calls_in_flight": 64 } });
    let made = shop.owner(Method::POST, &path, config).await.expect(201);
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

in_both_shops!(
    calls_of_other_apis_at_once_are_bounded_for_a_family_and_free_for_others,
    async |shop| {
        let slow = Slow::start("/orders/slow", 32).await;
        let world = &shop.world;
        let id = connect(world, &world.owner, slow.host()).await;
        let (_, token) = server(&shop, &id).await;
        let (other, _) = world.account("Other").await;
        let stranger = world.access_key(&other, Role::Owner, None).await;
        crate::shop::bring_connectors_as(world, &stranger.plain).await;
        let theirs = connect(world, &stranger.plain, slow.host()).await;
        let held = join_all((0..32).map(|_| shop.get(&id, "orders/slow")));
        let meanwhile = async {
            slow.arrived.notified().await;
            let refused = shop.get(&id, "orders").await;
            assert_eq!(refused.header("retry-after"), "1");
            assert_eq!(refused.expect(503)["code"], "too_busy");
            let custom = format!("/custom/orders?integrated_account_id={id}");
            let refused = shop.owner(Method::GET, &custom, Value::Null).await;
            assert_eq!(refused.header("retry-after"), "1");
            assert_eq!(refused.expect(503)["code"], "too_busy");
            let message = call_message("list_all_tea_orders", &json!({}));
            let refused = world.post(&token, &[], &message).await.expect(200);
            let refused = outcome(&refused).unwrap_err();
            assert_eq!(
                (&refused["code"], &refused["retry_after_s"]),
                (&json!("too_busy"), &json!(1))
            );
            // Credentials that could not be tried are not refused.
            let again = json!({ "id": id });
            let path = "/integrated-account/refresh-credentials";
            let tried = shop.owner(Method::POST, path, again).await.expect(200);
            assert_eq!(
                (&tried["status"], &tried["validation_error"]["code"]),
                (&json!("active"), &json!("too_busy"))
            );
            let path = format!("/proxy/orders?integrated_account_id={theirs}");
            let free = world.ask(&stranger.plain, Method::GET, &path, Value::Null);
            free.await.expect(200);
            slow.let_all_through();
        };
        let (held, ()) = tokio::join!(held, meanwhile);
        for answered in held {
            answered.expect(200);
        }
        shop.get(&id, "orders").await.expect(200);
    }
);

/// Ends something while a call waits for its token, and tells what came of the call.
async fn ended_meanwhile(
    shop: &Shop,
    slow: &Slow,
    call: impl Future<Output = TestResponse>,
    end: impl Future<Output = TestResponse>,
) -> TestResponse {
    shop.world.advance(4_000);
    let asked = slow.asked("/v1/orders");
    let meanwhile = async {
        slow.arrived.notified().await;
        let ended = end.await;
        assert!(ended.status.is_success(), "{}", ended.body);
        slow.let_all_through();
    };
    let (answered, ()) = tokio::join!(call, meanwhile);
    assert_eq!(slow.asked("/v1/orders"), asked, "no later upstream request");
    answered
}

/// The shop's own connector on an API that holds its second token.
async fn with_held_token(shop: &Shop) -> (Slow, String) {
    let slow = Slow::start("/oauth/token", 2).await;
    slow.open.add_permits(1);
    let body = json!({
        "integration": "orders", "tenant_id": "t", "context": { "host": slow.host() },
        "credentials": { "client_id": "agent", "client_secret": CANARY },
    });
    let made = shop.connect(body).await.expect(201);
    // The permit came back; from here on tokens wait.
    slow.open.forget_permits(1);
    let id = made["id"].as_str().unwrap().to_owned();
    (slow, id)
}

in_both_shops!(
    a_server_that_is_deleted_while_a_token_is_fetched_sends_nothing,
    async |shop| {
        let (slow, id) = with_held_token(&shop).await;
        let (server, token) = server(&shop, &id).await;
        let message = call_message("list_all_orders_orders", &json!({}));
        let call = shop.world.post(&token, &[], &message);
        let path = format!("/integrated-account/{id}/mcp/{server}");
        let end = shop.owner(Method::DELETE, &path, Value::Null);
        let answered = ended_meanwhile(&shop, &slow, call, end).await;
        let refused = outcome(&answered.expect(200)).unwrap_err();
        assert_eq!(refused["statusCode"], 401, "{refused}");
    }
);

in_both_shops!(
    a_caller_that_is_demoted_while_a_token_is_fetched_sends_nothing,
    async |shop| {
        let (slow, id) = with_held_token(&shop).await;
        let world = &shop.world;
        let caller = world.access_key(&world.account, Role::Admin, None).await;
        let path = format!("/proxy/orders?integrated_account_id={id}");
        let call = world.ask(&caller.plain, Method::GET, &path, Value::Null);
        let path = format!("/access-keys/{}", caller.id);
        let end = shop.owner(Method::DELETE, &path, Value::Null);
        ended_meanwhile(&shop, &slow, call, end).await.expect(401);
    }
);

in_both_shops!(
    credentials_that_are_changed_while_a_token_is_fetched_are_not_sent,
    async |shop| {
        let (slow, id) = with_held_token(&shop).await;
        let call = shop.get(&id, "orders");
        let path = format!("/integrated-account/{id}");
        let end = shop.owner(Method::DELETE, &path, Value::Null);
        ended_meanwhile(&shop, &slow, call, end).await.expect(404);
    }
);

in_both_shops!(
    a_connector_that_is_changed_while_a_token_is_fetched_sends_nothing,
    async |shop| {
        let (slow, id) = with_held_token(&shop).await;
        let call = shop.get(&id, "orders");
        let other = json!({ "label": "Other orders" });
        let change = shop.owner(Method::PATCH, "/integration/orders", other);
        let answered = ended_meanwhile(&shop, &slow, call, change).await;
        assert_eq!(answered.expect(409)["code"], "connector_changed");
        // Asked again it goes by what the connector says now.
        shop.get(&id, "orders").await.expect(200);
    }
);

#[test]
fn an_answer_of_megabytes_is_read_within_bounds() {
    run(Engine::Sqlite, async |shop| {
        let id = shop.keyed().await;
        let (_, token) = server(&shop, &id).await;
        let many = format!("[{}1]", "1,".repeat(4 * 1024 * 1024 - 2));
        shop.says(move |_| content_type("application/json", many.clone()));
        let refused = shop.get(&id, "orders/o1").await.expect(502);
        assert_eq!(refused["code"], "upstream_too_large");
        assert!(refused["message"].as_str().unwrap().contains("values"));
        // A few large values are read, scrubbed and passed on.
        let long = json!({ "id": format!("{}{CANARY}", "x".repeat(7 * 1024 * 1024)) });
        shop.says(move |_| answer(200, &long));
        let told = shop.get(&id, "orders/o1").await.expect(200);
        let text = told["result"]["id"].as_str().unwrap();
        assert!(text.ends_with("x***") && text.len() > 7 * 1024 * 1024);
        let name = "get_single_tea_order_by_id";
        let told = shop.world.call(&token, name, json!({ "id": "o1" })).await;
        assert_eq!(told.unwrap_err()["code"], "result_too_large");
    });
}

in_both_shops!(an_answer_that_is_encoded_is_not_passed_on, async |shop| {
    let id = shop.keyed().await;
    let custom = format!("/custom/orders?integrated_account_id={id}");
    for header in ["content-encoding", "transfer-encoding"] {
        shop.says(move |_| {
            let mut encoded = "not gzip".into_response();
            let value = if header == "content-encoding" {
                "gzip"
            } else {
                "gzip, chunked"
            };
            encoded.headers_mut().insert(header, value.parse().unwrap());
            encoded
        });
        let answered = shop.owner(Method::GET, &custom, Value::Null).await;
        assert!(!answered.body.to_string().contains("not gzip"), "{header}");
        answered.expect(502);
    }
    shop.says(|_| ([("content-encoding", "br")], "not br").into_response());
    let refused = shop.get(&id, "orders/o1").await.expect(502);
    assert_eq!(refused["code"], "upstream_encoded");
    let received = shop.upstream.received();
    let last = received.last().unwrap();
    assert_eq!(last.header("accept-encoding"), "identity");
    shop.says(|_| {
        let headers = [("content-encoding", "Identity")];
        (StatusCode::OK, headers, "plain").into_response()
    });
    let plain = shop.owner(Method::GET, &custom, Value::Null).await;
    assert_eq!(plain.expect(200), "plain");
});

in_both_shops!(
    a_raw_answer_has_no_credential_behind_escapes,
    async |shop| {
        let id = shop.keyed().await;
        let custom = format!("/custom/orders?integrated_account_id={id}");
        let hidden = CANARY.replace('/', "\\u002F").replace('+', "\\u002b");
        let said = format!("{{\"echo\": \"{hidden}\", \"n\": 1.50}}");
        shop.says(move |_| content_type("application/json", said.clone()));
        let told = shop.owner(Method::GET, &custom, Value::Null).await;
        assert_eq!(told.expect(200), json!({ "echo": "***", "n": 1.5 }));
        let kind: &'static str = Box::leak(format!("text/plain; x=\"{CANARY}\"").into_boxed_str());
        shop.says(move |_| content_type(kind, "plain"));
        let told = shop.owner(Method::GET, &custom, Value::Null).await;
        assert_eq!(told.header("content-type"), "");
    }
);

in_both_shops!(
    an_answer_that_is_no_json_shows_no_secret_of_its_tool,
    async |shop| {
        let get = json!({ "http": "GET /orders/{id}/invoice", "secret_fields": ["code"] });
        let invoices = json!({ "invoices": { "methods": { "get": get } } });
        shop.bring("sealing", json!({ "resources": invoices }))
            .await;
        let body = json!({
            "integration": "sealing", "tenant_id": "t", "authentication_method": "basic",
            "context": { "host": shop.host() },
            "credentials": { "username": "ann", "password": CANARY },
        });
        let id = shop.connect(body).await.expect(201)["id"].clone();
        let path = format!("/integrated-account/{}/mcp", id.as_str().unwrap());
        let config = json!({ "config": { "secrets": "seal" } });
        let made = shop.owner(Method::POST, &path, config).await.expect(201);
        let token = made["token"].as_str().unwrap();
        let name = "get_single_tea_invoices_by_id";
        for (kind, said) in [
            ("text/html", "<p>secret-code</p>"),
            ("text/plain", "secret-code"),
            ("application/json", "\"secret-code\""),
            ("application/pdf", "%PDF secret-code"),
        ] {
            shop.says(move |_| content_type(kind, said));
            let told = shop.world.call(token, name, json!({ "id": "o1" })).await;
            let told = told.unwrap().to_string();
            assert!(!told.contains("secret-code"), "{told}");
            let is_sealed = told.contains("sealed_mcp_");
            assert_eq!(is_sealed, kind != "application/pdf", "{told}");
            assert!(!told.contains("JVBERi"), "in base64: {told}");
        }
    }
);

in_both_shops!(
    what_a_connector_sends_with_every_call_is_sent_and_does_not_come_back,
    async |shop| {
        let sent = json!({ "headers": { "x-key": CANARY }, "query": { "key": CANARY } });
        shop.bring("keyed", sent).await;
        let body = json!({
            "integration": "keyed", "tenant_id": "t", "authentication_method": "basic",
            "context": { "host": shop.host() },
            "credentials": { "username": "ann", "password": "unlike-the-rest" },
        });
        let id = shop.connect(body).await.expect(201)["id"].clone();
        let id = id.as_str().unwrap();
        shop.says(|received| answer(200, &json!({ "id": received.header("x-key") })));
        let told = shop.get(id, "orders/o1").await.expect(200);
        assert_eq!(told, json!({ "result": { "id": "***" } }));
        let received = shop.upstream.received();
        let last = received.last().unwrap();
        assert_eq!(last.header("x-key"), CANARY);
        assert!(last.path.contains("key=canary%2Fof"), "{}", last.path);
    }
);
