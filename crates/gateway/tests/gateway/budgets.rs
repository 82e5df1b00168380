//! What one MCP server may use: calls a minute, calls at once, the size of a result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::middleware;
use claviger_domain::role::Role;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::{World, call_message, outcome};

const CREATE: &str = "create_a_the_auth_api_api_key";
const READ: &str = "get_single_the_auth_api_api_key_by_id";
const LIST: &str = "list_all_the_auth_api_api_keys";

#[tokio::test]
async fn over_the_calls_of_a_minute_is_a_result_that_says_when_to_come_again() {
    let world = World::new().await;
    let (_, token) = world.server(json!({ "calls_per_minute": 2 })).await;
    let (_, other) = world.server(json!({})).await;
    for _ in 0..2 {
        world.call(&token, LIST, json!({})).await.unwrap();
        world.advance(10);
    }
    let answer = world
        .post(&token, &[], &call_message(LIST, &json!({})))
        .await;
    assert_eq!(answer.headers["retry-after"], "40");
    assert_eq!(answer.headers["ratelimit-limit"], "2");
    assert_eq!(answer.headers["ratelimit-remaining"], "0");
    let error = outcome(&answer.expect(200)).unwrap_err();
    assert_eq!(error["code"], "over_budget");
    assert_eq!(
        (&error["statusCode"], &error["retry_after_s"]),
        (&json!(429), &json!(40))
    );
    // It reached no upstream, and is in the log.
    let log = world.get("/log?status=429").await.body;
    assert_eq!(log["result"][0]["upstream_status"], Value::Null);
    world.call(&other, LIST, json!({})).await.unwrap();
    world.advance(40);
    world.call(&token, LIST, json!({})).await.unwrap();
}

#[tokio::test]
async fn over_the_calls_at_once_is_refused_until_one_ends() {
    let (reached, is_open) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (told, open) = (Arc::clone(&reached), Arc::clone(&is_open));
    let world = World::with_upstream(|upstream| {
        upstream.layer(middleware::map_request(
            move |request: axum::extract::Request| {
                let (told, open) = (Arc::clone(&told), Arc::clone(&open));
                async move {
                    if !open.load(Ordering::Relaxed) {
                        told.notify_one();
                        std::future::pending::<()>().await;
                    }
                    request
                }
            },
        ))
    })
    .await;
    let (_, token) = world.server(json!({ "calls_in_flight": 1 })).await;
    let message = call_message(LIST, &json!({}));
    let refused = async {
        reached.notified().await;
        world.call(&token, LIST, json!({})).await.unwrap_err()
    };
    let error = tokio::select! {
        _ = world.post(&token, &[], &message) => panic!("the upstream does not answer"),
        error = refused => error,
    };
    assert_eq!(
        (&error["code"], &error["retry_after_s"]),
        (&json!("over_budget"), &json!(1))
    );
    // The client of the first one is gone, and its call with it.
    is_open.store(true, Ordering::Relaxed);
    world.call(&token, LIST, json!({})).await.unwrap();
}

#[tokio::test]
async fn a_large_list_is_cut_honestly_and_goes_on_with_the_next_page() {
    let world = World::new().await;
    let (_, token) = world.server(json!({ "result_kib": 8 })).await;
    let (_, wide) = world.server(json!({})).await;
    let note = "x".repeat(300);
    for number in 0..30 {
        let arguments =
            json!({ "name": format!("key {number}"), "customMetaData": { "note": note } });
        world.call(&wide, CREATE, arguments).await.unwrap();
    }
    let (mut names, mut cuts, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let mut arguments = json!({ "limit": 20 });
        if !cursor.is_null() {
            arguments["next_cursor"] = cursor;
        }
        let page = world.call(&token, LIST, arguments).await.unwrap();
        assert!(page.to_string().len() <= 8 * 1_024);
        let items = page["result"].as_array().unwrap();
        assert_eq!(page["result_count"], items.len());
        names.extend(
            items
                .iter()
                .map(|key| key["name"].as_str().unwrap().to_owned()),
        );
        if page.get("cut").is_some() {
            cuts += 1;
            assert!(!page["next_cursor"].is_null(), "{}", page["cut"]);
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(cuts > 0);
    let all = world.call(&wide, LIST, json!({})).await.unwrap();
    let expected = all["result"].as_array().unwrap().iter();
    let expected: Vec<_> = expected.map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, expected);
    assert_eq!(all.get("cut"), None);
}

#[tokio::test]
async fn what_cannot_be_cut_says_that_the_call_was_carried_out() {
    let world = World::new().await;
    let (_, token) = world.server(json!({ "result_kib": 4 })).await;
    let note = "x".repeat(5_000);
    let arguments = json!({ "name": "large", "customMetaData": { "note": note } });
    // What is told once is told all the same.
    let made = world.call(&token, CREATE, arguments).await.unwrap();
    let result = made["result"].as_object().unwrap();
    assert!(made["cut"].is_string() && result["key"].as_str().unwrap().starts_with("live_"));
    assert!(result.len() == 2 && result["id"].is_string(), "{made}");
    let read = json!({ "id": result["id"] });
    let error = world.call(&token, READ, read).await.unwrap_err();
    assert_eq!(error["code"], "result_too_large");
    assert!(
        error["message"].as_str().unwrap().contains("carried out"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_over_its_budget_uses_up_nothing_of_its_maker_s_limit() {
    let world = World::new().await;
    let maker = world.access_key(&world.account, Role::Admin, None).await;
    let config = json!({ "calls_per_minute": 1 });
    let (_, token) = world.server_of(&maker.plain, config).await;
    let limit = json!({ "rateLimit": 3, "rateLimitTtl": 600 });
    let path = format!("/access-keys/{}", maker.id);
    let limited = world.ask(&world.owner, Method::PATCH, &path, limit).await;
    limited.expect(200);
    world.call(&token, LIST, json!({})).await.unwrap();
    for _ in 0..10 {
        let error = world.call(&token, LIST, json!({})).await.unwrap_err();
        assert_eq!(error["code"], "over_budget");
    }
    // Two of three are left, and what the limit refuses is none of the server's calls.
    for _ in 0..2 {
        let asked = world.ask(&maker.plain, Method::GET, "/projects", Value::Null);
        asked.await.expect(200);
    }
    world.advance(60);
    let error = world.call(&token, LIST, json!({})).await.unwrap_err();
    assert_eq!(error["code"], "caller_rate_limited");
    world.advance(540);
    world.call(&token, LIST, json!({})).await.unwrap();
    let error = world.call(&token, LIST, json!({})).await.unwrap_err();
    assert_eq!(error["code"], "over_budget");
}

#[tokio::test]
async fn refused_calls_without_end_have_few_lines() {
    let world = World::new().await;
    let (server, token) = world.server(json!({ "calls_per_minute": 1 })).await;
    let guarded = json!({ "require_api_token_auth": true });
    let (_, without) = world.server(guarded).await;
    for _ in 0..100 {
        drop(world.call(&token, LIST, json!({})).await);
        let message = call_message(LIST, &json!({}));
        world.post(&without, &[], &message).await.expect(401);
    }
    let lines = async |of: &str| {
        let log = world
            .get(&format!("/log?limit=1000&{of}"))
            .await
            .expect(200);
        log["result_count"].as_u64().unwrap()
    };
    assert_eq!(lines("status=429").await, 60);
    assert_eq!(lines("status=401").await, 60);
    assert_eq!(
        lines(&format!("mcp_server_id={server}&status=200")).await,
        1
    );
    world.advance(60);
    world
        .post(&without, &[], &call_message(LIST, &json!({})))
        .await
        .expect(401);
    assert_eq!(lines("status=401").await, 61);
}
