//! Calls of another API over the network: what it is sent, and what is told of its answers.

use axum::body::Body;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use claviger_testkit::{PUBLIC_HOST, TestApp};
use futures::stream;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::shop::{
    CANARY, answer, bring_connectors_over, content_type, has_canary, in_both_shops, run,
};
use crate::world::World;

in_both_shops!(each_form_of_credentials_goes_to_its_place, async |shop| {
    let keyed = shop.keyed().await;
    let basic = shop
        .tea("basic", json!({ "username": "ann", "password": CANARY }))
        .await;
    let bearer = shop.tea("bearer", json!({ "token": CANARY })).await;
    for id in [&keyed, &basic, &bearer] {
        shop.get(id, "orders/a%20b?expand=true").await.expect(200);
    }
    let received = shop.upstream.received();
    let [by_key, by_name, by_query] = received.last_chunk().unwrap();
    assert_eq!(by_key.header("x-tea-key"), CANARY);
    assert_eq!(by_key.path, "/api/orders/a%20b?expand=true");
    let pair = STANDARD.encode(format!("ann:{CANARY}"));
    assert_eq!(by_name.header("authorization"), format!("Basic {pair}"));
    assert_eq!(
        by_query.path,
        "/api/orders/a%20b?expand=true&token=canary%2Fof%2B32%3Dletters%26more"
    );
    for header in ["x-api-key", "cookie", "x-forwarded-for", "referer"] {
        assert_eq!(by_key.header(header), "", "{header}");
    }
});

in_both_shops!(a_dry_run_masks_and_sends_nothing, async |shop| {
    let keyed = shop.keyed().await;
    let bearer = shop.tea("bearer", json!({ "token": CANARY })).await;
    let before = shop.upstream.received().len();
    let body = json!({ "sku": "x" });
    let shown = shop
        .proxy(&keyed, Method::POST, "orders?dry_run=true", body)
        .await
        .expect(200);
    assert_eq!(shown["result"]["headers"]["x-tea-key"], "***");
    assert_eq!(
        shown["result"]["url"],
        format!("{}/api/orders", shop.upstream.url)
    );
    assert_eq!(shown["result"]["body"], json!({ "sku": "x" }));
    let shown = shop.get(&bearer, "orders?dry_run=true").await.expect(200);
    let url = shown["result"]["url"].as_str().unwrap();
    assert!(
        url.ends_with("token=%2A%2A%2A") && !has_canary(&shown.to_string()),
        "{shown}"
    );
    assert_eq!(shop.upstream.received().len(), before);
});

/// The canary in every spelling that comes back.
fn echoes() -> Vec<String> {
    let percent = "canary%2Fof%2B32%3Dletters%26more";
    vec![
        CANARY.to_owned(),
        percent.to_owned(),
        percent.to_lowercase(),
        STANDARD.encode(CANARY),
        CANARY.replace('&', "&amp;"),
        CANARY.replace('/', "\\/"),
    ]
}

in_both_shops!(no_answer_has_a_credential_in_it, async |shop| {
    let id = shop.keyed().await;
    for echo in echoes() {
        for status in [200, 400, 500] {
            let (said, told) = (
                echo.clone(),
                json!({ "message": format!("no {echo}"), "list": [echo] }),
            );
            shop.says(move |_| answer(status, &told));
            let answered = shop.get(&id, "orders/o1").await;
            assert!(!has_canary(&answered.body.to_string()), "{}", answered.body);
            shop.says(move |_| content_type("text/html", format!("<p>{said}</p>")));
            let answered = shop.get(&id, "orders/o1").await;
            assert!(!has_canary(&answered.body.to_string()), "{}", answered.body);
            let custom = format!("/custom/orders?integrated_account_id={id}");
            let answered = shop.owner(Method::GET, &custom, Value::Null).await;
            assert!(!has_canary(&answered.body.to_string()), "{}", answered.body);
        }
    }
    // A long one is cut, and not in the middle of a credential.
    let long = format!("{}{CANARY}", "x".repeat(64 * 1024 - 9));
    shop.says(move |_| (StatusCode::BAD_REQUEST, long.clone()).into_response());
    let answered = shop.get(&id, "orders/o1").await.expect(400);
    let raw = answered["raw_response"].as_str().unwrap();
    assert!(raw.len() <= 64 * 1024 && !has_canary(raw));
});

#[test]
fn upstream_answers_html_opened_by_a_signed_in_owner() {
    run(claviger_testkit::Engine::Sqlite, async |shop| {
        let id = shop.keyed().await;
        shop.says(|_| {
            let page = "<script>alert(1)</script>";
            let headers = [
                (header::CONTENT_TYPE, "text/html"),
                (header::SET_COOKIE, "a=b"),
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
                (header::CONTENT_SECURITY_POLICY, "default-src *"),
                (header::CONTENT_DISPOSITION, "inline"),
            ];
            (headers, page).into_response()
        });
        let custom = format!("/custom/page?integrated_account_id={id}");
        let raw = shop.owner(Method::GET, &custom, Value::Null).await;
        assert_eq!(raw.body, "<script>alert(1)</script>");
        assert_eq!(raw.header("content-security-policy"), "sandbox");
        assert_eq!(raw.header("x-content-type-options"), "nosniff");
        assert_eq!(raw.header("content-disposition"), "attachment");
        for header in ["set-cookie", "access-control-allow-origin"] {
            assert_eq!(raw.header(header), "", "{header}");
        }
        // A tool's answer has it as a text, through every face.
        let told = shop.get(&id, "orders/o1").await;
        assert_eq!(told.header("content-type"), "application/json");
        let told = told.expect(200);
        assert_eq!(told, json!({ "result": "<script>alert(1)</script>" }));
    });
}

#[test]
fn a_binary_body_passes_through_and_a_model_gets_it_in_letters() {
    run(claviger_testkit::Engine::Sqlite, async |shop| {
        let id = shop.keyed().await;
        shop.says(|_| content_type("application/pdf", &b"%PDF\xff\0"[..]));
        let passed = shop.get(&id, "invoices/o1").await;
        assert_eq!(passed.header("content-security-policy"), "sandbox");
        assert_eq!(passed.header("content-disposition"), "attachment");
        assert_eq!(
            (passed.status, passed.header("content-type")),
            (StatusCode::OK, "application/pdf")
        );
        let made = shop
            .owner(
                Method::POST,
                &format!("/integrated-account/{id}/mcp"),
                json!({}),
            )
            .await;
        let token = made.expect(201)["token"].as_str().unwrap().to_owned();
        let name = "get_single_tea_invoices_by_id";
        let told = shop
            .world
            .call(&token, name, json!({ "id": "o1" }))
            .await
            .unwrap();
        let expected = json!({
            "content_type": "application/pdf", "size": 6, "base64": STANDARD.encode(b"%PDF\xff\0"),
        });
        assert_eq!(told["result"], expected);
    });
}

#[test]
fn what_an_upstream_does_wrong_is_bounded_and_named() {
    run(claviger_testkit::Engine::Sqlite, async |shop| {
        let id = shop.keyed().await;
        let large = || {
            let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
            let chunks = (0..200).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
            Body::from_stream(stream::iter(chunks)).into_response()
        };
        let elsewhere = shop.upstream.url.clone();
        let refused = async |code: &str, status: u16| {
            let answered = shop.get(&id, "orders/o1").await.expect(status);
            assert_eq!(
                (&answered["code"], &answered["is_remote_error"]),
                (&json!(code), &json!(true))
            );
        };
        shop.says(move |_| large());
        refused("upstream_too_large", 502).await;
        shop.says(|_| content_type("application/json", "{\"a\":"));
        refused("upstream_malformed", 502).await;
        shop.says(move |_| {
            (StatusCode::FOUND, [(header::LOCATION, elsewhere.clone())]).into_response()
        });
        refused("upstream_redirected", 502).await;
        shop.says(|_| answer(200, &json!({ "ok": false, "message": "sold out" })));
        refused("remote_error", 502).await;
        shop.says(|_| answer(418, &json!({ "code": "teapot" })));
        refused("teapot", 418).await;
        let nobody = json!({ "context": { "host": "127.0.0.1:1" } });
        let path = format!("/integrated-account/{id}");
        shop.owner(Method::PATCH, &path, nobody).await.expect(200);
        let entered = json!({ "credentials": { "key": "k" } });
        let changed = shop
            .owner(Method::PATCH, &format!("{path}/credentials"), entered)
            .await;
        let changed = changed.expect(200);
        assert_eq!(changed["status"], "validation_error");
        assert_eq!(changed["validation_error"]["code"], "upstream_unreachable");
    });
}

in_both_shops!(
    nothing_is_retried_and_limits_are_told_in_seconds,
    async |shop| {
        let orders = shop.orders().await;
        let id = orders["id"].as_str().unwrap();
        let now = shop.world.app.core.now().as_micros() / 1_000_000;
        shop.says(move |_| {
            let mut over = answer(429, &json!({ "error": { "detail": "slowly" } }));
            let headers = over.headers_mut();
            headers.insert("x-ratelimit-limit", 100.into());
            headers.insert("x-ratelimit-remaining", 0.into());
            headers.insert("x-ratelimit-reset", (now + 30).into());
            headers.insert("retry-after", 30.into());
            over
        });
        let before = shop.upstream.received().len();
        let over = shop.get(id, "orders").await;
        assert_eq!(over.header("ratelimit-reset"), "30");
        assert_eq!(over.header("ratelimit-limit"), "100");
        assert_eq!(over.header("retry-after"), "30");
        assert_eq!(over.expect(429)["message"], "slowly");
        assert_eq!(shop.upstream.received().len(), before + 1);
    }
);

in_both_shops!(a_list_is_walked_by_its_links, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    shop.says(|received| {
        let order = |id: &str| json!({ "id": id, "status": "paid", "amount": { "value": 5, "currency": "EUR" } });
        let is_second = received.path.contains("after=o1");
        let mut page = answer(200, &json!({ "orders": [order(if is_second { "o2" } else { "o1" })] }));
        if !is_second {
            let link = r#"<https://elsewhere.test/v9/x?after=o1&per_page=1>; rel="next""#;
            page.headers_mut().insert("link", link.parse().unwrap());
        }
        page
    });
    let first = shop.get(id, "orders?limit=1&tag=a&tag=b").await.expect(200);
    let expected = json!([{ "id": "o1", "state": "paid", "total": 5, "currency": "EUR" }]);
    assert_eq!(first["result"], expected);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = format!("orders?limit=1&tag=a&tag=b&next_cursor={cursor}");
    let second = shop.get(id, &second).await.expect(200);
    assert_eq!(
        (&second["result"][0]["id"], &second["next_cursor"]),
        (&json!("o2"), &Value::Null)
    );
    let received = shop.upstream.received();
    let paths: Vec<_> = received.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths[paths.len() - 2..],
        [
            "/v1/orders?tag=a&tag=b&per_page=1",
            "/v1/orders?tag=a&tag=b&after=o1&per_page=1"
        ]
    );
    let before = received.len();
    for borrowed in [
        format!("orders?tag=c&next_cursor={cursor}"),
        "orders?next_cursor=forged".to_owned(),
    ] {
        let refused = shop.get(id, &borrowed).await.expect(400);
        assert_eq!(refused["code"], "invalid_cursor");
    }
    assert_eq!(
        shop.upstream.received().len(),
        before,
        "no upstream request"
    );
});

in_both_shops!(a_credential_in_a_link_is_in_no_cursor, async |shop| {
    let paged = json!({ "pagination": { "style": "link_header", "limit": "per_page" } });
    shop.bring("linked", paged).await;
    // It is asked with the key in its URLs, and writes links with it.
    shop.says(|received| {
        let (_, query) = received.path.split_once('?').unwrap();
        let is_second = query.contains("after=o1");
        let after = if is_second { "" } else { "&after=o1" };
        let link = format!("<https://x.test/api/orders?{query}{after}>; rel=\"next\"");
        let mut page = answer(200, &json!([{ "id": "o1" }]));
        page.headers_mut().insert("link", link.parse().unwrap());
        page
    });
    let connected = shop.connect(json!({
        "integration": "linked", "tenant_id": "t", "authentication_method": "bearer",
        "context": { "host": shop.host() }, "credentials": { "token": CANARY },
    }));
    let connected = connected.await.expect(201);
    let id = connected["id"].as_str().unwrap();
    let first = shop.get(id, "orders?limit=1").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = format!("orders?limit=1&next_cursor={cursor}");
    let shown = shop.get(id, &format!("{next}&dry_run=true")).await;
    let shown = shown.expect(200).to_string();
    assert!(shown.contains("after=o1"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    // The second page links to itself, with the key too: that is the end of the list.
    let second = shop.get(id, &next).await.expect(200);
    assert_eq!(second["next_cursor"], Value::Null);
    // A link with nothing else in it leads to no other page.
    shop.says(|_| {
        let link = format!("<https://x.test/api/orders?token={CANARY}>; rel=\"next\"");
        let mut page = answer(200, &json!([{ "id": "o1" }]));
        page.headers_mut().insert("link", link.parse().unwrap());
        page
    });
    let last = shop.get(id, "orders?limit=1").await.expect(200);
    assert_eq!(last["next_cursor"], Value::Null);
    shop.says_as_usual();
    // With another credential the old one goes nowhere.
    let changed = json!({ "credentials": { "token": "another-token" } });
    let path = format!("/integrated-account/{id}/credentials");
    shop.owner(Method::PATCH, &path, changed).await.expect(200);
    shop.get(id, &next).await.expect(200);
    let received = shop.upstream.received();
    let path = &received.last().unwrap().path;
    assert!(
        path.contains("after=o1") && path.contains("another-token"),
        "{path}"
    );
    assert!(!path.contains("canary"), "{path}");
});

in_both_shops!(an_idempotency_key_goes_on, async |shop| {
    let id = shop.keyed().await;
    let path = format!("/proxy/orders?integrated_account_id={id}");
    let request = shop.world.app.request("POST", &path).key(&shop.world.owner);
    let request = request
        .header("idempotency-key", "once")
        .json(json!({ "sku": "x" }));
    request.send().await.expect(200);
    let received = shop.upstream.received();
    assert_eq!(received.last().unwrap().header("idempotency-key"), "once");
});

#[tokio::test]
async fn ssrf_table_literals_names_and_own_origin_by_connector_and_oauth() {
    let world = World::of(TestApp::in_public().await).await;
    bring_connectors_over("https://", &world, &world.owner).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "localhost",
        PUBLIC_HOST,
    ] {
        for (integration, credentials) in [
            ("tea", json!({ "key": CANARY })),
            (
                "orders",
                json!({ "client_id": "a", "client_secret": CANARY }),
            ),
        ] {
            let format = if integration == "tea" {
                json!("api_key")
            } else {
                Value::Null
            };
            let body = json!({
                "integration": integration, "tenant_id": "t", "authentication_method": format,
                "context": { "host": host }, "credentials": credentials,
            });
            let made = world
                .ask(&world.owner, Method::POST, "/integrated-account", body)
                .await;
            let made = made.expect(201);
            assert_eq!(made["status"], "validation_error", "{host}");
            assert_eq!(
                made["validation_error"]["code"], "upstream_unreachable",
                "{host}"
            );
        }
    }
    for host in ["[::1]", "a@127.0.0.1", "127.0.0.1:22", "example.com/x"] {
        let body = json!({
            "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": host }, "credentials": { "key": CANARY },
        });
        let made = world
            .ask(&world.owner, Method::POST, "/integrated-account", body)
            .await;
        made.expect(400);
    }
}

#[tokio::test]
async fn a_credential_goes_over_no_connection_that_others_read() {
    let world = World::of(TestApp::in_public().await).await;
    bring_connectors_over("http://", &world, &world.owner).await;
    for host in ["example.com", "93.184.215.14"] {
        let body = json!({
            "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": host }, "credentials": { "key": CANARY },
        });
        let made = world.ask(&world.owner, Method::POST, "/integrated-account", body);
        let refused = made.await.expect(400);
        assert!(
            refused["message"].as_str().unwrap().contains("https://"),
            "{refused}"
        );
    }
}

in_both_shops!(a_cursor_of_one_host_is_none_of_another, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    shop.says(|_| {
        let link = "<https://x.test/v1/orders?after=o1>; rel=next";
        let mut page = answer(200, &json!({ "orders": [] }));
        page.headers_mut().insert("link", link.parse().unwrap());
        page
    });
    let first = shop.get(id, "orders").await.expect(200);
    let next = format!(
        "orders?next_cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    shop.get(id, &next).await.expect(200);
    let moved = json!({ "context": { "host": "127.0.0.1:1" } });
    let path = format!("/integrated-account/{id}");
    shop.owner(Method::PATCH, &path, moved).await.expect(200);
    let refused = shop.get(id, &next).await.expect(400);
    assert_eq!(refused["code"], "invalid_cursor");
});
