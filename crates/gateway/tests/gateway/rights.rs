//! The gateway lends nothing: a call has what the stored credential, the maker and the caller all hold.

use claviger_domain::id::{self, Id};
use claviger_domain::role::Role;
use claviger_testkit::on_both_engines;
use http::Method;
use serde_json::{Value, json};

use crate::world::{World, call_message, outcome};

const LIST_KEYS: &str = "list_all_the_auth_api_api_keys";
const CREATE_PROJECT: &str = "create_a_the_auth_api_project";

fn list() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })
}

// Keys that can be read back are read by whoever presents the access key that was granted that: no
// tool shows more than a reference, whoever stands behind it.
on_both_engines!(no_tool_reads_keys_back, async |app| {
    let world = World::of(app).await;
    let operator = world.operator_key();
    let reader = world.access_key(&world.account, Role::Owner, None).await;
    let project = format!("/projects/{}", world.project.id);
    let until = world.app.core.now().plus_seconds(60);
    for (method, path, body, status) in [
        (
            Method::PATCH,
            project.clone(),
            json!({"keyStorage": "recoverable"}),
            200,
        ),
        (
            Method::POST,
            format!("{project}/reveal-grants"),
            json!({"accessKeyId": reader.id, "expiresAt": until}),
            201,
        ),
    ] {
        let done = world.ask(&operator, method, &path, body).await;
        done.expect(status);
    }
    let made = json!({"name": "Kept", "projectId": world.project.id});
    let made = world
        .ask(&reader.plain, Method::POST, "/api-keys", made)
        .await;
    let made = made.expect(201);
    let path = format!("/api-keys/{}", made["id"].as_str().unwrap());
    let read = world
        .ask(&reader.plain, Method::GET, &path, Value::Null)
        .await;
    assert_eq!(read.expect(200)["key"], made["key"]);
    // The reader is the maker, the stored credential and the second one.
    let connected = world.app.connect(&world.account, &reader.plain).await;
    let path = format!("/integrated-account/{connected}/mcp");
    let server = json!({"name": "Agent", "config": {"require_api_token_auth": true}});
    let server = world.ask(&reader.plain, Method::POST, &path, server).await;
    let server = server.expect(201);
    let token = server["token"].as_str().unwrap();
    let headers = [("x-api-key", &*reader.plain)];
    for (tool, arguments) in [
        (LIST_KEYS, json!({})),
        (
            "get_single_the_auth_api_api_key_by_id",
            json!({"id": made["id"]}),
        ),
        ("the_auth_api_api_keys_list_2", json!({"key": made["key"]})),
    ] {
        let message = call_message(tool, &arguments);
        let answer = world.post(token, &headers, &message).await;
        let shown = outcome(&answer.expect(200)).unwrap_or_else(|told| panic!("{tool}: {told}"));
        let (shown, full) = (shown.to_string(), made["key"].as_str().unwrap());
        assert!(shown.contains("*********"), "{tool}: {shown}");
        assert!(!shown.contains(&full[full.len() - 48..]), "{tool}");
    }
});

on_both_engines!(a_call_has_no_more_than_its_maker, async |app| {
    let world = World::of(app).await;
    let developer = world
        .access_key(&world.account, Role::Developer, None)
        .await
        .plain;
    let (_, token) = world.server_of(&developer, json!({})).await;
    world.call(&token, LIST_KEYS, json!({})).await.unwrap();
    let refused = world
        .call(&token, CREATE_PROJECT, json!({ "name": "x" }))
        .await
        .unwrap_err();
    assert_eq!(
        (&refused["statusCode"], &refused["code"]),
        (&json!(403), &json!("forbidden"))
    );
});

on_both_engines!(a_call_has_no_more_than_the_second_credential, async |app| {
    let world = World::of(app).await;
    let (_, token) = world
        .server(json!({ "require_api_token_auth": true }))
        .await;
    let developer = world
        .access_key(&world.account, Role::Developer, None)
        .await
        .plain;
    let body = crate::world::call_message(CREATE_PROJECT, &json!({ "name": "x" }));
    let call = async |key: &str| {
        let answer = world.post(&token, &[("x-api-key", key)], &body).await;
        crate::world::outcome(&answer.body).is_ok()
    };
    assert!(!call(&developer).await);
    assert!(call(&world.owner).await);
});

on_both_engines!(a_call_has_no_more_than_the_stored_credential, async |app| {
    let mut world = World::of(app).await;
    let account = world.account.clone();
    let stored = world.access_key(&account, Role::Viewer, None).await;
    world.connected = world.connect(&account, &stored.plain).await;
    let (_, token) = world.server(json!({})).await;
    world.call(&token, LIST_KEYS, json!({})).await.unwrap();
    let create = "create_a_the_auth_api_api_key";
    let refused = world
        .call(&token, create, json!({ "name": "x" }))
        .await
        .unwrap_err();
    assert_eq!(refused["statusCode"], 403);

    let path = format!("/access-keys/{}", stored.id);
    let ended = world
        .ask(&world.owner, Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(ended.status, 200);
    let refused = world.call(&token, LIST_KEYS, json!({})).await.unwrap_err();
    assert_eq!(
        (&refused["statusCode"], &refused["code"]),
        (&json!(401), &json!("needs_reauth"))
    );
});

on_both_engines!(an_operator_key_is_never_a_stored_credential, async |app| {
    let mut world = World::of(app).await;
    let account = world.account.clone();
    let operator = world.operator_key();
    world.connected = world.connect(&account, &operator).await;
    let (_, token) = world.server(json!({})).await;
    let refused = world.call(&token, LIST_KEYS, json!({})).await.unwrap_err();
    assert_eq!(refused["code"], "needs_reauth");
});

on_both_engines!(
    what_an_operator_made_reaches_no_further_than_the_stored_credential,
    async |app| {
        let world = World::of(app).await;
        let operator = world.operator_key();
        let (_, token) = world.server_of(&operator, json!({})).await;
        let (other, _) = world.account("Other").await;
        let accounts = world
            .call(&token, "list_all_the_auth_api_accounts", json!({}))
            .await
            .unwrap();
        assert_eq!(accounts["result_count"], 1);
        let read = "get_single_the_auth_api_account_by_id";
        let refused = world
            .call(&token, read, json!({ "id": other.id }))
            .await
            .unwrap_err();
        assert_eq!(refused["statusCode"], 404);
    }
);

// Abuse case: the maker of an MCP server demoted, removed, expired.
on_both_engines!(
    maker_of_an_mcp_server_removed_or_expired_its_url_is_dead_at_once,
    async |app| {
        let world = World::of(app).await;
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let (_, token) = world.server_of(&maker.plain, json!({})).await;
        let alive = async || world.post(&token, &[], &list()).await.status == 200;
        let path = format!("/access-keys/{}", maker.id);
        let change = async |body: Value| {
            let changed = world.ask(&world.owner, Method::PATCH, &path, body).await;
            assert_eq!(changed.status, 200, "{:?}", changed.body);
        };
        assert!(alive().await);
        change(json!({ "isActive": false })).await;
        assert!(!alive().await);
        change(json!({ "isActive": true })).await;
        assert!(alive().await);
        change(json!({ "expiry": "2030-01-01T00:05:00Z" })).await;
        assert!(alive().await);
        world.advance(300);
        assert!(!alive().await);
    }
);

on_both_engines!(
    rotating_its_maker_moves_a_server_to_the_successor,
    async |app| {
        let world = World::of(app).await;
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let (_, token) = world.server_of(&maker.plain, json!({})).await;
        let path = format!("/access-keys/{}/rotate", maker.id);
        let rotated = world
            .ask(&world.owner, Method::POST, &path, Value::Null)
            .await;
        assert_eq!(rotated.status, 201, "{:?}", rotated.body);
        assert_eq!(world.post(&token, &[], &list()).await.status, 200);
        let path = format!("/access-keys/{}", rotated.body["id"].as_str().unwrap());
        world
            .ask(&world.owner, Method::DELETE, &path, Value::Null)
            .await;
        assert_eq!(world.post(&token, &[], &list()).await.status, 401);
    }
);

on_both_engines!(
    a_server_does_not_outlive_the_key_that_makes_it,
    async |app| {
        let world = World::of(app).await;
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let path = format!("/access-keys/{}", maker.id);
        let end = json!({ "expiry": "2030-01-01T01:00:00.000Z" });
        world.ask(&world.owner, Method::PATCH, &path, end).await;
        let ask = async |body| {
            world
                .ask(&maker.plain, Method::POST, &world.path("/mcp"), body)
                .await
        };
        let later = ask(json!({ "expires_at": "2030-01-01T01:00:01Z" })).await;
        assert_eq!(
            (later.status.as_u16(), &later.body["code"]),
            (403, &json!("exceeds_maker"))
        );
        let made = ask(json!({})).await;
        assert_eq!(made.body["expires_at"], "2030-01-01T01:00:00.000Z");
    }
);

on_both_engines!(
    a_server_stays_while_a_project_of_its_makers_key_does,
    async |app| {
        let mut world = World::of(app).await;
        let (kept, owner) = (world.project.clone(), world.owner.clone());
        let mut made = Vec::new();
        for name in ["Before", "After", "Elsewhere"] {
            let body = json!({ "name": name });
            let project = world.ask(&owner, Method::POST, "/projects", body).await;
            let id = project.expect(201)["id"].as_str().unwrap().to_owned();
            made.push(Id::parse(&id).unwrap());
        }
        let elsewhere = made.pop().unwrap();
        let projects = made.iter().cloned().chain([kept.id.clone()]).collect();
        let maker = world
            .access_key(&world.account, Role::Developer, Some(projects))
            .await;
        let app = &world.app;
        world.connected = app.connect_project(&world.account, &kept, &owner).await;
        let (_, token) = world.server_of(&maker.plain, json!({})).await;
        let keys_of = async |project: &Id<id::Project>| {
            let arguments = json!({ "projectId": project });
            world.call(&token, LIST_KEYS, arguments).await
        };
        let delete = async |project: &Id<id::Project>| {
            let path = format!("/projects/{project}");
            let deleted = world.ask(&owner, Method::DELETE, &path, Value::Null).await;
            deleted.expect(200);
        };
        for gone in &made {
            assert!(keys_of(gone).await.is_ok());
            delete(gone).await;
            assert!(keys_of(&kept.id).await.is_ok());
            assert!(keys_of(gone).await.is_err() && keys_of(&elsewhere).await.is_err());
        }
        delete(&kept.id).await;
        assert_eq!(world.post(&token, &[], &list()).await.status, 401);
    }
);

on_both_engines!(a_deleted_account_ends_its_servers, async |app| {
    let mut world = World::of(app).await;
    let operator = world.operator_key();
    let (other, _) = world.account("Other").await;
    let key = world.access_key(&other, Role::Owner, None).await.plain;
    world.connected = world.connect(&other, &key).await;
    let (_, token) = world.server_of(&key, json!({})).await;
    assert_eq!(world.post(&token, &[], &list()).await.status, 200);
    let path = format!("/accounts/{}", other.id);
    let deleted = world
        .ask(&operator, Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(deleted.status, 204, "{:?}", deleted.body);
    assert_eq!(world.post(&token, &[], &list()).await.status, 401);
});

// A call names its maker and the server in the trail of changes.
on_both_engines!(a_change_is_its_makers_through_the_server, async |app| {
    let world = World::of(app).await;
    let maker = world
        .access_key(&world.account, Role::Developer, None)
        .await;
    let (server, token) = world.server_of(&maker.plain, json!({})).await;
    let create = "create_a_the_auth_api_api_key";
    world
        .call(&token, create, json!({ "name": "x" }))
        .await
        .unwrap();
    let events =
        claviger_store::events::of_account(&world.app.core.db, &world.account.id, 100).await;
    let event = events
        .unwrap()
        .into_iter()
        .find(|event| event.kind == "api-key.created")
        .unwrap();
    assert_eq!(event.actor, format!("{} via {server}", maker.id));
});
