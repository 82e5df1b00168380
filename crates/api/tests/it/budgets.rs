//! What may be asked for that is not there, and how much at once.

use std::net::{IpAddr, SocketAddr};

use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_domain::role::Role;
use claviger_testkit::{Engine, PROXY, SeededRandom, TestApp};
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
    let caller = tenant.key(Role::Verifier);
    let guesser = SocketAddr::from(([192, 0, 2, 1], 1));
    let other = SocketAddr::from(([192, 0, 2, 2], 1));
    let known = app.api_key(&tenant, json!({})).await;
    let fresh = app.api_key(&tenant, json!({})).await;
    let random = SeededRandom::new(1);
    let check = async |from: SocketAddr, key: &str| {
        let path = format!("/api-keys/auth/{key}");
        let request = app.request("POST", &path).from(from);
        request.key(caller).send().await
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
async fn a_crowd_of_one_account_is_refused_and_others_have_their_turn() {
    // Queries at once, and those of one family that wait.
    const AT_ONCE: usize = 8;
    const WAITING: usize = 256;
    const TOO_MANY: usize = 10;
    let app = TestApp::with(Engine::Postgres).await;
    let crowd = app.tenant("Acme").await;
    let other = app.tenant("Other").await;
    let known = app.api_key(&crowd, json!({})).await;
    let check = format!("/api-keys/auth/{}", known["key"].as_str().unwrap());
    let check = || app.request("POST", &check).key(crowd.owner()).send();
    let show = |tenant: &claviger_testkit::Tenant| {
        let path = format!("/projects/{}", tenant.project.id.as_str());
        app.request("GET", &path).key(tenant.owner()).send()
    };
    check().await.expect(200);
    show(&other).await.expect(200);
    let held = app.hold_table("projects").await;
    let (answer, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..AT_ONCE + WAITING + TOO_MANY {
        let (answer, asking) = (answer.clone(), show(&crowd));
        tokio::spawn(async move { answer.send(asking.await) });
    }
    for _ in 0..TOO_MANY {
        let refused = answers.recv().await.unwrap();
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.expect(503)["code"], "too_busy");
    }
    // What needs no query needs no turn.
    check().await.expect(200);
    let others = tokio::spawn(show(&other));
    drop(held);
    others.await.unwrap().expect(200);
    for _ in 0..AT_ONCE + WAITING {
        answers.recv().await.unwrap().expect(200);
    }
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
