//! `tool_exposure: "discovery"`: tools that find tools, and the one call through them.

use claviger_testkit::on_both_engines;
use serde_json::{Value, json};

use crate::world::World;

async fn discovering(world: &World, mut config: Value) -> String {
    config["tool_exposure"] = "discovery".into();
    world.server(config).await.1
}

async fn listed(world: &World, token: &str) -> Vec<Value> {
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let answer = world.post(token, &[], &list).await.expect(200);
    answer["result"]["tools"].as_array().unwrap().clone()
}

async fn names(world: &World, token: &str, question: &str) -> Vec<String> {
    let found = world.call(token, "search_tools", json!({ "query": question }));
    let found = found.await.unwrap();
    let list = found["result"].as_array().unwrap();
    let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    list.iter().map(name).collect()
}

#[tokio::test]
async fn only_the_tools_that_find_tools_are_listed() {
    let world = World::new().await;
    let token = discovering(&world, json!({})).await;
    let tools = listed(&world, &token).await;
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["search_tools", "get_tool_schema", "call_tool"]);
    for tool in &tools {
        assert_eq!(tool["inputSchema"]["type"], "object");
        let hints = tool["annotations"].as_object().unwrap();
        assert_eq!(hints.len(), 5, "{tool}");
    }
    assert_eq!(tools[0]["annotations"]["readOnlyHint"], true);
    // What may be called changes things.
    assert_eq!(tools[2]["annotations"]["readOnlyHint"], false);
    assert_eq!(tools[2]["annotations"]["destructiveHint"], true);
    let reading = discovering(&world, json!({ "methods": ["read"] })).await;
    let tools = listed(&world, &reading).await;
    assert_eq!(tools[2]["annotations"]["readOnlyHint"], true);
    assert_eq!(tools[2]["annotations"]["destructiveHint"], false);
}

#[tokio::test]
async fn tools_are_found_by_words_the_best_first() {
    let world = World::new().await;
    let token = discovering(&world, json!({})).await;
    for (question, best) in [
        ("list all projects", "list_all_the_auth_api_projects"),
        ("create an api key", "create_a_the_auth_api_api_key"),
        ("rotate key", "create_a_the_auth_api_api_key_rotate"),
        ("webhook topics", "list_all_the_auth_api_webhooks_topics"),
        ("list invitations", "list_all_the_auth_api_invitations"),
    ] {
        let found = names(&world, &token, question).await;
        assert!(found.len() <= 10);
        assert!(
            found[..3.min(found.len())].contains(&best.to_owned()),
            "{question}: {found:?}"
        );
        assert_eq!(found, names(&world, &token, question).await, "{question}");
    }
    let two = world.call(
        &token,
        "search_tools",
        json!({ "query": "key", "limit": 2 }),
    );
    let two = two.await.unwrap();
    assert_eq!(two["result_count"], 2);
    assert!(two["matched"].as_u64().unwrap() > 2);
    let nothing = world
        .call(&token, "search_tools", json!({ "query": "zzzz" }))
        .await
        .unwrap();
    assert_eq!(nothing["result"], json!([]));
    let tags = nothing["known_tags"].as_array().unwrap();
    assert!(tags.contains(&json!("api_keys")), "{nothing}");
}

#[tokio::test]
async fn a_schema_is_what_the_list_would_have() {
    let world = World::new().await;
    let (_, all) = world.server(json!({})).await;
    let token = discovering(&world, json!({})).await;
    for tool in listed(&world, &all).await {
        let described = world.call(&token, "get_tool_schema", json!({ "name": tool["name"] }));
        assert_eq!(described.await.unwrap()["result"], tool);
    }
    let error = world.call(
        &token,
        "get_tool_schema",
        json!({ "name": "list_all_the_auth_api_project" }),
    );
    let error = error.await.unwrap_err();
    assert_eq!(error["code"], "unknown_tool");
    let said = error["message"].as_str().unwrap();
    assert!(said.contains("`list_all_the_auth_api_projects`"), "{said}");
}

on_both_engines!(a_call_through_call_tool_is_the_same_call, async |app| {
    let world = World::of(app).await;
    let (_, all) = world.server(json!({})).await;
    let token = discovering(&world, json!({})).await;
    let tool = "list_all_the_auth_api_projects";
    let arguments = json!({ "accountId": world.account.id });
    let direct = world.call(&all, tool, arguments.clone()).await.unwrap();
    let through = json!({ "name": tool, "arguments": arguments });
    assert_eq!(
        world.call(&token, "call_tool", through).await.unwrap(),
        direct
    );

    world.app.gateway.lines_written().await;
    let log = world.get("/log").await.expect(200);
    let lines = log["result"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    for member in [
        "tool_name",
        "resource",
        "method",
        "argument_names",
        "arguments_digest",
        "status",
    ] {
        assert_eq!(lines[0][member], lines[1][member], "{member}");
    }
    assert_eq!(lines[0]["argument_names"], json!(["accountId"]));
});

#[tokio::test]
async fn what_the_filter_leaves_out_is_not_found_described_or_called() {
    let world = World::new().await;
    let token = discovering(&world, json!({ "methods": ["read"], "tags": ["projects"] })).await;
    let create = "create_a_the_auth_api_api_key";
    let found = names(&world, &token, "create api key").await;
    assert!(!found.contains(&create.to_owned()), "{found:?}");
    for (tool, arguments) in [
        ("get_tool_schema", json!({ "name": create })),
        (
            "call_tool",
            json!({ "name": create, "arguments": { "name": "x" } }),
        ),
        ("call_tool", json!({ "name": "call_tool", "arguments": {} })),
        // Not listed, so not called by its own name either.
        (
            "list_all_the_auth_api_projects",
            json!({ "accountId": world.account.id }),
        ),
    ] {
        let error = world.call(&token, tool, arguments).await.unwrap_err();
        assert_eq!(
            (&error["statusCode"], &error["code"]),
            (&json!(404), &json!("unknown_tool"))
        );
    }
    let said = world
        .call(&token, "list_all_the_auth_api_projects", json!({}))
        .await;
    let said = said.unwrap_err()["message"].to_string();
    assert!(said.contains("`call_tool`"), "{said}");
}

#[tokio::test]
async fn the_finding_tools_are_there_on_such_servers_only() {
    let world = World::new().await;
    let (_, all) = world.server(json!({})).await;
    let error = world
        .call(&all, "search_tools", json!({ "query": "key" }))
        .await;
    assert_eq!(error.unwrap_err()["code"], "unknown_tool");
}

#[tokio::test]
async fn arguments_of_the_finding_tools_are_checked_and_logged_by_name() {
    let world = World::new().await;
    let token = discovering(&world, json!({})).await;
    for (tool, arguments, said) in [
        ("search_tools", json!({}), "missing argument `query`"),
        (
            "search_tools",
            json!({ "query": "x", "limit": 26 }),
            "at most 25",
        ),
        (
            "search_tools",
            json!({ "query": "x".repeat(501) }),
            "at most 500",
        ),
        (
            "search_tools",
            json!({ "qeury": "x" }),
            "did you mean `query`?",
        ),
        (
            "call_tool",
            json!({ "name": "x", "arguments": [] }),
            "must be of type object",
        ),
        (
            "call_tool",
            json!({ "arguments": {} }),
            "missing argument `name`",
        ),
    ] {
        let error = world.call(&token, tool, arguments).await.unwrap_err();
        assert_eq!(error["code"], "invalid_arguments");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    world
        .call(&token, "search_tools", json!({ "query": "my secret plan" }))
        .await
        .unwrap();
    world.app.gateway.lines_written().await;
    let log = world
        .get("/log?tool_name=search_tools&status=200")
        .await
        .expect(200);
    assert_eq!(log["result"][0]["argument_names"], json!(["query"]));
    assert!(!log.to_string().contains("secret plan"));
    // It counts as every call does: seven in all.
    let all = world.get("/log").await.expect(200);
    assert_eq!(all["result_count"], 7);
}

#[tokio::test]
async fn a_strict_client_writes_arguments_as_json_text() {
    let world = World::new().await;
    let token = discovering(&world, json!({ "schema_profile": "openai_strict" })).await;
    let tools = listed(&world, &token).await;
    let schema = &tools[2]["inputSchema"];
    assert_eq!(schema["required"], json!(["name", "arguments"]));
    assert_eq!(
        schema["properties"]["arguments"]["type"],
        json!(["string", "null"])
    );
    let arguments = json!({ "accountId": world.account.id, "limit": null }).to_string();
    let call = json!({ "name": "list_all_the_auth_api_projects", "arguments": arguments });
    let answer = world.call(&token, "call_tool", call).await.unwrap();
    assert_eq!(answer["result"][0]["id"], json!(world.project.id));
}
