//! Secrets that no model sees: handles in place of them, where a handle is opened, and who is shown what is
//! in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_domain::role::Role;
use claviger_testkit::{PUBLIC_HOST, TestResponse, on_both_engines};
use http::Method;
use serde_json::{Value, json};

use crate::world::World;

const CREATE: &str = "create_a_the_auth_api_api_key";
const LOOK_UP: &str = "the_auth_api_api_keys_list_2";
const CHECK: &str = "list_all_the_auth_api_api_keys_auths";

/// A key that an agent made through a sealing server: the server's token, the key, and its handle.
async fn made(world: &World) -> (String, Value, String) {
    let (_, token) = world.server(json!({ "secrets": "seal" })).await;
    let made = world
        .call(&token, CREATE, json!({ "name": "Sealed" }))
        .await
        .unwrap();
    let key = made["result"].clone();
    let handle = key["key"]["sealed"].as_str().unwrap().to_owned();
    (token, key, handle)
}

/// Posts the form of the page, as whoever has that access token.
async fn open(world: &World, handle: &str, access: &str) -> TestResponse {
    let form = format!("token={handle}&access_token={access}");
    let request = world
        .app
        .request("POST", "/reveal")
        .header("host", PUBLIC_HOST);
    request.body(form).send().await
}

fn html(answer: &TestResponse) -> &str {
    answer.body.as_str().unwrap()
}

on_both_engines!(a_secret_leaves_a_result_as_a_handle, async |app| {
    let world = World::of(app).await;
    let (token, key, handle) = made(&world).await;
    assert!(handle.starts_with("sealed_mcp_"), "{handle}");
    let url = format!("https://{PUBLIC_HOST}/reveal?token={handle}");
    assert_eq!(key["key"]["reveal_url"], url);
    assert_eq!(key["key"]["expires_at"], "2030-01-01T00:15:00.000Z");
    assert!(!key.to_string().contains("live_"), "{key}");
    let rotate = "create_a_the_auth_api_api_key_rotate";
    let rotated = world
        .call(&token, rotate, json!({ "id": key["id"] }))
        .await
        .unwrap();
    assert!(rotated["result"]["key"]["sealed"].is_string(), "{rotated}");
    // By default the raw key is in the result of what made it.
    let (_, plain) = world.server(json!({})).await;
    let made = world
        .call(&plain, CREATE, json!({ "name": "Plain" }))
        .await
        .unwrap();
    assert!(made["result"]["key"].as_str().unwrap().starts_with("live_"));
});

on_both_engines!(
    a_handle_is_opened_in_arguments_that_are_made_for_it,
    async |app| {
        let world = World::of(app).await;
        let (token, key, handle) = made(&world).await;
        for tool in [LOOK_UP, CHECK] {
            let found = world
                .call(&token, tool, json!({ "key": handle }))
                .await
                .unwrap();
            assert_eq!(found["result"]["id"], key["id"], "{tool}");
            let shown = found["result"]["key"].as_str().unwrap();
            assert!(shown.ends_with("****"), "{found}");
        }
        world.advance(899);
        world
            .call(&token, CHECK, json!({ "key": handle }))
            .await
            .unwrap();
        world.advance(1);
        let late = world
            .call(&token, CHECK, json!({ "key": handle }))
            .await
            .unwrap_err();
        assert_eq!(late["code"], "sealed_not_accepted");
    }
);

on_both_engines!(
    sealed_handle_as_a_name_a_url_a_header_metadata_under_dry_run_in_another_server_or_tenant,
    async |app| {
        let world = World::of(app).await;
        let (token, key, handle) = made(&world).await;
        let plain = {
            let owner = world.app.person(&world.account, Role::Owner).await;
            let shown = open(&world, &handle, &owner.access).await;
            let text = html(&shown);
            let start = text.find("live_").unwrap();
            text[start..start + 69].to_owned()
        };
        let webhook = "create_a_the_auth_api_webhook";
        let account = &world.account.id;
        let project = &world.project.id;
        let inside = |url: String, headers: Value| {
            json!({ "accountId": account, "projectId": project, "topic": "api-key.created",
                    "url": url, "headers": headers })
        };
        for (tool, arguments) in [
            (CREATE, json!({ "name": handle })),
            (CREATE, json!({ "name": format!("my {handle}") })),
            (
                CREATE,
                json!({ "name": "x", "customMetaData": { "note": handle } }),
            ),
            (
                CREATE,
                json!({ "name": "x", "customMetaData": { handle.clone(): 1 } }),
            ),
            (CREATE, json!({ "name": "x", "scopes": [handle] })),
            (
                webhook,
                inside(format!("https://example.com/{handle}"), json!({})),
            ),
            (
                webhook,
                inside(
                    "https://example.com/".to_owned(),
                    json!({ "x-note": handle }),
                ),
            ),
            (
                LOOK_UP,
                json!({ "key": format!("{handle} ") , "id": handle }),
            ),
            (LOOK_UP, json!({ "key": key["key"] })),
        ] {
            let error = world
                .call(&token, tool, arguments.clone())
                .await
                .unwrap_err();
            assert_eq!(
                error["code"], "sealed_not_accepted",
                "{tool} {arguments}: {error}"
            );
            assert!(!error.to_string().contains(&plain));
        }
        // In another server, in another account's, and through the proxy, also as a dry run.
        let (_, second) = world.server(json!({ "secrets": "seal" })).await;
        let error = world
            .call(&second, CHECK, json!({ "key": handle }))
            .await
            .unwrap_err();
        assert_eq!(error["code"], "sealed_not_accepted");
        let stranger = world.app.tenant("Stranger").await;
        let path = format!("/integrated-account/{}/mcp", stranger.connected_account);
        let server = world
            .ask(stranger.owner(), Method::POST, &path, json!({}))
            .await;
        let foreign = server.expect(201)["token"].as_str().unwrap().to_owned();
        let error = world
            .call(&foreign, CHECK, json!({ "key": handle }))
            .await
            .unwrap_err();
        assert_eq!(error["code"], "sealed_not_accepted");
        for dry_run in [true, false] {
            let query = format!(
                "integrated_account_id={}&dry_run={dry_run}",
                world.connected
            );
            let path = format!("/proxy/api_keys_auths?{query}&key={handle}");
            let refused = world.get(&path).await;
            assert_eq!(
                refused.expect(400)["code"],
                "sealed_not_accepted",
                "{dry_run}"
            );
        }
        // Nothing was made of all that, and the plain text is in no answer and no line of the log.
        world.app.gateway.lines_written().await;
        for path in ["/api-keys", "/webhooks", "/log", "/audit-events"] {
            let told = world.get(path).await.body.to_string();
            assert!(!told.contains(&plain), "{path}");
            assert!(!told.contains("sealed_mcp_"), "{path}: {told}");
        }
    }
);

on_both_engines!(
    an_answer_does_not_repeat_what_was_opened_for_it,
    async |app| {
        let echo = |_| {
            axum::Router::new().fallback(async |request: axum::extract::Request| {
                let target = request.uri().to_string();
                let status = if target.contains("explain") { 404 } else { 200 };
                let encoded = STANDARD.encode(&target);
                let escaped = target.replace("live_", "l\\u0069ve_");
                let body =
                    json!({ "message": format!("no {target}"), "at": [target, encoded, escaped] });
                (
                    http::StatusCode::from_u16(status).unwrap(),
                    axum::Json(body),
                )
            })
        };
        let world = World::of(app).await;
        let (token, _, handle) = made(&world).await;
        world.app.change_upstream(echo);
        let found = world
            .call(&token, LOOK_UP, json!({ "key": handle }))
            .await
            .unwrap();
        let failed = world
            .call(&token, CHECK, json!({ "key": handle }))
            .await
            .unwrap_err();
        for told in [found, failed] {
            let told = told.to_string();
            assert!(told.contains("***") && !told.contains("ve_"), "{told}");
            // In base64, wherever it begins.
            for part in ["bGl2ZV", "xpdmVf", "saXZlX"] {
                assert!(!told.contains(part), "{told}");
            }
        }
    }
);

on_both_engines!(
    an_owner_who_signed_in_lately_opens_a_secret_once,
    async |app| {
        let world = World::of(app).await;
        let (_, key, handle) = made(&world).await;
        let owner = world.app.person(&world.account, Role::Owner).await;
        let page = world.app.request("GET", &format!("/reveal?token={handle}"));
        let page = page.header("host", PUBLIC_HOST).send().await;
        assert_eq!(page.status, 200);
        assert!(html(&page).contains("<button>") && !html(&page).contains("live_"));
        assert_eq!(page.headers["cache-control"], "no-store");

        let shown = open(&world, &handle, &owner.access).await;
        assert_eq!(shown.status, 200, "{}", html(&shown));
        assert!(html(&shown).contains("live_") && html(&shown).contains("api_keys.create.key"));
        let again = open(&world, &handle, &owner.access).await;
        assert_eq!(again.status, 404);
        assert!(!html(&again).contains("live_"));
        let trail = world
            .get("/audit-events?action=sealed-secret.revealed")
            .await
            .body;
        assert_eq!(trail.as_array().unwrap().len(), 1, "{trail}");
        assert!(
            !trail.to_string().contains("live_")
                && trail.to_string().contains("api_keys.create.key")
        );
        assert!(key["id"].is_string());
    }
);

on_both_engines!(nobody_else_opens_a_secret, async |app| {
    let world = World::of(app).await;
    let (_, _, handle) = made(&world).await;
    let stranger = world.app.tenant("Stranger").await;
    let foreign = world.app.person(&stranger.account, Role::Owner).await;
    let refused = open(&world, &handle, &foreign.access).await;
    let made_up = open(
        &world,
        "sealed_mcp_AAAAAAAAAAAAAAAAAAAA.AAAA",
        &foreign.access,
    )
    .await;
    assert_eq!(
        (refused.status.as_u16(), made_up.status.as_u16()),
        (404, 404)
    );
    assert_eq!(html(&refused), html(&made_up));
    for role in [Role::Admin, Role::Developer, Role::Viewer, Role::Analyst] {
        let person = world.app.person(&world.account, role).await;
        assert_eq!(
            open(&world, &handle, &person.access).await.status,
            404,
            "{role:?}"
        );
    }
    // Access keys are no person, and an operator key is one even less: it is taken from this machine only.
    for (key, status) in [
        (world.owner.clone(), 401),
        (world.operator_key(), 403),
        (String::new(), 401),
    ] {
        assert_eq!(open(&world, &handle, &key).await.status, status);
    }
    let owner = world.app.person(&world.account, Role::Owner).await;
    world.advance(899);
    assert_eq!(open(&world, &handle, &owner.access).await.status, 200);
});

on_both_engines!(
    a_link_ends_with_its_time_its_server_and_the_sign_in,
    async |app| {
        let world = World::of(app).await;
        let (_, _, handle) = made(&world).await;
        world.advance(900);
        let owner = world.app.person(&world.account, Role::Owner).await;
        assert_eq!(open(&world, &handle, &owner.access).await.status, 404);
        world.advance(1);
        let (_, _, handle) = made(&world).await;
        world.advance(899);
        // The access token has ended, and with it the sign-in that it is of.
        assert_eq!(open(&world, &handle, &owner.access).await.status, 401);
        let owner = world.app.person(&world.account, Role::Owner).await;
        let servers = world.get(&world.path("/mcp")).await.body;
        for server in servers["result"].as_array().unwrap() {
            let path = world.path(&format!("/mcp/{}", server["id"].as_str().unwrap()));
            world
                .ask(&world.owner, Method::DELETE, &path, Value::Null)
                .await;
        }
        assert_eq!(open(&world, &handle, &owner.access).await.status, 404);
    }
);

#[tokio::test]
async fn secrets_of_webhooks_and_sessions_are_in_no_result_whatever_the_server_says() {
    let world = World::new().await;
    let (_, token) = world.server(json!({ "secrets": "reveal" })).await;
    let arguments = json!({
        "accountId": world.account.id, "projectId": world.project.id, "topic": "api-key.created",
        "url": "https://example.com/hook",
    });
    let webhook = "create_a_the_auth_api_webhook";
    let through_mcp = world
        .call(&token, webhook, arguments.clone())
        .await
        .unwrap();
    assert!(
        through_mcp["result"]["secret"]["sealed"].is_string(),
        "{through_mcp}"
    );
    let path = format!("/proxy/webhooks?integrated_account_id={}", world.connected);
    let proxied = world
        .ask(&world.owner, Method::POST, &path, arguments)
        .await;
    let proxied = proxied.expect(201);
    assert_eq!(proxied["result"]["secret"], "***");
    // It is of no use where keys are looked up.
    let handle = &through_mcp["result"]["secret"]["sealed"];
    let elsewhere = world.call(&token, CHECK, json!({ "key": handle })).await;
    assert_eq!(elsewhere.unwrap_err()["code"], "sealed_not_accepted");
    for told in [through_mcp, proxied] {
        assert!(!told.to_string().contains("whsec_"), "{told}");
    }
}
