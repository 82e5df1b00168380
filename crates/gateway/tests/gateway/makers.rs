//! Nothing made through a tool exceeds who stands behind the call, who are all counted, and of whom
//! none frees itself.

use claviger_domain::role::Role;
use claviger_testkit::{MadeAccessKey, on_both_engines};
use http::Method;
use serde_json::{Value, json};

use crate::world::{World, call_message, outcome};

const LIST: &str = "list_all_the_auth_api_api_keys";
const CREATE: &str = "create_a_the_auth_api_access_key";
const UPDATE: &str = "update_a_the_auth_api_access_key_by_id";
const DELETE: &str = "delete_a_the_auth_api_access_key_by_id";
const END: &str = "2030-01-01T01:00:00.000Z";

async fn change(world: &World, key: &MadeAccessKey, body: Value) {
    let path = format!("/access-keys/{}", key.id);
    let changed = world.ask(&world.owner, Method::PATCH, &path, body).await;
    changed.expect(200);
}

fn named(world: &World, members: &Value) -> Value {
    let mut arguments = json!({ "accountId": world.account.id, "name": "Made by an agent" });
    let members = members.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(members);
    arguments
}

fn code(outcome: &Result<Value, Value>) -> &str {
    match outcome {
        Ok(_) => "",
        Err(told) => told["code"].as_str().unwrap(),
    }
}

on_both_engines!(
    an_access_key_made_by_a_tool_has_no_greater_role_than_the_maker,
    async |app| {
        let world = World::of(app).await;
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let (_, token) = world.server_of(&maker.plain, json!({})).await;
        for (role, expected) in [
            ("owner", "exceeds_maker"),
            ("admin", "exceeds_maker"),
            ("developer", ""),
        ] {
            let arguments = named(&world, &json!({ "role": role }));
            let made = world.call(&token, CREATE, arguments).await;
            assert_eq!(code(&made), expected, "{role}");
        }
    }
);

on_both_engines!(
    an_access_key_made_by_a_tool_does_not_outlive_server_maker_or_second_credential,
    async |app| {
        let world = World::of(app).await;
        let brief = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let (_, of_brief) = world.server_of(&brief.plain, json!({})).await;
        change(&world, &brief, json!({ "expiry": END })).await;
        let guarded = json!({ "require_api_token_auth": true });
        let (_, guarded) = world.server(guarded).await;
        let body = json!({ "expires_at": END });
        let path = world.path("/mcp");
        let made = world.ask(&world.owner, Method::POST, &path, body).await;
        let ending = made.expect(201)["token"].as_str().unwrap().to_owned();
        let second = [("x-api-key", brief.plain.as_str())];
        for (token, headers) in [
            (&ending, &[][..]),
            (&of_brief, &[][..]),
            (&guarded, &second[..]),
        ] {
            for (members, expected) in [
                (json!({}), "exceeds_maker"),
                (
                    json!({ "expiry": "2030-01-01T01:00:00.001Z" }),
                    "exceeds_maker",
                ),
                (json!({ "expiry": END }), ""),
            ] {
                let message = call_message(CREATE, &named(&world, &members));
                let answer = world.post(token, headers, &message).await.expect(200);
                assert_eq!(code(&outcome(&answer)), expected, "{members}");
            }
        }
    }
);

on_both_engines!(
    an_access_key_behind_a_call_does_not_change_itself,
    async |app| {
        let world = World::of(app).await;
        let maker = world.access_key(&world.account, Role::Admin, None).await;
        let second = world.access_key(&world.account, Role::Admin, None).await;
        let guarded = json!({ "require_api_token_auth": true });
        let (_, token) = world.server_of(&maker.plain, guarded).await;
        let headers = [("x-api-key", second.plain.as_str())];
        for key in [&maker, &second] {
            for (tool, arguments) in [
                (UPDATE, json!({ "id": key.id, "isActive": false })),
                (UPDATE, json!({ "id": key.id, "expiry": END })),
                (DELETE, json!({ "id": key.id })),
            ] {
                let message = call_message(tool, &arguments);
                let answer = world.post(&token, &headers, &message).await.expect(200);
                let told = outcome(&answer).unwrap_err();
                assert_eq!(
                    (&told["statusCode"], &told["code"]),
                    (&json!(403), &json!("own_key")),
                    "{tool} {arguments}"
                );
            }
        }
    }
);

fn is_over(told: &Value) -> bool {
    told["statusCode"] == 429 && told["code"] == "caller_rate_limited"
}

on_both_engines!(
    a_call_is_counted_against_the_limit_of_its_maker,
    async |app| {
        let world = World::of(app).await;
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let (_, token) = world.server_of(&maker.plain, json!({})).await;
        change(
            &world,
            &maker,
            json!({ "rateLimit": 2, "rateLimitTtl": 60 }),
        )
        .await;
        let call = async || world.call(&token, LIST, json!({})).await;
        assert!(call().await.is_ok() && call().await.is_ok());
        world.advance(20);
        let message = call_message(LIST, &json!({}));
        let answer = world.post(&token, &[], &message).await;
        assert_eq!(answer.header("retry-after"), "40");
        let told = outcome(&answer.expect(200)).unwrap_err();
        assert!(is_over(&told), "{told}");
        assert_eq!(told["is_remote_error"], false);
        assert_eq!(told["retry_after_s"], 40);
        assert_eq!(
            told["ratelimit"],
            json!({ "limit": 2, "remaining": 0, "reset_s": 40 })
        );
        // A listing asks no upstream, and is not counted.
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        assert_eq!(world.post(&token, &[], &list).await.status, 200);
        world.advance(40);
        assert!(call().await.is_ok());
    }
);

on_both_engines!(
    every_call_of_a_batch_is_counted_against_the_second_credential,
    async |app| {
        let world = World::of(app).await;
        let second = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        change(
            &world,
            &second,
            json!({ "rateLimit": 2, "rateLimitTtl": 60 }),
        )
        .await;
        let (_, token) = world
            .server(json!({ "require_api_token_auth": true }))
            .await;
        let batch = Value::Array(vec![call_message(LIST, &json!({})); 3]);
        let headers = [("x-api-key", second.plain.as_str())];
        let answer = world.post(&token, &headers, &batch).await.expect(200);
        assert!(outcome(&answer[0]).is_ok() && outcome(&answer[1]).is_ok());
        assert!(is_over(&outcome(&answer[2]).unwrap_err()));
    }
);

on_both_engines!(
    a_key_that_is_maker_second_and_stored_credential_is_counted_once_a_call,
    async |app| {
        let mut world = World::of(app).await;
        let key = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let other = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        world.connected = world.connect(&world.account, &key.plain).await;
        let guarded = json!({ "require_api_token_auth": true });
        let (_, token) = world.server_of(&key.plain, guarded).await;
        change(&world, &key, json!({ "rateLimit": 2, "rateLimitTtl": 60 })).await;
        let message = call_message(LIST, &json!({}));
        for (second, is_taken) in [(&key, true), (&other, true), (&other, false)] {
            let headers = [("x-api-key", second.plain.as_str())];
            let answer = world.post(&token, &headers, &message).await.expect(200);
            assert_eq!(outcome(&answer).is_ok(), is_taken, "{answer}");
        }
    }
);

on_both_engines!(
    a_key_in_its_grace_and_its_successor_are_counted_once_a_call,
    async |app| {
        let mut world = World::of(app).await;
        let old = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        world.connected = world.connect(&world.account, &old.plain).await;
        change(&world, &old, json!({ "rateLimit": 2, "rateLimitTtl": 60 })).await;
        let guarded = json!({ "require_api_token_auth": true });
        let (_, token) = world.server_of(&world.owner, guarded.clone()).await;
        let (_, of_old) = world.server_of(&old.plain, guarded).await;
        world.advance(60);
        let path = format!("/access-keys/{}/rotate", old.id);
        let grace = json!({ "gracePeriod": 600 });
        let rotated = world.ask(&world.owner, Method::POST, &path, grace).await;
        let new = rotated.expect(201)["key"].as_str().unwrap().to_owned();
        let message = call_message(LIST, &json!({}));
        // The maker is the successor now, and the stored credential the key in its grace.
        for (token, second) in [(&of_old, &old.plain), (&of_old, &new), (&token, &new)] {
            for is_taken in [true, true, false] {
                let headers = [("x-api-key", second.as_str())];
                let answer = world.post(token, &headers, &message).await.expect(200);
                assert_eq!(outcome(&answer).is_ok(), is_taken, "{answer}");
            }
            world.advance(60);
        }
    }
);

on_both_engines!(
    a_stored_credential_over_its_limit_is_no_failure_of_the_upstream,
    async |app| {
        let mut world = World::of(app).await;
        let stored = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        change(
            &world,
            &stored,
            json!({ "rateLimit": 1, "rateLimitTtl": 60 }),
        )
        .await;
        world.connected = world.connect(&world.account, &stored.plain).await;
        let (_, token) = world.server(json!({})).await;
        assert!(world.call(&token, LIST, json!({})).await.is_ok());
        let told = world.call(&token, LIST, json!({})).await.unwrap_err();
        assert!(is_over(&told), "{told}");
        assert_eq!(
            (&told["is_remote_error"], &told["retry_after_s"]),
            (&json!(false), &json!(60))
        );
    }
);

on_both_engines!(
    a_second_credential_over_its_limit_does_not_use_up_the_makers,
    async |app| {
        let world = World::of(app).await;
        let key = async || {
            world
                .access_key(&world.account, Role::Developer, None)
                .await
        };
        let (maker, greedy, patient) = (key().await, key().await, key().await);
        let guarded = json!({ "require_api_token_auth": true });
        let (_, token) = world.server_of(&maker.plain, guarded).await;
        let most = |calls: u32| json!({ "rateLimit": calls, "rateLimitTtl": 60 });
        change(&world, &maker, most(3)).await;
        change(&world, &greedy, most(1)).await;
        // A name that no tool has is a call as well.
        let batch = Value::Array(vec![call_message("no_such_tool", &json!({})); 20]);
        let headers = [("x-api-key", greedy.plain.as_str())];
        let answer = world.post(&token, &headers, &batch).await.expect(200);
        assert!(is_over(&outcome(&answer[19]).unwrap_err()));
        let headers = [("x-api-key", patient.plain.as_str())];
        let message = call_message(LIST, &json!({}));
        for is_taken in [true, true, false] {
            let answer = world.post(&token, &headers, &message).await.expect(200);
            assert_eq!(outcome(&answer).is_ok(), is_taken, "{answer}");
        }
    }
);
