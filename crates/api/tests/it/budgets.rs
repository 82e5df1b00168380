//! What may be asked for that is not there, and how much at once.

use std::net::{IpAddr, SocketAddr};

use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_domain::role::Role;
use claviger_testkit::{Engine, PROXY, Person, SeededRandom, TestApp, on_both_engines};
use serde_json::json;

/// Looks that find nothing: of one network in a minute, of one caller in a second.
const OF_NETWORK: usize = 600;
const OF_CALLER: usize = 500;
/// Sign-ins of one address, and exchanges of one person's tokens, in five minutes.
const OF_PERSON: usize = 60;

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

#[tokio::test]
async fn who_signs_in_again_and_again_is_told_to_come_later() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let ada = app.person(&tenant.account, Role::Viewer).await;
    let bob = app.person(&tenant.account, Role::Viewer).await;
    let log_in = async |person: &Person, password: &str| {
        let body = json!({"email": person.email, "password": password});
        let request = app.request("POST", "/auth/login").json(body);
        request.send().await
    };
    // What is wrong is no sign-in, and uses nothing of this up.
    log_in(&ada, "wrong horse battery").await.expect(401);
    for _ in 0..OF_PERSON {
        log_in(&ada, Person::PASSWORD).await.expect(201);
    }
    let refused = log_in(&ada, Person::PASSWORD).await;
    assert_eq!(refused.header("retry-after"), "300");
    assert_eq!(refused.expect(429)["code"], "too_many_attempts");
    log_in(&bob, Person::PASSWORD).await.expect(201);
    // Whoever got hold of a password keeps nobody from signing in by mail.
    let ask = json!({"email": ada.email});
    let asked = app.request("POST", "/auth/email-otc").json(ask).send();
    asked.await.expect(201);
    let mails = app.mails().await;
    let code = json!({"email": ada.email, "code": mails[0].digits()});
    let by_mail = app.request("POST", "/auth/validate-login-code").json(code);
    by_mail.send().await.expect(201);
    app.advance(300);
    log_in(&ada, Person::PASSWORD).await.expect(201);
}

on_both_engines!(
    who_refreshes_again_and_again_is_told_to_come_later_and_hides_no_theft,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let ada = app.person(&tenant.account, Role::Viewer).await;
        let bob = app.person(&tenant.account, Role::Viewer).await;
        let refresh = async |token: &str| {
            let body = json!({"refresh_token": token});
            let request = app.request("POST", "/auth/refresh-access-token");
            request.json(body).send().await
        };
        let use_up = async |mut token: String| {
            for _ in 0..OF_PERSON {
                let refreshed = refresh(&token).await.expect(201);
                token = refreshed["refresh_token"].as_str().unwrap().to_owned();
            }
            token
        };
        let token = use_up(ada.refresh.clone()).await;
        let refused = refresh(&token).await;
        assert_eq!(refused.header("retry-after"), "300");
        assert_eq!(refused.expect(429)["code"], "too_many_attempts");
        refresh(&bob.refresh).await.expect(201);
        // It was not used up, and is good for as long as it was.
        app.advance(300);
        let token = use_up(token).await;
        refresh(&token).await.expect(429);
        // Whoever else has the first of them is seen all the same, and the session is over.
        refresh(&ada.refresh).await.expect(401);
        refresh(&token).await.expect(401);
    }
);
