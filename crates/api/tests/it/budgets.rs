//! What may be asked for that is not there.

use std::net::{IpAddr, SocketAddr};

use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_domain::role::Role;
use claviger_testkit::{PROXY, SeededRandom, TestApp};
use serde_json::json;

/// Looks that find nothing: of one network in a minute, of one caller in a second.
const OF_NETWORK: usize = 600;
const OF_CALLER: usize = 500;

#[tokio::test]
async fn who_guesses_credentials_is_told_to_come_later() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let random = SeededRandom::new(1);
    let ask = async |key: &str| app.request("GET", "/api-keys").key(key).send().await;
    ask(tenant.owner()).await.expect(200);
    for _ in 0..OF_NETWORK {
        let drawn = KeyPurpose::AccessKey(Environment::Live).draw(&random);
        ask(drawn.plain.expose()).await.expect(401);
    }
    let drawn = KeyPurpose::AccessKey(Environment::Live).draw(&random);
    let refused = ask(drawn.plain.expose()).await;
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(refused.expect(429)["code"], "too_many_attempts");
    // A credential that is known goes on, and one that is known to be none is answered as before.
    ask(tenant.owner()).await.expect(200);
    app.advance(60);
    ask(drawn.plain.expose()).await.expect(401);
}

#[tokio::test]
async fn who_guesses_keys_is_told_to_come_later_and_others_are_not() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let (guesser, other) = (tenant.key(Role::Developer), tenant.key(Role::Verifier));
    let known = app.api_key(&tenant, json!({})).await;
    let fresh = app.api_key(&tenant, json!({})).await;
    let random = SeededRandom::new(1);
    let check = async |caller: &str, key: &str| {
        let path = format!("/api-keys/auth/{key}");
        app.request("POST", &path).key(caller).send().await
    };
    let text = |key: &serde_json::Value| key["key"].as_str().unwrap().to_owned();
    check(guesser, &text(&known)).await.expect(200);
    for _ in 0..OF_CALLER {
        let drawn = KeyPurpose::ApiKey(Environment::Live).draw(&random);
        check(guesser, drawn.plain.expose()).await.expect(404);
        // What is known not to be there is no look.
        check(guesser, drawn.plain.expose()).await.expect(404);
    }
    let refused = check(guesser, &text(&fresh)).await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.expect(429)["code"], "too_many_attempts");
    check(guesser, &text(&known)).await.expect(200);
    check(other, &text(&fresh)).await.expect(200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_budget() {
    let app = TestApp::start().await;
    let random = SeededRandom::new(1);
    let guess = async |peer: IpAddr, client: &str| {
        let drawn = KeyPurpose::AccessKey(Environment::Live).draw(&random);
        let request = app.request("GET", "/api-keys").key(drawn.plain.expose());
        let request = request.header("x-forwarded-for", client);
        request.from(SocketAddr::new(peer, 50_000)).send().await
    };
    let elsewhere = IpAddr::from([198, 51, 100, 2]);
    for _ in 0..OF_NETWORK {
        // What the client sends itself chooses nothing.
        guess(PROXY, "192.0.2.1, 203.0.113.7").await.expect(401);
        guess(elsewhere, "203.0.113.9").await.expect(401);
    }
    guess(PROXY, "203.0.113.7").await.expect(429);
    guess(PROXY, "203.0.113.8").await.expect(401);
    // Whoever is no trusted proxy is the client, whatever it tells.
    guess(elsewhere, "203.0.113.10").await.expect(429);
    guess(PROXY, "203.0.113.9").await.expect(401);
}
