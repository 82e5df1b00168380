//! The log: every call is in it, with names and never values.

use std::sync::Arc;

use axum::Router;
use claviger_domain::role::Role;
use claviger_testkit::{Engine, TestApp, on_both_engines};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::shop::{answer, in_both_shops};
use crate::world::{World, call_message};

const CREATE: &str = "create_a_the_auth_api_api_key";
const READ: &str = "get_single_the_auth_api_api_key_by_id";

on_both_engines!(a_call_is_logged_with_names_and_not_values, async |app| {
    let world = World::of(app).await;
    let (server, token) = world.server(json!({})).await;
    let arguments = json!({ "name": "Sensitive", "scopes": ["secret-scope"] });
    let agent = [("user-agent", "kettle/2.1")];
    let answer = world
        .post(&token, &agent, &call_message(CREATE, &arguments))
        .await;
    let log = world.get("/log").await;
    assert_eq!(log.status, 200);
    let mut line = log.body["result"][0].clone();
    let request_id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(line["request_id"], request_id);
    assert_eq!(line["mcp_server_id"], json!(server));
    assert_eq!(line["integrated_account_id"], json!(world.connected));
    for changing in [
        "id",
        "request_id",
        "mcp_server_id",
        "integrated_account_id",
        "arguments_digest",
    ] {
        assert!(line[changing].is_string(), "{changing}");
        line.as_object_mut().unwrap().shift_remove(changing);
    }
    insta::assert_json_snapshot!(line, @r#"
    {
      "created_at": "2030-01-01T00:00:00.000Z",
      "log_type": "mcp",
      "tool_name": "create_a_the_auth_api_api_key",
      "resource": "api_keys",
      "method": "create",
      "client_name": "kettle",
      "client_version": "2.1",
      "is_dry_run": false,
      "status": 201,
      "upstream_status": 201,
      "duration_ms": 0,
      "upstream_duration_ms": 0,
      "argument_names": [
        "name",
        "scopes"
      ]
    }
    "#);
    for value in ["Sensitive", "secret-scope", &token] {
        assert!(!log.body.to_string().contains(value), "{value}");
    }
});

on_both_engines!(
    refused_calls_are_logged_and_strange_names_are_not,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({})).await;
        let arguments = json!({ "id": "key_0000000000000000", "live_secret": 1 });
        world.call(&token, READ, arguments).await.unwrap_err();
        world.advance(1);
        world
            .call(&token, READ, json!({ "id": "key_0000000000000000" }))
            .await
            .unwrap_err();
        let log = world.get("/log").await.body;
        let told: Vec<_> = log["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| {
                json!([
                    line["status"],
                    line["upstream_status"],
                    line["argument_names"]
                ])
            })
            .collect();
        assert_eq!(
            json!(told),
            json!([[404, 404, ["id"]], [400, null, ["id"]]])
        );
    }
);

on_both_engines!(equal_arguments_have_equal_digests, async |app| {
    let world = World::of(app).await;
    let (_, token) = world.server(json!({})).await;
    for arguments in [
        json!({ "id": "a" }),
        json!({ "id": "b" }),
        json!({ "id": "a" }),
    ] {
        world.call(&token, READ, arguments).await.unwrap_err();
        world.advance(1);
    }
    let log = world.get("/log").await.body;
    let digest = |index: usize| log["result"][index]["arguments_digest"].clone();
    assert_eq!(digest(0), digest(2));
    assert_ne!(digest(0), digest(1));
});

on_both_engines!(
    the_log_is_filtered_and_walked_the_latest_first,
    async |app| {
        let world = World::of(app).await;
        let (first, one) = world.server(json!({})).await;
        let (_, two) = world.server(json!({})).await;
        for (token, name) in [(&one, "a"), (&two, "b"), (&one, "c"), (&one, "d")] {
            world
                .call(token, CREATE, json!({ "name": name }))
                .await
                .unwrap();
            world.advance(60);
        }
        world
            .call(&one, READ, json!({ "id": "key_0000000000000000" }))
            .await
            .unwrap_err();
        let count = async |query: String| {
            let answer = world.get(&format!("/log?{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {:?}", answer.body);
            answer.body["result_count"].as_u64().unwrap()
        };
        assert_eq!(count(String::new()).await, 5);
        assert_eq!(count(format!("mcp_server_id={first}")).await, 4);
        assert_eq!(count(format!("tool_name={CREATE}&log_type=mcp")).await, 4);
        assert_eq!(count("log_type=proxy".to_owned()).await, 0);
        assert_eq!(count("status=404".to_owned()).await, 1);
        let between = "created_at[gt]=2030-01-01T00:00:00Z&created_at%5Blt%5D=2030-01-01T00:02:00Z";
        assert_eq!(count(between.to_owned()).await, 1);

        let page = world.get("/log?limit=3&next_cursor=").await.body;
        let next = page["next_cursor"].as_str().unwrap();
        let rest = world
            .get(&format!("/log?limit=3&next_cursor={next}"))
            .await
            .body;
        assert_eq!(
            (&page["result_count"], &rest["result_count"]),
            (&json!(3), &json!(2))
        );
        assert_eq!(rest["next_cursor"], Value::Null);
        let times: Vec<String> = [&page, &rest]
            .iter()
            .flat_map(|page| page["result"].as_array().unwrap())
            .map(|line| line["created_at"].as_str().unwrap().to_owned())
            .collect();
        assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
        for bad in [
            "log_type=x",
            "status=x",
            "limit=0",
            "created_at[gt]=soon",
            "next_cursor=x",
            "log_type=",
            "status=",
            "created_at[gt]=",
            "created_at[lt]=%20",
            "mcp_server_id=",
            "tool_name=",
        ] {
            assert_eq!(world.get(&format!("/log?{bad}")).await.status, 400, "{bad}");
        }
    }
);

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_logged() {
    let reached = Arc::new(Notify::new());
    let told = Arc::clone(&reached);
    let never = Router::new().fallback(async move || {
        told.notify_one();
        std::future::pending::<()>().await;
    });
    let world = World::with_upstream(|_| never).await;
    let (_, token) = world.server(json!({})).await;
    let message = call_message(CREATE, &json!({ "name": "x" }));
    tokio::select! {
        _ = world.post(&token, &[], &message) => panic!("the upstream never answers"),
        () = reached.notified() => {}
    }
    world.app.gateway.lines_written().await;
    let line = world.get("/log").await.body["result"][0].clone();
    assert_eq!(
        (&line["status"], &line["upstream_status"]),
        (&json!(499), &Value::Null)
    );
}

on_both_engines!(
    connected_accounts_are_listed_by_what_is_asked_and_never_with_credentials,
    async |app| {
        let world = World::of(app).await;
        let more = world
            .access_key(&world.account, Role::Owner, None)
            .await
            .plain;
        world.advance(1);
        let second = world.connect(&world.account, &more).await;
        let one = world.get(&world.path("")).await;
        assert_eq!(one.body["status"], "active");
        assert_eq!(one.body["integration"], "theauthapi");
        let list = world.get("/integrated-account?limit=1").await.body;
        assert_eq!(list["result"], json!([one.body]));
        let next = list["next_cursor"].as_str().unwrap();
        let rest = world
            .get(&format!("/integrated-account?limit=1&next_cursor={next}"))
            .await
            .body;
        assert_eq!(rest["result"][0]["id"], json!(second));
        assert_eq!(rest["next_cursor"], Value::Null);
        let foreign = format!("/integrated-account?status=active&next_cursor={next}");
        assert_eq!(world.get(&foreign).await.body["code"], "invalid_cursor");
        for (query, count) in [
            (format!("tenant_id={}", world.account.id), 2),
            ("tenant_id=other".to_owned(), 0),
            ("integration=theauthapi&status=active".to_owned(), 2),
            ("status=needs_reauth".to_owned(), 0),
        ] {
            let answer = world.get(&format!("/integrated-account?{query}")).await;
            assert_eq!(answer.body["result_count"], count, "{query}");
            assert!(!answer.body.to_string().contains("_access_"));
        }
    }
);

on_both_engines!(
    tools_are_listed_with_their_schemas_within_a_filter,
    async |app| {
        let world = World::of(app).await;
        let all = world.get(&world.path("/tools")).await.body;
        assert_eq!(all["result"].as_array().unwrap().len(), 57);
        let path = "/tools?methods=get,list_2&tags[0]=api_keys&schema_profile=openai_strict";
        let some = world.get(&world.path(path)).await.body;
        let names: Vec<_> = some["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].clone())
            .collect();
        assert_eq!(
            json!(names),
            json!([
                "the_auth_api_api_keys_list_2",
                "get_single_the_auth_api_api_key_by_id",
                "get_single_the_auth_api_api_keys_auth_by_id"
            ])
        );
        let tool = &some["result"][1];
        assert_eq!(tool["input_schema"]["additionalProperties"], false);
        assert_eq!(
            tool["query_schema"]["properties"]["id"]["type"],
            json!(["string", "null"])
        );
        assert_eq!(tool["body_schema"], Value::Null);
        assert_eq!(tool["required"], json!(["id"]));
        assert!(tool["response_schema"].is_object() && tool["annotations"]["title"].is_string());
        for bad in [
            "methods=",
            "tags=none",
            "schema_profile=x",
            "has_description=x",
        ] {
            let answer = world.get(&world.path(&format!("/tools?{bad}"))).await;
            assert_eq!(answer.status, 400, "{bad}");
        }
        let none = world
            .get(&world.path("/tools?has_description=false"))
            .await
            .body;
        assert_eq!(none["result"], json!([]));
    }
);

on_both_engines!(
    a_key_of_projects_sees_no_connected_account_of_the_account,
    async |app| {
        let world = World::of(app).await;
        let projects = Some([world.project.id.clone()].into());
        let key = world
            .access_key(&world.account, Role::Developer, projects)
            .await
            .plain;
        let list = world
            .ask(&key, Method::GET, "/integrated-account", Value::Null)
            .await;
        assert_eq!(
            (list.status.as_u16(), &list.body["result"]),
            (200, &json!([]))
        );
        let made = world
            .ask(&key, Method::POST, &world.path("/mcp"), json!({}))
            .await;
        assert_eq!(made.status, 404);
    }
);

on_both_engines!(
    calls_of_tools_that_are_not_exposed_are_logged,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({ "methods": ["read"] })).await;
        let strange = format!("\u{1b}[31m{}\u{0}", "x".repeat(200));
        let names = [CREATE.to_owned(), strange];
        for name in &names {
            let message = call_message(name, &json!({ "name": "Sensitive" }));
            // NUL is refused in the text of a message.
            let message = message.to_string().replace("\\u0000", "");
            world.post_body(&token, &[], message).await.expect(200);
            world.advance(1);
        }
        let log = world.get("/log?status=404").await.body;
        let told: Vec<_> = log["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| {
                json!([
                    line["tool_name"],
                    line["resource"],
                    line["method"],
                    line["upstream_status"],
                    line["argument_names"]
                ])
            })
            .collect();
        assert_eq!(
            json!(told),
            json!([
                ["x".repeat(100), "", "", null, []],
                [CREATE, "", "", null, []]
            ])
        );
    }
);

on_both_engines!(
    a_call_is_logged_by_the_full_name_also_under_a_short_one,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({ "name_style": "short" })).await;
        world
            .call(&token, "api_keys_create", json!({ "name": "x" }))
            .await
            .unwrap();
        let log = world.get("/log").await.body;
        assert_eq!(log["result"][0]["tool_name"], CREATE);
    }
);

on_both_engines!(
    a_forged_or_borrowed_cursor_of_the_log_is_refused,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({})).await;
        for name in ["a", "b"] {
            world
                .call(&token, CREATE, json!({ "name": name }))
                .await
                .unwrap();
        }
        let page = world.get("/log?limit=1&status=201").await.body;
        let next = page["next_cursor"].as_str().unwrap();
        let other = world
            .access_key(&world.account, Role::Owner, None)
            .await
            .plain;
        // `0 %00`, and a place as it is without a seal.
        for (key, query) in [
            (&world.owner, "next_cursor=MCAA".to_owned()),
            (
                &world.owner,
                "next_cursor=MTg5MzQ1NjAwMDAwMDAwMCBjYWxfMDAwMDAwMDAwMDAwMDAwMDAwMDA".to_owned(),
            ),
            (&world.owner, format!("status=200&next_cursor={next}")),
            (&world.owner, format!("next_cursor={next}")),
            (&other, format!("status=201&next_cursor={next}")),
        ] {
            let path = format!("/log?{query}");
            let answer = world.ask(key, Method::GET, &path, Value::Null).await;
            assert_eq!(answer.expect(400)["code"], "invalid_cursor", "{query}");
        }
        let path = format!("/integrated-account?next_cursor={next}");
        assert_eq!(world.get(&path).await.body["code"], "invalid_cursor");
        let rest = world
            .get(&format!("/log?limit=1&status=201&next_cursor={next}"))
            .await;
        assert_eq!(rest.expect(200)["result_count"], 1);
    }
);

on_both_engines!(dry_runs_are_marked_in_the_log, async |app| {
    let world = World::of(app).await;
    for dry_run in [true, false] {
        let query = format!(
            "integrated_account_id={}&dry_run={dry_run}",
            world.connected
        );
        let path = format!("/proxy/api_keys?{query}");
        let body = json!({ "name": "x" });
        let answer = world.ask(&world.owner, Method::POST, &path, body).await;
        assert!(answer.status.is_success(), "{:?}", answer.body);
        world.advance(1);
    }
    let log = world.get("/log?log_type=proxy").await.body;
    let told = [&log["result"][0], &log["result"][1]];
    assert_eq!(
        told.map(|line| line["is_dry_run"].clone()),
        [json!(false), json!(true)]
    );
    assert_eq!(told[1]["upstream_status"], Value::Null);
});

on_both_engines!(
    what_the_proxy_cannot_read_as_arguments_is_logged,
    async |app| {
        let world = World::of(app).await;
        let path = format!("/proxy/api_keys?integrated_account_id={}", world.connected);
        let answer = world
            .ask(&world.owner, Method::POST, &path, json!(["Sensitive"]))
            .await;
        assert_eq!(answer.expect(400)["code"], "invalid_arguments");
        let log = world.get("/log?status=400").await.body;
        let line = &log["result"][0];
        assert_eq!(
            json!([
                line["tool_name"],
                line["resource"],
                line["method"],
                line["argument_names"]
            ]),
            json!([CREATE, "api_keys", "create", []])
        );
        assert!(!log.to_string().contains("Sensitive"));
    }
);

on_both_engines!(
    a_request_that_a_live_server_refuses_is_logged_and_one_to_no_server_is_not,
    async |app| {
        let world = World::of(app).await;
        let (server, token) = world
            .server(json!({ "require_api_token_auth": true }))
            .await;
        let agent = [("user-agent", "kettle/2.1")];
        let message = call_message(CREATE, &json!({ "name": "Sensitive" }));
        world.post(&token, &agent, &message).await.expect(401);
        let unknown = format!("clvmcp_{}", "a".repeat(43));
        world.post(&unknown, &agent, &message).await.expect(401);
        let log = world.get("/log").await.body;
        assert_eq!(log["result_count"], 1);
        let line = &log["result"][0];
        assert_eq!(
            json!([
                line["mcp_server_id"],
                line["status"],
                line["tool_name"],
                line["client_name"]
            ]),
            json!([server, 401, "", "kettle"])
        );
        let path = world.path(&format!("/mcp/{server}"));
        world
            .ask(&world.owner, Method::DELETE, &path, Value::Null)
            .await;
        world.post(&token, &agent, &message).await.expect(401);
        assert_eq!(world.get("/log").await.body["result_count"], 1);
    }
);

on_both_engines!(
    what_a_tool_did_is_in_the_log_before_it_is_answered,
    async |app| {
        let world = World::of(app).await;
        let (_, token) = world.server(json!({})).await;
        let reach = claviger_domain::rights::Reach::whole();
        for number in 1..=20 {
            let name = format!("key {number}");
            world
                .call(&token, CREATE, json!({ "name": name }))
                .await
                .unwrap();
            let filter = claviger_store::call_log::Filter::default();
            let db = &world.app.core.db;
            let lines = claviger_store::call_log::list(db, &reach, &filter, None, 99).await;
            assert_eq!(lines.unwrap().len(), number);
        }
    }
);

on_both_engines!(the_log_has_a_line_of_each_of_many_calls, async |app| {
    const CALLS: usize = 300;
    let world = World::of(app).await;
    let many = json!({
        "calls_per_minute": 10_000, "calls_in_flight": 1_000, "tool_exposure": "discovery",
    });
    let (server, token) = world.server(many).await;
    // From memory, so that none waits for its turn with the database.
    let call = || world.call(&token, "search_tools", json!({ "query": "keys" }));
    call().await.unwrap();
    let calls = (1..CALLS).map(|_| call());
    for told in futures::future::join_all(calls).await {
        told.unwrap();
    }
    let mut ids = std::collections::HashSet::new();
    let mut next = String::new();
    loop {
        let path = format!("/log?mcp_server_id={server}&limit=100&next_cursor={next}");
        let page = world.get(&path).await.expect(200);
        let lines = page["result"].as_array().unwrap();
        ids.extend(lines.iter().map(|line| line["id"].to_string()));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = cursor.to_owned(),
            None => break,
        }
    }
    assert_eq!(ids.len(), CALLS);
});

#[tokio::test]
async fn a_call_that_reads_does_not_wait_for_its_line_and_the_log_does() {
    let world = World::of(TestApp::with(Engine::Postgres).await).await;
    let (_, token) = world.server(json!({})).await;
    let held = world.app.hold_table("call_blocks").await;
    let arguments = json!({ "id": "key_0000000000000000" });
    world.call(&token, READ, arguments).await.unwrap_err();
    let mut read = Box::pin(world.get("/log"));
    assert!((&mut read).now_or_never().is_none());
    drop(held);
    assert_eq!(read.await.expect(200)["result_count"], 1);
}

#[tokio::test]
async fn lines_that_cannot_be_written_take_none_of_another_account_with_them() {
    let app = TestApp::with(Engine::Postgres).await;
    let other = app.tenant("Other").await;
    let world = World::of(app).await;
    let (_, refused) = world.server(json!({})).await;
    let path = format!("/integrated-account/{}/mcp", other.connected_account);
    let made = world
        .ask(other.owner(), Method::POST, &path, json!({}))
        .await;
    let fine = made.expect(201)["token"].as_str().unwrap().to_owned();
    let arguments = json!({ "id": "key_0000000000000000" });
    let message = call_message(READ, &arguments);
    let call = async |token: &str, agent| {
        world
            .post(token, &[("user-agent", agent)], &message)
            .await
            .expect(200);
    };
    world
        .app
        .alter("ALTER TABLE call_blocks ADD CONSTRAINT refuses CHECK (lines NOT LIKE '%trouble%')")
        .await;
    let held = world.app.hold_table("call_blocks").await;
    // While the first line is being written, the next ones come together.
    call(&fine, "first").await;
    let mut first = Box::pin(world.app.gateway.lines_written());
    assert!((&mut first).now_or_never().is_none());
    for (token, agent) in [(&fine, "second"), (&refused, "trouble"), (&fine, "third")] {
        call(token, agent).await;
    }
    drop(held);
    first.await;
    world.app.gateway.lines_written().await;
    let log = async |key: &str| {
        world
            .ask(key, Method::GET, "/log", Value::Null)
            .await
            .expect(200)
    };
    let listed = log(other.owner()).await;
    let clients: Vec<_> = (listed["result"].as_array().unwrap().iter())
        .map(|line| line["client_name"].as_str().unwrap())
        .collect();
    assert_eq!(clients.len(), 3, "{clients:?}");
    assert_eq!(log(&world.owner).await["result_count"], 0);
}

// Abuse case: an account that calls faster than the lines of its calls are written.
#[tokio::test]
async fn the_lines_of_one_account_keep_no_other_account_waiting() {
    /// Lines of one account that wait, and calls that are more than all that may wait.
    const SHARE: usize = 3_072;
    const CALLS: usize = 13_000;
    let app = TestApp::with(Engine::Postgres).await;
    let other = app.tenant("Other").await;
    let world = World::of(app).await;
    let many = json!({
        "calls_per_minute": 100_000, "calls_in_flight": 10_000, "tool_exposure": "discovery",
        "methods": ["list"], "tags": ["api_keys"],
    });
    let (_, loud) = world.server(many.clone()).await;
    let path = format!("/integrated-account/{}/mcp", other.connected_account);
    let body = json!({ "name": "Agent", "config": many });
    let made = world.ask(other.owner(), Method::POST, &path, body).await;
    let quiet = made.expect(201)["token"].as_str().unwrap().to_owned();
    let search = |token| world.call(token, "search_tools", json!({ "query": "keys" }));
    // From here on nothing of them asks the database but for the log.
    for token in [&loud, &quiet] {
        search(token).await.unwrap();
    }
    world.app.gateway.lines_written().await;

    let held = world.app.hold_table("call_blocks").await;
    let mut calls: FuturesUnordered<_> = (0..CALLS).map(|_| search(&loud)).collect();
    for _ in 0..SHARE {
        calls.next().await.unwrap().unwrap();
    }
    while let Some(Some(told)) = calls.next().now_or_never() {
        told.unwrap();
    }
    for _ in 0..10 {
        search(&quiet).await.unwrap();
    }
    assert!(!calls.is_empty(), "the others wait for room");
    drop(held);
    while let Some(told) = calls.next().await {
        told.unwrap();
    }
}

in_both_shops!(
    nothing_that_has_effects_is_sent_while_the_log_cannot_be_written,
    async |shop| {
        let (world, id) = (&shop.world, shop.keyed().await);
        let path = format!("/integrated-account/{id}/mcp");
        let made = shop.owner(Method::POST, &path, json!({})).await.expect(201);
        let token = made["token"].as_str().unwrap();
        let tool = "create_a_tea_order";
        let call = async || world.call(token, tool, json!({ "sku": "x" })).await;
        shop.says(|_| answer(201, &json!({ "id": "o1" })));
        call().await.unwrap();
        world.app.gateway.lines_written().await;
        // It is known by now who calls, and what with.
        world.app.core.db.close().await;
        let asked = shop.upstream.received().len();
        // The line of this one waits, since nobody knew that it would have to.
        call().await.unwrap();
        assert_eq!(shop.upstream.received().len(), asked + 1);
        let refused = call().await.unwrap_err();
        assert_eq!(refused["code"], "database_unavailable");
        assert_eq!(refused["retry_after_s"], 1);
        assert_eq!(shop.upstream.received().len(), asked + 1);
    }
);
