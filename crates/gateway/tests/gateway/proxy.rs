//! The proxy: a tool's call as plain HTTP, with one answer shape, the same rights and the same log.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use claviger_domain::role::Role;
use claviger_testkit::{TestResponse, on_both_engines};
use http::Method;
use serde_json::{Value, json};

use crate::world::World;

/// Asks the proxy as whoever holds the key.
async fn ask(world: &World, key: &str, method: Method, rest: &str, body: Value) -> TestResponse {
    let sign = if rest.contains('?') { '&' } else { '?' };
    let connected = &world.connected;
    let path = format!("/proxy/{rest}{sign}integrated_account_id={connected}");
    world.ask(key, method, &path, body).await
}

async fn own(world: &World, method: Method, rest: &str, body: Value) -> TestResponse {
    ask(world, &world.owner, method, rest, body).await
}

/// Three keys, a second apart.
async fn make_three_keys(world: &World) {
    for name in ["one", "two", "three"] {
        let body = json!({ "name": name });
        own(world, Method::POST, "api_keys", body).await.expect(201);
        world.advance(1);
    }
}

on_both_engines!(a_key_lives_its_life_through_the_proxy, async |app| {
    let world = World::of(app).await;
    let body = json!({ "name": "Ada", "customMetaData": { "plan": "pro" } });
    let made = own(&world, Method::POST, "api_keys", body).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(201)["result"].clone();
    let id = made["id"].as_str().unwrap();
    let one = format!("api_keys/{id}");

    let read = own(&world, Method::GET, &one, Value::Null)
        .await
        .expect(200);
    assert_eq!(read["result"]["customMetaData"], json!({ "plan": "pro" }));
    let patch = json!({ "name": "Bob" });
    let changed = own(&world, Method::PATCH, &one, patch).await.expect(200);
    assert_eq!(changed["result"]["name"], "Bob");
    // What has no verb of its own, whatever the upstream's is; a key does not belong into a URL.
    let looked = json!({ "key": made["key"] });
    let looked = own(&world, Method::POST, "api_keys/list_2", looked).await;
    assert_eq!(looked.expect(200)["result"]["id"], id);
    let rotated = json!({ "id": id });
    let rotated = own(&world, Method::POST, "api_key_rotate", rotated).await;
    assert_ne!(rotated.expect(201)["result"]["id"], id);
    let deleted = own(&world, Method::DELETE, &one, Value::Null).await;
    assert_eq!(deleted.expect(200), json!({ "result": true }));
});

on_both_engines!(
    one_call_has_the_same_result_through_both_faces,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({})).await;
        make_three_keys(&world).await;
        let project = &world.project.id;
        let account = &world.account.id;
        for (tool, arguments, method, path, body) in [
            (
                "list_all_the_auth_api_api_keys",
                json!({ "limit": 2, "isActive": true }),
                Method::GET,
                "api_keys?limit=2&isActive=true".to_owned(),
                Value::Null,
            ),
            (
                "list_all_the_auth_api_projects",
                json!({ "accountId": account }),
                Method::GET,
                format!("projects?accountId={account}&next_cursor="),
                Value::Null,
            ),
            (
                "list_all_the_auth_api_misc",
                json!({}),
                Method::GET,
                "misc?".to_owned(),
                Value::Null,
            ),
            (
                "get_single_the_auth_api_project_by_id",
                json!({ "id": project }),
                Method::GET,
                format!("projects/{project}?id={project}"),
                Value::Null,
            ),
            (
                "update_a_the_auth_api_project_by_id",
                json!({ "id": project, "name": "Renamed" }),
                Method::PATCH,
                format!("projects/{project}"),
                json!({ "name": "Renamed" }),
            ),
        ] {
            let told = world.call(&token, tool, arguments).await.unwrap();
            let answered = own(&world, method, &path, body).await.expect(200);
            assert_eq!(answered, told, "{tool}");
        }
        // And the same failure, but for what tells a model when to come again.
        let told = world
            .call(
                &token,
                "get_single_the_auth_api_project_by_id",
                json!({ "id": "prj_00000000000000000000" }),
            )
            .await;
        let path = "projects/prj_00000000000000000000";
        let mut answered = own(&world, Method::GET, path, Value::Null)
            .await
            .expect(404);
        let mut told = told.unwrap_err();
        for of_one_request in [&mut told, &mut answered] {
            of_one_request["raw_response"]["requestId"] = Value::Null;
        }
        assert_eq!(answered, told);
        assert_eq!(answered["is_remote_error"], true);
    }
);

#[tokio::test]
async fn a_cursor_is_good_through_both_faces_for_the_same_call() {
    let world = World::new().await;
    let (_, token) = world.server(json!({})).await;
    make_three_keys(&world).await;
    let first = own(&world, Method::GET, "api_keys?limit=2", Value::Null).await;
    let first = first.expect(200);
    assert_eq!(
        (&first["result_count"], &first["prev_cursor"]),
        (&json!(2), &Value::Null)
    );
    let next = first["next_cursor"].as_str().unwrap();
    let path = format!("api_keys?next_cursor={next}");
    let second = own(&world, Method::GET, &path, Value::Null)
        .await
        .expect(200);
    assert_eq!(second["result"][0]["name"], "three");
    let tool = "list_all_the_auth_api_api_keys";
    let told = world
        .call(&token, tool, json!({ "next_cursor": next }))
        .await;
    assert_eq!(told.unwrap(), second);
    for borrowed in [
        format!("api_keys?next_cursor={next}&name=one"),
        format!("accounts?next_cursor={next}"),
        "api_keys?next_cursor=forged".to_owned(),
    ] {
        let refused = own(&world, Method::GET, &borrowed, Value::Null).await;
        assert_eq!(refused.expect(400)["code"], "invalid_cursor", "{borrowed}");
    }
}

#[tokio::test]
async fn what_cannot_be_called_is_told_with_what_can() {
    let world = World::new().await;
    for (method, path, body, status, said) in [
        (
            Method::GET,
            "api_kyes",
            Value::Null,
            404,
            "did you mean `api_keys`?",
        ),
        (
            Method::POST,
            "misc",
            json!({}),
            404,
            "`misc` has no method `create`; it has `list`",
        ),
        (
            Method::POST,
            "api_keys/delete",
            json!({"id": "x"}),
            404,
            "has a verb of its own",
        ),
        (
            Method::GET,
            "api_keys?nmae=x",
            Value::Null,
            400,
            "did you mean `name`?",
        ),
        (
            Method::POST,
            "api_keys",
            json!({"nmae": "x"}),
            400,
            "missing argument `name`",
        ),
        (
            Method::POST,
            "api_keys?name=x",
            json!({}),
            400,
            "goes into the body",
        ),
        (
            Method::POST,
            "api_keys",
            json!([]),
            400,
            "the body must be an object",
        ),
        (
            Method::GET,
            "api_keys?limit=many",
            Value::Null,
            400,
            "`limit` must be of type integer",
        ),
        (
            Method::GET,
            "api_keys?dry_run=maybe",
            Value::Null,
            400,
            "dry_run",
        ),
        // Whatever of it is meant: what was to be tried only must not be done.
        (Method::GET, "api_keys?dry_run", Value::Null, 400, "dry_run"),
        (
            Method::GET,
            "api_keys?dry_run=true&dry_run=",
            Value::Null,
            400,
            "dry_run",
        ),
        (
            Method::GET,
            "api_keys?dry_run=true&dry_run=false",
            Value::Null,
            400,
            "dry_run",
        ),
    ] {
        let refused = own(&world, method, path, body).await.expect(status);
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(said), "{path}: {message}");
    }
    let nowhere = world.get("/proxy/api_keys").await.expect(400);
    assert_eq!(nowhere["details"][0]["field"], "integrated_account_id");
    let put = own(&world, Method::PUT, "api_keys/x", json!({})).await;
    assert_eq!(put.status, 405);
}

#[tokio::test]
async fn a_dry_run_tells_the_request_and_sends_none() {
    let world = World::new().await;
    let body = json!({ "name": "Ada", "projectId": world.project.id });
    let told = own(&world, Method::POST, "api_keys?dry_run=true", body.clone()).await;
    assert_eq!(
        told.expect(200)["result"],
        json!({
            "method": "POST", "url": "https://keys.example.com/api-keys",
            "headers": { "content-type": "application/json" }, "body": body,
        })
    );
    let told = own(
        &world,
        Method::GET,
        "api_keys?name=a%26b&dry_run=true",
        Value::Null,
    )
    .await;
    let url = "https://keys.example.com/api-keys?name=a%26b&limit=50&offset=0";
    assert_eq!(told.expect(200)["result"]["url"], url);
    let keys = own(&world, Method::GET, "api_keys", Value::Null)
        .await
        .expect(200);
    assert_eq!(keys["result_count"], 0);
    let log = world.get("/log?status=200").await.body;
    let lines = log["result"].as_array().unwrap().iter();
    let unsent = lines.filter(|line| line["upstream_status"].is_null());
    assert_eq!(unsent.count(), 2);
}

#[tokio::test]
async fn a_refused_limit_comes_back_at_once_with_when_to_come_again() {
    let world = World::new().await;
    let limits = json!({ "rateLimit": 1, "rateLimitTtl": 60 });
    let body = json!({ "name": "Limited", "rateLimitConfigs": limits });
    let made = own(&world, Method::POST, "api_keys", body)
        .await
        .expect(201);
    let body = json!({ "credentials": { "api_key": made["result"]["key"] } });
    let check = async || own(&world, Method::POST, "auth_authenticate", body.clone()).await;
    let passed = check().await;
    assert!(passed.status.is_success(), "{:?}", passed.body);
    world.advance(20);
    let refused = check().await;
    assert_eq!(refused.header("ratelimit-reset"), "40");
    assert_eq!(refused.header("retry-after"), "40");
    assert_eq!(refused.expect(429)["is_remote_error"], true);

    let telling = Router::new().fallback(async || {
        let limits = [
            ("ratelimit-limit", "5"),
            ("ratelimit-remaining", "4"),
            ("ratelimit-reset", "2030-01-01T00:00:29.500Z"),
        ];
        (limits, "{}")
    });
    world.app.change_upstream(|_| telling);
    let passed = own(&world, Method::GET, "accounts", Value::Null).await;
    assert_eq!(passed.header("ratelimit-remaining"), "4");
    assert_eq!(passed.header("ratelimit-reset"), "10");
    assert_eq!(passed.expect(200), json!({ "result": {} }));

    let silent = Router::new().fallback(async || StatusCode::TOO_MANY_REQUESTS);
    world.app.change_upstream(|_| silent);
    let refused = own(&world, Method::GET, "accounts", Value::Null).await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.expect(429)["raw_response"], Value::Null);
}

#[tokio::test]
async fn an_answer_without_a_body_is_null_and_headers_of_the_upstream_stay_there() {
    let odd = Router::new()
        .route("/accounts", get(async || StatusCode::NO_CONTENT))
        .route(
            "/projects",
            get(async || {
                let headers = [
                    (header::SET_COOKIE, "a=b"),
                    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
                    (header::CONTENT_TYPE, "text/html"),
                ];
                (headers, "<script>1</script>").into_response()
            }),
        );
    let world = World::with_upstream(|_| odd).await;
    let empty = own(&world, Method::GET, "accounts", Value::Null).await;
    assert_eq!(empty.expect(200), json!({ "result": null }));
    let page = own(&world, Method::GET, "projects?accountId=a", Value::Null).await;
    for absent in ["set-cookie", "access-control-allow-origin"] {
        assert!(!page.headers.contains_key(absent), "{absent}");
    }
    assert_eq!(page.header("content-type"), "application/json");
    assert_eq!(page.expect(200), json!({ "result": "<script>1</script>" }));
}

on_both_engines!(calls_of_the_proxy_are_logged_as_such, async |app| {
    let world = World::of(app).await;
    let request = world.app.request(
        "POST",
        &format!("/proxy/api_keys?integrated_account_id={}", world.connected),
    );
    let request = request.key(&world.owner).header("user-agent", "kettle/2.1");
    request
        .body(r#"{"name": "Sensitive"}"#)
        .send()
        .await
        .expect(201);
    own(&world, Method::GET, "nothing", Value::Null)
        .await
        .expect(404);
    // What is taken for the place of an id is that of a method.
    let misplaced = "api_key_rotate/live_not_to_be_seen";
    let refused = own(&world, Method::POST, misplaced, json!({})).await;
    assert!(!refused.expect(404).to_string().contains("live_"));
    let log = world.get("/log?log_type=proxy").await.body;
    let lines = log["result"].as_array().unwrap().iter();
    let told: Vec<_> = lines
        .map(|line| {
            let of = |name: &str| line[name].clone();
            json!([
                of("tool_name"),
                of("client_name"),
                of("mcp_server_id"),
                of("status"),
                of("argument_names")
            ])
        })
        .collect();
    let create = "create_a_the_auth_api_api_key";
    let expected = json!([create, "kettle", null, 201, ["name"]]);
    assert!(told.contains(&expected), "{told:?}");
    assert!(
        told.contains(&json!(["unknown list", null, null, 404, []])),
        "{told:?}"
    );
    assert!(!log.to_string().contains("Sensitive"));
    assert!(!log.to_string().contains("live_"), "{log}");
});

on_both_engines!(every_role_on_the_proxy, async |app| {
    let world = World::of(app).await;
    for role in Role::ALL {
        let key = world.access_key(&world.account, role, None).await.plain;
        let may = matches!(role, Role::Owner | Role::Admin | Role::Developer);
        let refused = if role == Role::Verifier { 404 } else { 403 };
        for (method, path, body, success) in [
            (Method::GET, "api_keys", Value::Null, 200),
            (Method::POST, "api_keys", json!({ "name": "x" }), 201),
            (
                Method::POST,
                "api_keys?dry_run=true",
                json!({ "name": "x" }),
                200,
            ),
        ] {
            let answer = ask(&world, &key, method, path, body).await;
            let expected = if may { success } else { refused };
            assert_eq!(answer.status, expected, "{role:?} {path}: {}", answer.body);
        }
    }
});

on_both_engines!(the_proxy_lends_nothing, async |app| {
    let world = World::of(app).await;
    let project = json!({ "name": "x" });
    // A developer over an owner's stored credential.
    let developer = world
        .access_key(&world.account, Role::Developer, None)
        .await
        .plain;
    let answer = ask(
        &world,
        &developer,
        Method::POST,
        "projects",
        project.clone(),
    )
    .await;
    let refused = answer.expect(403);
    assert_eq!(
        (&refused["code"], &refused["is_remote_error"]),
        (&json!("forbidden"), &json!(true))
    );
    // An owner over a viewer's.
    let viewer = world
        .access_key(&world.account, Role::Viewer, None)
        .await
        .plain;
    let connected = world.connect(&world.account, &viewer).await;
    let path = format!("/proxy/projects?integrated_account_id={connected}");
    let answer = world.ask(&world.owner, Method::POST, &path, project).await;
    assert_eq!(answer.expect(403)["code"], "forbidden");
    // Another account's is as one that is not there.
    let other = world.app.tenant("Other").await;
    let absent = "/proxy/api_keys?integrated_account_id=cac_00000000000000000000";
    let absent = world.get(absent).await.expect(404);
    let path = format!("/proxy/api_keys?integrated_account_id={}", world.connected);
    let mut foreign = world
        .ask(other.owner(), Method::GET, &path, Value::Null)
        .await
        .expect(404);
    foreign["requestId"] = absent["requestId"].clone();
    assert_eq!(foreign, absent);
});

on_both_engines!(a_repeat_makes_nothing_anew_and_has_no_secret, async |app| {
    let world = World::of(app).await;
    let second = world.connect(&world.account, &world.owner).await;
    let send = async |connected: &str| {
        let path = format!("/proxy/api_keys?integrated_account_id={connected}");
        let request = world.app.request("POST", &path).key(&world.owner);
        let request = request.header("idempotency-key", "once");
        request.body(r#"{"name": "Ada"}"#).send().await.expect(201)["result"].clone()
    };
    let first = send(world.connected.as_str()).await;
    let again = send(world.connected.as_str()).await;
    let other = send(second.as_str()).await;
    assert_eq!(first["id"], again["id"]);
    assert!(again["key"].as_str().unwrap().contains("***"), "{again}");
    assert_ne!(first["id"], other["id"]);
});
