//! MCP servers that are changed, that get another URL, and what to paste for them.

use claviger_domain::role::Role;
use claviger_testkit::{PUBLIC_HOST, on_both_engines};
use http::Method;
use serde_json::{Value, json};

use crate::world::World;

fn list() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })
}

async fn tools(world: &World, token: &str) -> usize {
    let answer = world.post(token, &[], &list()).await.expect(200);
    answer["result"]["tools"].as_array().unwrap().len()
}

on_both_engines!(
    a_patch_changes_what_it_names_and_is_checked_anew,
    async |app| {
        let world = World::of(app).await;
        let (id, token) = world.server(json!({ "methods": ["read"] })).await;
        let path = world.path(&format!("/mcp/{id}"));
        let patch = async |body: Value| world.ask(&world.owner, Method::PATCH, &path, body).await;
        let body = json!({
            "name": "Renamed", "expires_at": "2030-01-01T00:02:00Z",
            "config": { "tags": ["projects"], "name_style": "short" },
        });
        let changed = patch(body).await.expect(200);
        assert_eq!(changed["config"]["methods"], json!(["read"]));
        assert_eq!(changed["expires_at"], "2030-01-01T00:02:00.000Z");
        assert_eq!(changed["warnings"], json!([]));
        assert!(changed.get("token").is_none());
        let mut shown = world.get(&path).await.expect(200);
        shown["warnings"] = json!([]);
        assert_eq!(shown, changed);
        assert_eq!(tools(&world, &token).await, 2);

        for (body, code) in [
            (
                json!({ "config": { "methods": ["list_2"] } }),
                "invalid_filter",
            ),
            (json!({ "config": { "methods": [] } }), "invalid_filter"),
            (
                json!({ "config": { "require_api_token_aut": null } }),
                "unknown_member",
            ),
            (
                json!({ "expires_at": "2030-01-01T00:00:59Z" }),
                "invalid_input",
            ),
            (json!({ "name": "" }), "invalid_input"),
            (json!({ "tags": ["projects"] }), "unknown_member"),
        ] {
            assert_eq!(patch(body).await.expect(400)["code"], code);
        }
        assert_eq!(tools(&world, &token).await, 2);
        let body = json!({ "expires_at": null, "config": { "tags": null, "methods": null } });
        let opened = patch(body).await.expect(200);
        assert_eq!(opened["expires_at"], Value::Null);
        assert_eq!(opened["warnings"].as_array().unwrap().len(), 3);
        world.advance(600);
        assert_eq!(tools(&world, &token).await, 57);
    }
);

on_both_engines!(a_rotated_url_is_dead_at_once, async |app| {
    let world = World::of(app).await;
    let (id, before) = world.server(json!({})).await;
    let path = world.path(&format!("/mcp/{id}/rotate-token"));
    let rotate = async || {
        let request = world.app.request("POST", &path).key(&world.owner);
        request.header("idempotency-key", "once").send().await
    };
    let rotated = rotate().await;
    assert_eq!(rotated.header("cache-control"), "no-store");
    let rotated = rotated.expect(200);
    let token = rotated["token"].as_str().unwrap();
    assert_eq!(rotated["url"], format!("https://{PUBLIC_HOST}/mcp/{token}"));
    assert_eq!(rotated["id"], json!(id));
    assert_eq!(world.post(&before, &[], &list()).await.status, 401);
    assert_eq!(world.post(token, &[], &list()).await.status, 200);
    // A repeat exchanges nothing, and has the token nowhere.
    let again = rotate().await.expect(200);
    assert!(!again.to_string().contains(token), "{again}");
    assert_eq!(world.post(token, &[], &list()).await.status, 200);
    let unknown = world.path("/mcp/mcp_00000000000000000000/rotate-token");
    let unknown = world
        .ask(&world.owner, Method::POST, &unknown, Value::Null)
        .await;
    assert_eq!(unknown.expect(404)["code"], "mcp_server_not_found");
});

// A server acts with what its maker holds: who holds less must not get its URL, nor open it wider.
on_both_engines!(
    nobody_changes_a_server_of_somebody_who_holds_more,
    async |app| {
        let world = World::of(app).await;
        let (id, token) = world.server(json!({ "methods": ["read"] })).await;
        let one = world.path(&format!("/mcp/{id}"));
        let rotate = format!("{one}/rotate-token");
        for role in Role::ALL {
            let key = world.access_key(&world.account, role, None).await.plain;
            for (method, path, body) in [
                (
                    Method::PATCH,
                    &one,
                    json!({ "config": { "methods": ["write"] } }),
                ),
                (Method::PATCH, &one, json!({ "name": "Mine" })),
                (Method::POST, &rotate, Value::Null),
            ] {
                if role == Role::Owner {
                    continue;
                }
                let refused = world.ask(&key, method, path, body).await;
                let expected = match role {
                    Role::Admin | Role::Developer => (403, "exceeds_maker"),
                    Role::Verifier => (404, "not_found"),
                    _ => (403, "forbidden"),
                };
                let code = refused.body["code"].as_str().unwrap();
                assert_eq!((refused.status.as_u16(), code), expected, "{role:?}");
            }
        }
        assert_eq!(world.post(&token, &[], &list()).await.status, 200);
        // One's own, and one of somebody who holds less.
        let developer = world
            .access_key(&world.account, Role::Developer, None)
            .await
            .plain;
        let (id, _) = world.server_of(&developer, json!({})).await;
        let path = world.path(&format!("/mcp/{id}/rotate-token"));
        for key in [&developer, &world.owner] {
            world
                .ask(key, Method::POST, &path, Value::Null)
                .await
                .expect(200);
        }
    }
);

// Whoever has a key for an hour would have a URL for good, and the one it was made for none.
on_both_engines!(who_ends_before_a_server_does_not_get_its_url, async |app| {
    let world = World::of(app).await;
    let short = world.access_key(&world.account, Role::Owner, None).await;
    let path = format!("/access-keys/{}", short.id);
    let end = json!({ "expiry": "2030-01-01T01:00:00.000Z" });
    world.ask(&world.owner, Method::PATCH, &path, end).await;
    let (id, token) = world.server(json!({})).await;
    let one = world.path(&format!("/mcp/{id}"));
    let rotate = async || {
        let path = format!("{one}/rotate-token");
        world
            .ask(&short.plain, Method::POST, &path, Value::Null)
            .await
    };
    assert_eq!(rotate().await.expect(403)["code"], "exceeds_maker");
    assert_eq!(world.post(&token, &[], &list()).await.status, 200);
    let end = json!({ "expires_at": "2030-01-01T01:00:00Z" });
    world
        .ask(&short.plain, Method::PATCH, &one, end)
        .await
        .expect(200);
    rotate().await.expect(200);
});

// Or whoever is removed would go on with the URL that they got while they were there.
on_both_engines!(who_rotates_a_server_answers_for_it, async |app| {
    let world = World::of(app).await;
    let developer = async || {
        let key = world.access_key(&world.account, Role::Developer, None);
        key.await
    };
    let (maker, colleague) = (developer().await, developer().await);
    let (id, _) = world.server_of(&maker.plain, json!({})).await;
    let path = world.path(&format!("/mcp/{id}/rotate-token"));
    let rotate = async |key: &str| {
        let rotated = world.ask(key, Method::POST, &path, Value::Null).await;
        let rotated = rotated.expect(200);
        rotated["token"].as_str().unwrap().to_owned()
    };
    let remove = async |id: &str| {
        let path = format!("/access-keys/{id}");
        let removed = world.ask(&world.owner, Method::DELETE, &path, Value::Null);
        removed.await.expect(200);
    };
    let token = rotate(&colleague.plain).await;
    remove(maker.id.as_str()).await;
    assert_eq!(tools(&world, &token).await, 57);
    remove(colleague.id.as_str()).await;
    assert_eq!(world.post(&token, &[], &list()).await.status, 401);
    // Who holds more gets it to work again, and no more than before.
    let token = rotate(&world.owner).await;
    assert_eq!(tools(&world, &token).await, 57);
    let project = json!({ "accountId": world.account.id, "name": "Another" });
    let create = "create_a_the_auth_api_project";
    let refused = world.call(&token, create, project).await.unwrap_err();
    assert_eq!(refused["code"], "forbidden");
});

on_both_engines!(
    a_null_does_not_switch_the_second_credential_off,
    async |app| {
        let world = World::of(app).await;
        let (id, token) = world
            .server(json!({ "require_api_token_auth": true }))
            .await;
        let path = world.path(&format!("/mcp/{id}"));
        let body = json!({ "name": "Renamed", "config": { "require_api_token_auth": null } });
        let refused = world.ask(&world.owner, Method::PATCH, &path, body).await;
        refused.expect(400);
        assert_eq!(world.post(&token, &[], &list()).await.status, 401);
    }
);

on_both_engines!(what_to_paste_is_shown_for_each_client, async |app| {
    let world = World::of(app).await;
    let body = json!({ "name": "Agent", "config": { "require_api_token_auth": true } });
    let made = world
        .ask(&world.owner, Method::POST, &world.path("/mcp"), body)
        .await;
    let made = made.expect(201);
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    let path = world.path(&format!("/mcp/{id}/client-config"));
    let clients = ["chatgpt", "claude", "claude-desktop", "cursor", "vscode"];
    for client in clients {
        let shown = world
            .get(&format!("{path}?client={client}"))
            .await
            .expect(200);
        let whole = &made["client_config"][client];
        let snippet = whole["snippet"].as_str().unwrap();
        assert!(snippet.contains(token), "{snippet}");
        assert_eq!(
            shown["snippet"],
            snippet.replace(token, "<token>"),
            "{client}"
        );
        // Two cannot send a header, and one starts a program.
        let is_noted = matches!(client, "chatgpt" | "claude" | "claude-desktop");
        assert_eq!(shown["note"].is_string(), is_noted, "{client}");
    }
    let all = world.get(&path).await.expect(200);
    assert_eq!(all.as_object().unwrap().len(), clients.len());
    let unknown = world.get(&format!("{path}?client=emacs")).await.expect(400);
    assert!(unknown["message"].as_str().unwrap().contains("`cursor`"));
});
