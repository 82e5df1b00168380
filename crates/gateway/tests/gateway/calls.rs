//! The one call: arguments, pages, the envelope, and failures that a model can act on.

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{World, call_message, outcome};

const CREATE: &str = "create_a_the_auth_api_api_key";
const LIST: &str = "list_all_the_auth_api_api_keys";
const READ: &str = "get_single_the_auth_api_api_key_by_id";
const LOOK_UP: &str = "the_auth_api_api_keys_list_2";
const CHECK: &str = "list_all_the_auth_api_api_keys_auths";
const EXPLAIN: &str = "create_a_the_auth_api_api_keys_auth";
const EXPLAIN_BY_ID: &str = "get_single_the_auth_api_api_keys_auth_by_id";
const ROTATE: &str = "create_a_the_auth_api_api_key_rotate";
const REVOKE: &str = "delete_a_the_auth_api_api_key_by_id";
const REACTIVATE: &str = "update_a_the_auth_api_api_key_reactivate_by_id";

async fn connected() -> (World, String) {
    let world = World::new().await;
    let (_, token) = world.server(json!({})).await;
    (world, token)
}

#[tokio::test]
async fn a_key_lives_its_life_through_tools() {
    let (world, token) = connected().await;
    let call = async |name, arguments| {
        world.call(&token, name, arguments).await.unwrap()["result"].clone()
    };
    let created = call(
        CREATE,
        json!({ "name": "Ada", "customMetaData": { "plan": "pro" } }),
    )
    .await;
    assert!(created["key"].as_str().unwrap().starts_with("live_"));
    let (id, key) = (created["id"].clone(), created["key"].clone());

    let read = call(READ, json!({ "id": id })).await;
    assert!(read["key"].as_str().unwrap().ends_with("*********"));
    assert_eq!(read["customMetaData"], json!({ "plan": "pro" }));
    for named in [&id, &key, &read["key"]] {
        assert_eq!(call(LOOK_UP, json!({ "key": named })).await["id"], id);
    }
    assert_eq!(call(CHECK, json!({ "key": key })).await["id"], id);
    assert_eq!(
        call(EXPLAIN, json!({ "id": id, "ip": "192.0.2.7" })).await["wouldAnswer"],
        200
    );

    let rotated = call(ROTATE, json!({ "id": id })).await;
    assert_ne!(rotated["id"], id);
    let refused = world
        .call(&token, CHECK, json!({ "key": key }))
        .await
        .unwrap_err();
    assert_eq!(refused["statusCode"], 404);
    assert_eq!(call(REVOKE, json!({ "id": rotated["id"] })).await, true);
    assert_eq!(
        call(EXPLAIN_BY_ID, json!({ "id": rotated["id"] })).await["wouldAnswer"],
        404
    );
    assert_eq!(
        call(REACTIVATE, json!({ "id": rotated["id"] })).await["isActive"],
        true
    );
}

#[tokio::test]
async fn asking_about_a_key_counts_nothing() {
    let (world, token) = connected().await;
    let limits = json!({ "rateLimit": 1, "rateLimitTtl": 60 });
    let created = world
        .call(
            &token,
            CREATE,
            json!({ "name": "Limited", "rateLimitConfigs": limits }),
        )
        .await;
    let created = created.unwrap()["result"].clone();
    for _ in 0..3 {
        world
            .call(&token, CHECK, json!({ "key": created["key"] }))
            .await
            .unwrap();
        world
            .call(&token, EXPLAIN, json!({ "id": created["id"] }))
            .await
            .unwrap();
    }
    let read = world
        .call(&token, READ, json!({ "id": created["id"] }))
        .await
        .unwrap();
    assert_eq!(read["result"]["firstUsedAt"], Value::Null);
    let path = format!("/api-keys/auth/{}", created["key"].as_str().unwrap());
    assert_eq!(
        world
            .ask(&world.owner, Method::POST, &path, Value::Null)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_list_is_walked_by_its_cursors() {
    let (world, token) = connected().await;
    for name in ["one", "two", "three", "four", "five"] {
        world
            .call(&token, CREATE, json!({ "name": name }))
            .await
            .unwrap();
        world.advance(1);
    }
    let mut names = Vec::new();
    let mut arguments = json!({ "limit": 2 });
    let mut pages = Vec::new();
    loop {
        let page = world.call(&token, LIST, arguments.clone()).await.unwrap();
        let items = page["result"].as_array().unwrap();
        assert_eq!(page["result_count"], items.len());
        names.extend(items.iter().map(|key| key["name"].clone()));
        pages.push(page.clone());
        if page["next_cursor"].is_null() {
            break;
        }
        arguments = json!({ "next_cursor": page["next_cursor"] });
    }
    assert_eq!(json!(names), json!(["one", "two", "three", "four", "five"]));
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[0]["prev_cursor"], Value::Null);
    let back = world
        .call(
            &token,
            LIST,
            json!({ "next_cursor": pages[1]["prev_cursor"] }),
        )
        .await;
    assert_eq!(back.unwrap()["result"], pages[0]["result"]);
}

#[tokio::test]
async fn forged_or_borrowed_next_cursor_is_400_without_an_upstream_request() {
    let (world, token) = connected().await;
    for name in ["one", "two"] {
        world
            .call(&token, CREATE, json!({ "name": name }))
            .await
            .unwrap();
    }
    let page = world
        .call(&token, LIST, json!({ "limit": 1 }))
        .await
        .unwrap();
    let cursor = page["next_cursor"].clone();
    assert!(cursor.is_string());
    let other = world.account("Other").await.0;
    let owner = world
        .access_key(&other, claviger_domain::role::Role::Owner, None)
        .await
        .plain;
    let connected = world.connect(&other, &owner).await;
    let path = format!("/integrated-account/{connected}/mcp");
    let made = world.ask(&owner, Method::POST, &path, json!({})).await.body;
    let other_token = made["token"].as_str().unwrap();
    for (token, name, arguments) in [
        (token.as_str(), LIST, json!({ "next_cursor": "forged" })),
        (
            &token,
            LIST,
            json!({ "next_cursor": cursor, "name": "one" }),
        ),
        (
            &token,
            "list_all_the_auth_api_accounts",
            json!({ "next_cursor": cursor }),
        ),
        (other_token, LIST, json!({ "next_cursor": cursor })),
    ] {
        let refused = world.call(token, name, arguments).await.unwrap_err();
        assert_eq!(
            (&refused["statusCode"], &refused["code"]),
            (&json!(400), &json!("invalid_cursor"))
        );
    }
    {
        for key in [&world.owner, &owner] {
            let log = world.ask(key, Method::GET, "/log", Value::Null).await.body;
            for call in log["result"].as_array().unwrap() {
                assert!(
                    call["status"] != 400 || call["upstream_status"].is_null(),
                    "{call}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_id_never_changes_the_path() {
    let (world, token) = connected().await;
    let created = world
        .call(&token, CREATE, json!({ "name": "Kept" }))
        .await
        .unwrap();
    let id = created["result"]["id"].as_str().unwrap().to_owned();
    for hostile in [
        "..".to_owned(),
        ".".to_owned(),
        String::new(),
        format!("../api-keys/{id}"),
        format!("{id}/rotate"),
        format!("{id}%2frotate"),
        format!("{id}?purge=true"),
        format!("{id}#"),
        format!("..\\{id}"),
        "%2e%2e".to_owned(),
    ] {
        for tool in [READ, REVOKE, ROTATE] {
            let refused = world
                .call(&token, tool, json!({ "id": hostile }))
                .await
                .unwrap_err();
            let status = refused["statusCode"].as_u64().unwrap();
            assert!(status == 400 || status == 404, "{hostile}: {refused}");
        }
    }
    let read = world.call(&token, READ, json!({ "id": id })).await.unwrap();
    assert_eq!(read["result"]["isActive"], true);
    assert_eq!(read["result"]["rotatedTo"], Value::Null);
    let keys = world.call(&token, LIST, json!({})).await.unwrap();
    assert_eq!(keys["result_count"], 1);
}

#[tokio::test]
async fn what_is_wrong_with_arguments_is_told_without_a_request() {
    let (world, token) = connected().await;
    let refused = world
        .call(&token, CREATE, json!({ "nmae": "Ada", "scopes": "all" }))
        .await
        .unwrap_err();
    assert_eq!(refused["code"], "invalid_arguments");
    assert_eq!(refused["is_remote_error"], false);
    let message = refused["message"].as_str().unwrap();
    for said in [
        "did you mean `name`?",
        "missing argument `name`",
        "argument `scopes` must be of type array",
    ] {
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn an_upstream_refusal_is_passed_on_with_its_own_words() {
    let (world, token) = connected().await;
    let refused = world
        .call(&token, READ, json!({ "id": "key_0000000000000000" }))
        .await
        .unwrap_err();
    assert_eq!(refused["statusCode"], 404);
    assert_eq!(refused["code"], "key_not_found");
    assert_eq!(refused["is_remote_error"], true);
    assert_eq!(refused["raw_response"]["code"], "key_not_found");
}

#[tokio::test]
async fn rate_limit_facts_are_passed_on_in_whole_seconds() {
    let (world, token) = connected().await;
    let limits = json!({ "rateLimit": 1, "rateLimitTtl": 60 });
    let created = world
        .call(
            &token,
            CREATE,
            json!({ "name": "Limited", "rateLimitConfigs": limits }),
        )
        .await;
    let key = created.unwrap()["result"]["key"].clone();
    let name = "create_a_the_auth_api_auth_authenticate";
    let arguments = json!({ "credentials": { "api_key": key } });
    world.call(&token, name, arguments.clone()).await.unwrap();
    world.advance(20);
    let answer = world
        .post(&token, &[], &call_message(name, &arguments))
        .await;
    let refused = outcome(&answer.body).unwrap_err();
    assert_eq!(
        (answer.status.as_u16(), &refused["statusCode"]),
        (200, &json!(429))
    );
    assert_eq!(refused["retry_after_s"], 40);
    assert_eq!(answer.headers["retry-after"], "40");
    assert_eq!(answer.headers["ratelimit-remaining"], "0");
}

#[tokio::test]
async fn names_with_ansi_or_bidi_are_inert_in_tools() {
    let (world, token) = connected().await;
    let name = "\u{1b}[31mAda\u{202e}\u{200b}";
    let created = world
        .ask(
            &world.owner,
            Method::POST,
            "/api-keys",
            json!({ "name": name }),
        )
        .await;
    assert_eq!(created.status, 201);
    let read = world
        .call(&token, READ, json!({ "id": created.body["id"] }))
        .await
        .unwrap();
    assert_eq!(read["result"]["name"], "Ada");
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_in_result_all_the_same() {
    let (world, token) = connected().await;
    let root = world
        .call(&token, "list_all_the_auth_api_misc", json!({}))
        .await
        .unwrap();
    assert_eq!(root["result"]["name"], "claviger");
    assert!(root.get("next_cursor").is_none());
    let child = world
        .call(
            &token,
            "create_a_the_auth_api_account",
            json!({ "name": "Child" }),
        )
        .await;
    let id = child.unwrap()["result"]["id"].clone();
    let deleted = world
        .call(
            &token,
            "delete_a_the_auth_api_account_by_id",
            json!({ "id": id }),
        )
        .await;
    assert_eq!(deleted.unwrap(), json!({ "result": null }));
}

#[tokio::test]
async fn an_upstream_that_is_no_json_api_is_survived() {
    let body = || "x".repeat(9 * 1024 * 1024);
    let odd = Router::new()
        .route("/projects", get(async move || body()))
        .route("/accounts", get(async || "plain text"))
        .route(
            "/api-keys",
            get(async || (StatusCode::BAD_GATEWAY, "<html>sorry</html>")),
        );
    let world = World::with_upstream(|_| odd).await;
    let (_, token) = world.server(json!({})).await;
    let list = async |name: &str| {
        let name = format!("list_all_the_auth_api_{name}");
        let arguments = if name.ends_with("projects") {
            json!({ "accountId": "a" })
        } else {
            json!({})
        };
        world.call(&token, &name, arguments).await
    };
    let large = list("projects").await.unwrap_err();
    assert_eq!(
        (&large["statusCode"], &large["code"]),
        (&json!(502), &json!("upstream_too_large"))
    );
    assert_eq!(
        list("accounts").await.unwrap(),
        json!({ "result": "plain text" })
    );
    let html = list("api_keys").await.unwrap_err();
    assert_eq!(
        (&html["statusCode"], &html["raw_response"]),
        (&json!(502), &json!("<html>sorry</html>"))
    );
}

#[tokio::test]
async fn no_credential_of_the_caller_reaches_the_upstream() {
    let seen = Router::new().fallback(async |request: Request| {
        let headers: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
        axum::Json(json!({ "headers": headers, "target": request.uri().to_string() }))
    });
    let world = World::with_upstream(|_| seen).await;
    let (_, token) = world
        .server(json!({ "require_api_token_auth": true }))
        .await;
    let headers = [
        ("x-api-key", world.owner.as_str()),
        ("cookie", "a=b"),
        ("x-trace", "1"),
    ];
    let message = call_message(CREATE, &json!({ "name": "x" }));
    let answer = outcome(&world.post(&token, &headers, &message).await.body).unwrap();
    assert_eq!(
        answer["result"],
        json!({ "headers": ["content-type"], "target": "/api-keys" })
    );
}
