//! MCP servers: making, showing, ending them, and who is let in.

use std::collections::BTreeSet;

use claviger_domain::role::Role;
use claviger_testkit::{PUBLIC_HOST, on_both_engines};
use http::Method;
use serde_json::{Value, json};

use crate::world::World;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn list() -> Value {
    serde_json::from_str(LIST).unwrap()
}

async fn create(world: &World, body: Value) -> (u16, Value) {
    let made = world
        .ask(&world.owner, Method::POST, &world.path("/mcp"), body)
        .await;
    (made.status.as_u16(), made.body)
}

on_both_engines!(a_server_is_shown_with_its_token_once, async |app| {
    let world = World::of(app).await;
    let expires_at = "2030-01-01T00:01:00.000Z";
    let body =
        json!({ "name": "Agent", "config": { "methods": ["read"] }, "expires_at": expires_at });
    let path = world.path("/mcp");
    let made = world.ask(&world.owner, Method::POST, &path, body).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["cache-control"], "no-store");
    let token = made.body["token"].as_str().unwrap();
    assert!(token.starts_with("clvmcp_") && token.len() == 50, "{token}");
    assert_eq!(
        made.body["url"],
        format!("https://{PUBLIC_HOST}/mcp/{token}")
    );
    assert_eq!(made.body["expires_at"], expires_at);
    assert_eq!(made.body["warnings"], json!([]));

    let id = made.body["id"].as_str().unwrap();
    let mut expected = made.body.clone();
    for secret in ["token", "url", "client_config", "warnings"] {
        expected.as_object_mut().unwrap().remove(secret);
    }
    let one = world.get(&world.path(&format!("/mcp/{id}"))).await;
    assert_eq!((one.status.as_u16(), &one.body), (200, &expected));
    let all = world.get(&path).await;
    assert_eq!(all.body["result"], json!([expected]));
    assert_eq!(all.body["result_count"], 1);
});

on_both_engines!(
    a_repeated_creation_answers_the_same_server_without_its_token,
    async |app| {
        let world = World::of(app).await;
        let send = async || {
            let request = world.app.request("POST", &world.path("/mcp"));
            let request = request.key(&world.owner).header("idempotency-key", "once");
            request.body("{}").send().await
        };
        let (first, again) = (send().await, send().await);
        assert_eq!(first.body["id"], again.body["id"]);
        let url = again.body["url"].as_str().unwrap();
        assert!(
            url.ends_with("****")
                && !again
                    .body
                    .to_string()
                    .contains(first.body["token"].as_str().unwrap())
        );
    }
);

on_both_engines!(
    a_body_that_says_something_unknown_or_too_much_is_refused,
    async |app| {
        let world = World::of(app).await;
        for (body, code, said) in [
            (
                json!({ "expire_at": "2030-01-01" }),
                "unknown_member",
                "did you mean `expires_at`?",
            ),
            (
                json!({ "config": { "secrets": "hide" } }),
                "invalid_input",
                "must be `reveal` or `seal`",
            ),
            (
                json!({ "config": { "methods": [] } }),
                "invalid_filter",
                "empty list",
            ),
            (
                json!({ "config": { "methods": ["raed"] } }),
                "invalid_filter",
                "did you mean `read`?",
            ),
            (
                json!({ "config": { "tags": ["invoices"] } }),
                "invalid_filter",
                "unknown value `invoices`",
            ),
            (
                json!({ "config": { "methods": ["list_2"], "tags": ["misc"] } }),
                "invalid_filter",
                "no tool is left",
            ),
            (
                json!({ "expires_at": "2030-01-01T00:00:59.999Z" }),
                "invalid_input",
                "60 seconds",
            ),
            (
                json!({ "expires_at": "soon" }),
                "invalid_input",
                "expires_at",
            ),
            (json!({ "name": "" }), "invalid_input", "name"),
        ] {
            let (status, answer) = create(&world, body).await;
            assert_eq!((status, &answer["code"]), (400, &json!(code)), "{answer}");
            assert!(
                answer["message"].as_str().unwrap().contains(said),
                "{answer}"
            );
        }
        assert_eq!(
            world.get(&world.path("/mcp")).await.body["result"],
            json!([])
        );
    }
);

on_both_engines!(writing_tools_without_an_end_are_warned_of, async |app| {
    let world = World::of(app).await;
    let (_, answer) = create(&world, json!({ "name": "Agent" })).await;
    let warnings = answer["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 3);
    assert!(warnings[0].as_str().unwrap().contains("57 tools are more"));
    assert!(warnings[1].as_str().unwrap().contains("no expiry"));
    assert!(warnings[2].as_str().unwrap().contains("webhooks_ping"));
});

on_both_engines!(from_its_expiry_on_a_server_refuses, async |app| {
    let world = World::of(app).await;
    let (_, made) = create(&world, json!({ "expires_at": "2030-01-01T00:02:00Z" })).await;
    let token = made["token"].as_str().unwrap();
    world.advance(119);
    assert_eq!(world.post(token, &[], &list()).await.status, 200);
    world.advance(1);
    assert_eq!(world.post(token, &[], &list()).await.status, 401);
});

on_both_engines!(
    a_deleted_server_refuses_at_once_and_is_absent,
    async |app| {
        let world = World::of(app).await;
        let (id, token) = world.server(json!({})).await;
        let path = world.path(&format!("/mcp/{id}"));
        let deleted = world
            .ask(&world.owner, Method::DELETE, &path, Value::Null)
            .await;
        assert_eq!((deleted.status.as_u16(), deleted.body), (204, Value::Null));
        assert_eq!(world.post(&token, &[], &list()).await.status, 401);
        assert_eq!(world.get(&path).await.status, 404);
        let again = world
            .ask(&world.owner, Method::DELETE, &path, Value::Null)
            .await;
        assert_eq!(again.body["code"], "mcp_server_not_found");
    }
);

on_both_engines!(
    every_refusal_is_one_body_without_a_hint_to_sign_in,
    async |app| {
        let world = World::of(app).await;
        let (_, guarded) = world
            .server(json!({ "require_api_token_auth": true }))
            .await;
        let viewer = world
            .access_key(&world.account, Role::Viewer, None)
            .await
            .plain;
        let mut bodies = BTreeSet::new();
        for (token, headers) in [
            ("clvmcp_unknown", vec![]),
            ("nothing", vec![]),
            ("%ff", vec![]),
            (guarded.as_str(), vec![]),
            (guarded.as_str(), vec![("x-api-key", viewer.as_str())]),
            (
                guarded.as_str(),
                vec![("authorization", "Bearer live_access_x")],
            ),
        ] {
            let mut answer = world.post(token, &headers, &list()).await;
            assert_eq!(answer.status, 401, "{token}");
            assert!(!answer.headers.contains_key("www-authenticate"));
            answer.body["requestId"] = Value::Null;
            bodies.insert(answer.body.to_string());
        }
        assert_eq!(bodies.len(), 1, "{bodies:?}");
    }
);

on_both_engines!(a_second_credential_opens_a_guarded_server, async |app| {
    let world = World::of(app).await;
    let (_, token) = world
        .server(json!({ "require_api_token_auth": true }))
        .await;
    let owner = format!("Bearer {}", world.owner);
    for header in [
        ("x-api-key", world.owner.as_str()),
        ("authorization", owner.as_str()),
    ] {
        assert_eq!(world.post(&token, &[header], &list()).await.status, 200);
    }
    let other = world.account("Other").await.0;
    let foreign = world.access_key(&other, Role::Owner, None).await.plain;
    assert_eq!(
        world
            .post(&token, &[("x-api-key", &foreign)], &list())
            .await
            .status,
        401
    );
    let from_page = [
        ("x-api-key", world.owner.as_str()),
        ("origin", "https://keys.example.com"),
    ];
    assert_eq!(world.post(&token, &from_page, &list()).await.status, 401);
});

on_both_engines!(the_token_may_be_a_bearer, async |app| {
    let world = World::of(app).await;
    let (_, token) = world.server(json!({})).await;
    let send = async |authorization: Option<String>| {
        let mut request = world.app.request("POST", "/mcp");
        request = request.header("host", PUBLIC_HOST);
        if let Some(value) = authorization {
            request = request.header("authorization", &value);
        }
        request.body(LIST).send().await.status.as_u16()
    };
    assert_eq!(send(Some(format!("Bearer {token}"))).await, 200);
    assert_eq!(send(Some(format!("Bearer {}", world.owner))).await, 401);
    assert_eq!(send(None).await, 401);
});

on_both_engines!(
    host_and_origin_come_first_then_the_method_then_the_token_then_the_size,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({})).await;
        let path = format!("/mcp/{token}");
        let huge = "x".repeat(4 * 1024 * 1024 + 1);
        for (method, path, host, origin, body, expected) in [
            ("POST", path.as_str(), "evil.example", None, LIST, 403),
            ("DELETE", "/mcp/x", "evil.example", None, "", 403),
            (
                "POST",
                &path,
                PUBLIC_HOST,
                Some("https://evil.example"),
                LIST,
                403,
            ),
            (
                "POST",
                &path,
                PUBLIC_HOST,
                Some("https://keys.example.com"),
                LIST,
                200,
            ),
            ("GET", &path, PUBLIC_HOST, None, "", 405),
            ("DELETE", "/mcp/x", PUBLIC_HOST, None, "", 405),
            ("OPTIONS", "/mcp", PUBLIC_HOST, None, "", 405),
            (
                "POST",
                "/mcp/clvmcp_x",
                PUBLIC_HOST,
                None,
                huge.as_str(),
                401,
            ),
            ("POST", &path, PUBLIC_HOST, None, &huge, 413),
            ("POST", &path, PUBLIC_HOST, None, "{", 400),
        ] {
            let mut request = world.app.request(method, path).header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = request.body(body.to_owned()).send().await;
            assert_eq!(answer.status, expected, "{method} {host} {origin:?}");
            if expected == 405 {
                assert_eq!(answer.headers["allow"], "POST");
            }
        }
    }
);

on_both_engines!(
    a_body_is_json_whatever_its_content_type_and_accept,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({})).await;
        for headers in [
            vec![],
            vec![("content-type", "text/plain"), ("accept", "text/html")],
            vec![("accept", "text/event-stream")],
        ] {
            let answer = world.post(&token, &headers, &list()).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }
);

on_both_engines!(clients_that_look_for_a_sign_in_find_none, async |app| {
    let world = World::of(app).await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/clvmcp_x",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = world.app.request("GET", path).send().await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["statusCode"]),
            (404, &json!(404))
        );
    }
});

on_both_engines!(
    a_server_shows_what_its_filter_leaves_under_the_names_it_chose,
    async |app| {
        let world = World::of(app).await;
        let config = json!({ "methods": ["read"], "tags": ["projects"], "name_style": "short" });
        let (_, token) = world.server(config).await;
        let answer = world.post(&token, &[], &list()).await;
        let tools = answer.body["result"]["tools"].as_array().unwrap().clone();
        let names: Vec<_> = tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["projects_list", "projects_get"]);
        let arguments = json!({ "accountId": world.account.id });
        let called = world
            .call(&token, "projects_list", arguments)
            .await
            .unwrap();
        assert_eq!(called["result"][0]["id"], json!(world.project.id));
        let hidden = world
            .call(&token, "projects_create", json!({ "name": "x" }))
            .await
            .unwrap_err();
        assert_eq!(hidden["code"], "unknown_tool");
    }
);

on_both_engines!(under_the_strict_profile_null_is_not_given, async |app| {
    let world = World::of(app).await;
    let (_, token) = world
        .server(json!({ "schema_profile": "openai_strict" }))
        .await;
    let name = "update_a_the_auth_api_project_by_id";
    let arguments = json!({ "id": world.project.id, "name": null });
    let called = world.call(&token, name, arguments).await.unwrap();
    assert_eq!(called["result"]["name"], "Acme");
});
