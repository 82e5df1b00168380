//! Every role as the maker of an MCP server, and as the second credential: the table of permissions,
//! cell by cell, written out here once more.

use claviger_domain::id::Id;
use claviger_domain::role::Role;
use claviger_store::access_keys::{self, Selector};
use claviger_store::connected_accounts;
use claviger_store::mcp_servers::{self, Maker, McpServer};
use claviger_store::{Base, StoreError};
use claviger_testkit::world::everything;
use claviger_testkit::{MadeAccessKey, on_both_engines};
use serde_json::{Value, json};

use crate::world::World;

/// The roles in the order of the table's columns.
const ROLES: [Role; 6] = [
    Role::Owner,
    Role::Admin,
    Role::Developer,
    Role::Viewer,
    Role::Analyst,
    Role::Verifier,
];

/// A tool of each permission, without its prefix, and which roles may call it.
const TABLE: [(&str, &str, [bool; 6]); 14] = [
    // accounts:read
    (
        "list_all",
        "accounts",
        [true, true, true, true, true, false],
    ),
    // accounts:write
    (
        "update_a",
        "account_by_id",
        [true, true, false, false, false, false],
    ),
    // accounts:create
    (
        "create_a",
        "account",
        [true, false, false, false, false, false],
    ),
    // accounts:delete
    (
        "delete_a",
        "account_by_id",
        [true, false, false, false, false, false],
    ),
    // projects:read
    (
        "list_all",
        "projects",
        [true, true, true, true, true, false],
    ),
    // projects:write
    (
        "create_a",
        "project",
        [true, true, false, false, false, false],
    ),
    // projects:delete
    (
        "delete_a",
        "project_by_id",
        [true, true, false, false, false, false],
    ),
    // keys:read
    (
        "list_all",
        "api_keys",
        [true, true, true, true, false, false],
    ),
    // keys:write
    (
        "create_a",
        "api_key",
        [true, true, true, false, false, false],
    ),
    // keys:check
    (
        "create_a",
        "auth_authenticate",
        [true, true, true, false, false, true],
    ),
    // access-keys:read
    (
        "list_all",
        "access_keys",
        [true, true, true, false, false, false],
    ),
    // access-keys:write
    (
        "create_a",
        "access_key",
        [true, true, true, false, false, false],
    ),
    // webhooks:read
    (
        "list_all",
        "webhooks",
        [true, true, true, true, false, false],
    ),
    // webhooks:write
    (
        "create_a",
        "webhook",
        [true, true, true, false, false, false],
    ),
];

/// Arguments with which the tool does its work, or finds that what it is to change is not there.
fn arguments(world: &World, tool: (&str, &str)) -> Value {
    let account = &world.account.id;
    match tool {
        ("update_a", _) => json!({ "id": account, "name": "Acme" }),
        ("delete_a", "account_by_id") => json!({ "id": "acc_00000000000000000000" }),
        ("delete_a", _) => json!({ "id": "prj_00000000000000000000" }),
        ("list_all", "projects" | "access_keys") => json!({ "accountId": account }),
        ("create_a", "api_key") => json!({ "name": "x", "projectId": world.project.id }),
        ("create_a", "auth_authenticate") => json!({ "credentials": { "api_key": "unknown" } }),
        ("create_a", "access_key") => {
            json!({ "accountId": account, "name": "x", "role": "verifier" })
        }
        ("list_all", "webhooks") => json!({
            "accountId": account, "projectId": world.project.id, "topic": "api-key.created",
        }),
        ("create_a", "webhook") => json!({
            "accountId": account, "projectId": world.project.id, "topic": "api-key.created",
            "url": "https://example.com/hooks",
        }),
        ("create_a", _) => json!({ "name": "x" }),
        _ => json!({}),
    }
}

/// Makes a server past the door, which most roles may not go through: its token.
async fn server_made_by(world: &World, maker: &MadeAccessKey) -> String {
    let core = &world.app.core;
    let (id, reach) = (Selector::Id(maker.id.clone()), everything());
    let key = access_keys::find(&core.db, &reach, &id).await.unwrap();
    let connected = connected_accounts::find(&core.db, &reach, &world.connected).await;
    let change = core.change(&claviger_domain::event::Actor::System);
    let server = McpServer {
        id: Id::draw(&*core.random),
        connected_account_id: world.connected.clone(),
        account: connected.unwrap().unwrap().account,
        project_id: None,
        name: "Agent".to_owned(),
        config: "{}".to_owned(),
        expires_at: None,
        maker: Maker::AccessKey(maker.id.clone()),
        maker_rights: key.unwrap().rights().into(),
        base: Base::made_by(&change),
    };
    let token = format!("clvmcp_{}", server.id);
    let digest = core.verifier.digest(&token);
    core.db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { mcp_servers::create(tx, &change, &server, &digest).await })
        })
        .await
        .unwrap();
    token
}

on_both_engines!(every_role_on_tools, async |app| {
    let world = World::of(app).await;
    for (column, role) in ROLES.into_iter().enumerate() {
        let maker = world.access_key(&world.account, role, None).await;
        let token = server_made_by(&world, &maker).await;
        for (verb, rest, may) in TABLE {
            let name = format!("{verb}_the_auth_api_{rest}");
            let called = world
                .call(&token, &name, arguments(&world, (verb, rest)))
                .await;
            let is_refused = called
                .as_ref()
                .is_err_and(|told| told["code"] == "forbidden" || told["code"] == "not_found");
            assert_eq!(is_refused, !may[column], "{role:?} {name}: {called:?}");
            let known = ["account_not_found", "project_not_found", "key_not_found"];
            if let (false, Err(told)) = (is_refused, &called) {
                assert!(known.contains(&told["code"].as_str().unwrap()), "{told}");
            }
        }
    }
});

on_both_engines!(every_role_on_mcp_use, async |app| {
    let world = World::of(app).await;
    let (_, token) = world
        .server(json!({ "require_api_token_auth": true }))
        .await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let expected = [200, 200, 200, 401, 401, 401];
    for (role, expected) in ROLES.into_iter().zip(expected) {
        let second = world.access_key(&world.account, role, None).await.plain;
        let answer = world.post(&token, &[("x-api-key", &second)], &list).await;
        assert_eq!(answer.status, expected, "{role:?}");
    }
});

// Abuse case: the maker of an MCP server demoted.
on_both_engines!(
    maker_of_an_mcp_server_demoted_its_url_is_dead_at_once,
    async |app| {
        let world = World::of(app).await;
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        for (role, expected) in ROLES.into_iter().zip([200, 200, 401, 401, 401, 401]) {
            let before = world.access_key(&world.account, Role::Admin, None).await;
            let (_, token) = world.server_of(&before.plain, json!({})).await;
            assert_eq!(world.post(&token, &[], &list).await.status, 200);
            // No operation changes a role yet: the row gets a maker that holds something else.
            let now = world.access_key(&world.account, role, None).await;
            world
                .app
                .core
                .db
                .write::<_, StoreError, _>(move |tx| {
                    Box::pin(async move { access_keys::hand_over(tx, &before.id, &now.id).await })
                })
                .await
                .unwrap();
            assert_eq!(
                world.post(&token, &[], &list).await.status,
                expected,
                "{role:?}"
            );
        }
    }
);
