//! APIs that are odd, which is no reason for a call to come to nothing: answers that hardly are, and requests
//! that are forms.

use axum::response::IntoResponse;
use claviger_testkit::Engine;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::shop::{answer, content_type, run};

#[test]
fn a_status_that_answers_nothing_is_no_answer_of_ours() {
    run(Engine::Sqlite, async |shop| {
        let id = shop.keyed().await;
        for status in [StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS] {
            shop.says(move |_| status.into_response());
            let told = shop.get(&id, "orders/o1").await.expect(502);
            assert_eq!(told["code"], "upstream_malformed", "{status}");
            let custom = format!("/custom/orders?integrated_account_id={id}");
            let told = shop.owner(Method::GET, &custom, Value::Null).await;
            assert_eq!(told.expect(502)["code"], "upstream_malformed", "{status}");
        }
        // Whoever asks whether something was changed is told.
        shop.says(|_| StatusCode::NOT_MODIFIED.into_response());
        let path = format!("/custom/orders?integrated_account_id={id}");
        let request = shop.world.app.request("GET", &path).key(&shop.world.owner);
        let told = request.header("if-none-match", "\"1\"").send().await;
        assert_eq!(told.status, StatusCode::NOT_MODIFIED);
        shop.says_as_usual();
        shop.get(&id, "orders/o1").await.expect(200);
    });
}

#[test]
fn a_text_that_was_cut_in_a_character_costs_no_list() {
    run(Engine::Sqlite, async |shop| {
        let id = shop.keyed().await;
        shop.says(|_| {
            let marked = "\u{feff}[{\"note\": \"tea \\ud83c\"}, {\"note\": \"\\ud83c\\udf75\"}]";
            content_type("application/json; charset=utf-8", marked)
        });
        let told = shop.get(&id, "orders").await.expect(200);
        let expected = json!([{ "note": "tea \u{fffd}" }, { "note": "\u{1f375}" }]);
        assert_eq!(told["result"], expected);
    });
}

#[test]
fn a_credential_among_what_is_no_secret_is_told_where_it_goes() {
    run(Engine::Sqlite, async |shop| {
        let context = json!({ "host": shop.host(), "key": "canary" });
        let body = json!({ "integration": "tea", "tenant_id": "t", "authentication_method": "api_key", "context": context });
        let refused = shop.connect(body).await.expect(400);
        let told = "context: has `key`, which goes into `credentials`";
        assert_eq!(refused["message"], told);
    });
}

#[test]
fn behind_the_last_item_of_a_range_is_an_empty_page() {
    run(Engine::Sqlite, async |shop| {
        let ranged = json!({ "pagination": { "style": "range", "unit": "items" } });
        shop.bring("ranged", ranged).await;
        let connected = shop.connect(json!({
            "integration": "ranged", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": shop.host() }, "credentials": { "key": "k" },
        }));
        let connected = connected.await.expect(201);
        let id = connected["id"].as_str().unwrap();
        // It does not tell how many there are, so that a full page may be the last.
        shop.says(|received| {
            if received.header("range") != "items=0-1" {
                return answer(416, &json!({ "message": "there is no such range" }));
            }
            let mut page = answer(206, &json!([{ "id": "o1" }, { "id": "o2" }]));
            let headers = page.headers_mut();
            headers.insert(header::CONTENT_RANGE, "items 0-1/*".parse().unwrap());
            page
        });
        let first = shop.get(id, "orders?limit=2").await.expect(206);
        let next = first["next_cursor"].as_str().unwrap();
        let last = format!("orders?limit=2&next_cursor={next}");
        let last = shop.get(id, &last).await.expect(200);
        assert_eq!(
            (&last["result"], &last["next_cursor"], &last["result_count"]),
            (&json!([]), &Value::Null, &json!(0))
        );
        assert!(last["prev_cursor"].is_string());
    });
}

#[test]
fn a_link_to_the_page_itself_ends_the_list() {
    run(Engine::Sqlite, async |shop| {
        let orders = shop.orders().await;
        let id = orders["id"].as_str().unwrap();
        shop.says(|_| {
            let mut page = answer(200, &json!({ "orders": [] }));
            let link = "<?after=o1>; rel=next".parse().unwrap();
            page.headers_mut().insert("link", link);
            page
        });
        let first = shop.get(id, "orders").await.expect(200);
        let next = first["next_cursor"].as_str().unwrap();
        let second = format!("orders?next_cursor={next}");
        let second = shop.get(id, &second).await.expect(200);
        assert_eq!(second["next_cursor"], Value::Null);
    });
}

#[test]
fn a_form_is_sent_as_one_through_every_face() {
    run(Engine::Sqlite, async |shop| {
        let schema = json!({ "type": "object", "required": ["text"], "properties": {
            "text": { "type": "string" }, "to": { "type": "array", "items": { "type": "string" } },
        } });
        let content = json!({ "application/x-www-form-urlencoded": { "schema": schema } });
        let post = json!({ "summary": "Posts.", "requestBody": { "content": content } });
        let document = json!({ "openapi": "3.0.0", "paths": {
            "/orders": { "get": { "summary": "Lists." } }, "/messages": { "post": post },
            "/messages/{id}/pin": { "post": { "summary": "Pins." } },
        } });
        let messages = json!({ "methods": { "create": { "http": "POST /messages", "fixed": { "as": "bot" } },
            "pin": { "http": "POST /messages/{id}/pin" } } });
        let orders = json!({ "methods": { "list": { "http": "GET /orders" } } });
        let resources = json!({ "messages": messages, "orders": orders });
        let changes = json!({ "openapi": document, "resources": resources });
        shop.bring("chat", changes).await;
        let connected = shop.connect(json!({
            "integration": "chat", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": shop.host() }, "credentials": { "key": "k" },
        }));
        let connected = connected.await.expect(201);
        let id = connected["id"].as_str().unwrap();
        let arguments = json!({ "text": "a&b +c", "to": ["x", "y"] });
        let form = "text=a%26b%20%2Bc&to=x&to=y&as=bot";
        let shown = shop.proxy(id, Method::POST, "messages?dry_run=true", arguments.clone());
        let shown = shown.await.expect(200);
        assert_eq!(shown["result"]["body"], form);
        let sent = shop.proxy(id, Method::POST, "messages", arguments.clone());
        sent.await.expect(200);
        let path = format!("/integrated-account/{id}/mcp");
        let made = shop.owner(Method::POST, &path, json!({})).await.expect(201);
        let token = made["token"].as_str().unwrap();
        let called = shop.world.call(token, "create_a_tea_messages", arguments);
        called.await.unwrap();
        let pinned = shop.proxy(id, Method::POST, "messages/pin", json!({ "id": "m1" }));
        pinned.await.expect(200);
        let pinned = shop.upstream.received().pop().unwrap();
        assert_eq!(pinned.path, "/api/messages/m1/pin");
        assert_eq!(
            pinned.header("content-length"),
            "0",
            "some answer 411 without it"
        );
        let received = shop.upstream.received();
        for one in &received[received.len() - 3..received.len() - 1] {
            assert_eq!(one.path, "/api/messages");
            assert_eq!(one.body, form);
            assert_eq!(
                one.header("content-type"),
                "application/x-www-form-urlencoded"
            );
        }
    });
}
