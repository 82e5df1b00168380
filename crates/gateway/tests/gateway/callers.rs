//! Who calls the proxy: a person gets no more through it than the connected account has, and a program
//! that is over its own limit is told so in the proxy's words.

use claviger_domain::role::Role;
use claviger_testkit::{Person, TestResponse, on_both_engines};
use http::Method;
use serde_json::{Value, json};

use crate::world::World;

async fn create_account(world: &World, person: &Person, connected: &str) -> TestResponse {
    let path = format!("/proxy/accounts?integrated_account_id={connected}");
    let request = world.app.request("POST", &path).bearer(&person.access);
    request.json(json!({ "name": "Customer" })).send().await
}

// Abuse case: the gateway lends nothing, and gives nothing that is beside the connected account.
on_both_engines!(
    an_account_that_a_person_makes_through_the_proxy_is_a_child_of_the_connected_one,
    async |app| {
        let world = World::of(app).await;
        let owner = world.app.person(&world.account, Role::Owner).await;
        let connected = world.connected.to_string();
        let made = create_account(&world, &owner, &connected).await.expect(201);
        assert_eq!(
            made["result"]["parentAccountId"],
            world.account.id.as_str(),
            "{made}"
        );
        // Nobody is given a role in it, so that it goes with the connected account's.
        let path = format!(
            "/teammates?accountId={}",
            made["result"]["id"].as_str().unwrap()
        );
        let teammates = world.get(&path).await.expect(200);
        assert!(
            !teammates.to_string().contains(owner.id.as_str()),
            "{teammates}"
        );
        // The connected account's, and not whatever they hold elsewhere.
        let (other, _) = world.account("Other").await;
        let stranger = world.app.person(&other, Role::Owner).await;
        let refused = create_account(&world, &stranger, &connected).await;
        refused.expect(404);
        let admin = world.app.person(&world.account, Role::Admin).await;
        let refused = create_account(&world, &admin, &connected).await.expect(403);
        assert_eq!(refused["code"], "forbidden");
        // In person they make an account of their own.
        let request = world.app.request("POST", "/accounts").bearer(&owner.access);
        let own = request.json(json!({ "name": "Own" })).send().await;
        assert_eq!(own.expect(201)["parentAccountId"], Value::Null);
    }
);

on_both_engines!(
    a_caller_over_its_own_limit_is_told_so_in_the_proxy_s_words,
    async |app| {
        let world = World::of(app).await;
        let caller = world.access_key(&world.account, Role::Admin, None).await;
        let limit = json!({ "rateLimit": 1, "rateLimitTtl": 60 });
        let path = format!("/access-keys/{}", caller.id);
        let limited = world.ask(&world.owner, Method::PATCH, &path, limit).await;
        limited.expect(200);
        let path = format!("/proxy/accounts?integrated_account_id={}", world.connected);
        let ask = async |path: &str| {
            let asked = world.ask(&caller.plain, Method::GET, path, Value::Null);
            asked.await
        };
        ask(&path).await.expect(200);
        world.app.advance(20);
        let refused = ask(&path).await;
        for (name, value) in [
            ("ratelimit-limit", "1"),
            ("ratelimit-remaining", "0"),
            ("ratelimit-reset", "40"),
            ("retry-after", "40"),
        ] {
            assert_eq!(refused.header(name), value, "{name}");
        }
        let expected = json!({
            "statusCode": 429, "error": "Too Many Requests", "message": "Too many requests",
            "code": "caller_rate_limited", "is_remote_error": false, "raw_response": null,
        });
        assert_eq!(refused.expect(429), expected);
        // Elsewhere it stays as it is there.
        let elsewhere = ask("/accounts").await;
        assert_eq!(
            elsewhere.header("ratelimit-reset"),
            "2030-01-01T00:01:00.000Z"
        );
        elsewhere.expect(429);
    }
);
