//! Signing in with Firebase: whose token is believed, and whom it is taken for.

use claviger_domain::role::Role;
use claviger_edge::SignUp;
use claviger_testkit::{Engine, IdentityProvider, Logs, Person, TestApp, TestResponse};
use serde_json::{Value, json};

const PATH: &str = "/auth/add-user-from-firebase";

async fn world(sign_up: SignUp) -> (TestApp, IdentityProvider) {
    let provider = IdentityProvider::start().await;
    let app = TestApp::with_firebase(Engine::of_this_run(), sign_up, provider.url()).await;
    (app, provider)
}

async fn present(app: &TestApp, token: &str) -> TestResponse {
    present_with(app, json!({"idToken": token})).await
}

async fn present_with(app: &TestApp, body: Value) -> TestResponse {
    app.request("POST", PATH).json(body).send().await
}

fn claims(app: &TestApp, subject: &str, email: &str) -> Value {
    IdentityProvider::claims(app.core.now(), subject, email)
}

fn token(app: &TestApp, subject: &str, email: &str) -> String {
    IdentityProvider::token(&claims(app, subject, email))
}

#[tokio::test]
async fn without_a_project_it_is_not_configured() {
    let app = TestApp::start().await;
    let refused = present(&app, "token").await.expect(501);
    assert_eq!(refused["code"], "not_configured");
}

#[tokio::test]
async fn who_is_new_signs_up_and_is_the_same_from_then_on() {
    let (app, provider) = world(SignUp::Open).await;
    present_with(&app, json!({})).await.expect(400);
    let made = present(&app, &token(&app, "u1", "Ada@Example.com")).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(201);
    assert_eq!(made["user"]["email"], "Ada@Example.com");
    assert_eq!(made["user"]["name"], "Ada Lovelace");
    assert_eq!(made["user"]["isEmailVerified"], true);
    let access = made["access_token"].as_str().unwrap();
    let accounts = app.request("GET", "/accounts").bearer(access).send().await;
    assert_eq!(accounts.expect(200).as_array().unwrap().len(), 1);
    // By the provider's name for them, whatever address it tells later, or none.
    let mut later = claims(&app, "u1", "other@example.com");
    later["email_verified"] = false.into();
    let again = present(&app, &IdentityProvider::token(&later)).await;
    assert_eq!(again.expect(201)["user"], made["user"]);
    assert_eq!(provider.asked(), 1, "the keys are kept");
    // They have no password that anybody could try.
    let body = json!({"email": "ada@example.com", "password": "correct horse"});
    let log_in = app.request("POST", "/auth/login").json(body).send().await;
    log_in.expect(401);
}

#[tokio::test]
async fn a_new_token_of_an_old_sign_in_sets_no_password() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let provider = IdentityProvider::start().await;
        let app = TestApp::with_firebase(engine, SignUp::Open, provider.url()).await;
        // By who is new, and by who is known.
        for _ in 0..2 {
            let mut claims = claims(&app, "u1", "ada@example.com");
            // Firebase makes tokens anew each hour; somebody signed in there 15 minutes ago.
            claims["auth_time"] = (app.core.now().as_seconds() - 900).into();
            let signed_in = present(&app, &IdentityProvider::token(&claims)).await;
            let signed_in = signed_in.expect(201);
            let refused = choose_password(&app, &signed_in).await.expect(403);
            assert_eq!(refused["code"], "sign_in_again");
        }
        let mut claims = claims(&app, "u1", "ada@example.com");
        claims["auth_time"] = (app.core.now().as_seconds() - 600).into();
        let signed_in = present(&app, &IdentityProvider::token(&claims)).await;
        let signed_in = signed_in.expect(201);
        app.advance(299);
        // A session that goes on is of the same sign-in.
        let refresh = json!({"refresh_token": signed_in["refresh_token"]});
        let refresh = app
            .request("POST", "/auth/refresh-access-token")
            .json(refresh);
        let refreshed = refresh.send().await.expect(201);
        app.advance(1);
        choose_password(&app, &refreshed).await.expect(403);
        let again = present(&app, &token(&app, "u1", "ada@example.com")).await;
        let again = again.expect(201);
        choose_password(&app, &again).await.expect(204);
    }
}

async fn choose_password(app: &TestApp, signed_in: &Value) -> TestResponse {
    let access = signed_in["access_token"]
        .as_str()
        .expect("they are signed in");
    let request = app.request("POST", "/auth/password").bearer(access);
    let body = json!({"newPassword": "another horse"});
    request.json(body).send().await
}

#[tokio::test]
async fn who_signs_up_may_be_bound_to_an_invitation() {
    let (app, _provider) = world(SignUp::Invited).await;
    let refused = present(&app, &token(&app, "u1", "ada@example.com")).await;
    assert_eq!(refused.expect(403)["code"], "invitation_needed");
    let tenant = app.tenant("Acme").await;
    let body = json!({"email": "ada@example.com", "role": "viewer"});
    let invite = app.request("POST", "/invitations").key(tenant.owner());
    let made = invite.json(body).send().await.expect(201);
    let mails = app.mails().await;
    let invitation = mails[0].token();
    // The id is no token, and the token is for that address alone.
    for (email, id) in [
        ("ada@example.com", made["id"].as_str().unwrap()),
        ("eve@example.com", invitation),
    ] {
        let body = json!({"idToken": token(&app, "u2", email), "invitationId": id});
        let refused = present_with(&app, body).await.expect(403);
        assert_eq!(refused["code"], "invitation_needed");
    }
    let body = json!({"idToken": token(&app, "u1", "ada@example.com"), "invitationId": invitation});
    let joined = present_with(&app, body.clone()).await.expect(201);
    // Whoever did not get the answer asks again.
    let again = present_with(&app, body).await.expect(201);
    assert_eq!(again["user"]["id"], joined["user"]["id"]);
    let access = joined["access_token"].as_str().unwrap();
    let accounts = app.request("GET", "/accounts").bearer(access).send().await;
    let id = tenant.account.id.as_str();
    assert_eq!(accounts.expect(200)[0]["id"], id);
    let (closed, _provider) = world(SignUp::Closed).await;
    let refused = present(&closed, &token(&closed, "u1", "ada@example.com")).await;
    assert_eq!(refused.expect(403)["code"], "sign_up_closed");
}

#[tokio::test]
async fn who_is_known_by_a_verified_address_is_the_same_person() {
    // That nobody signs up here is no matter of theirs.
    let (app, _provider) = world(SignUp::Closed).await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let linked = present(&app, &token(&app, "u1", &person.email)).await;
    assert_eq!(linked.expect(201)["user"]["id"], person.id.as_str());
    // They are told of it, once.
    present(&app, &token(&app, "u1", &person.email))
        .await
        .expect(201);
    let mails = app.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, person.email);
    assert!(mails[0].text.contains("You have signed in with Firebase"));
    // Their password goes on working, since the address was theirs before.
    let body = json!({"email": person.email, "password": Person::PASSWORD});
    let log_in = app.request("POST", "/auth/login").json(body).send().await;
    log_in.expect(201);
}

#[tokio::test]
async fn who_is_known_accepts_an_invitation_by_its_token_or_is_not_signed_in() {
    let (app, _provider) = world(SignUp::Invited).await;
    let (first, second) = (app.tenant("Acme").await, app.tenant("Other").await);
    let person = app.person(&first.account, Role::Viewer).await;
    let invite = app.request("POST", "/invitations").key(second.owner());
    let body = json!({"email": person.email, "role": "developer"});
    invite.json(body).send().await.expect(201);
    let mails = app.mails().await;
    let invitation = mails[0].token();
    let body = |subject: &str, email: &str, invitation: &str| {
        let token = token(&app, subject, email);
        json!({"idToken": token, "invitationId": invitation, "accountId": second.account.id})
    };
    let refused = present_with(&app, body("u1", &person.email, "invite_none")).await;
    assert_eq!(refused.expect(403)["code"], "invitation_needed");
    let stranger = app.person(&first.account, Role::Viewer).await;
    let refused = present_with(&app, body("u2", &stranger.email, invitation)).await;
    assert_eq!(refused.expect(403)["code"], "invitation_needed");
    let joined = present_with(&app, body("u1", &person.email, invitation)).await;
    let joined = joined.expect(201);
    let access = joined["access_token"].as_str().unwrap();
    let accounts = app.request("GET", "/accounts").bearer(access).send().await;
    assert_eq!(accounts.expect(200).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn who_comes_twice_at_once_is_one_person() {
    let (app, _provider) = world(SignUp::Open).await;
    let token = token(&app, "u1", "ada@example.com");
    let (one, other) = futures::future::join(present(&app, &token), present(&app, &token)).await;
    let (one, other) = (one.expect(201), other.expect(201));
    assert_eq!(one["user"]["id"], other["user"]["id"]);
}

#[tokio::test]
async fn who_signed_up_with_somebody_else_s_address_is_out_when_they_come() {
    let (app, _provider) = world(SignUp::Open).await;
    let body = json!({"email": "ada@example.com", "password": "correct horse", "name": "Eve"});
    let sign_up = app.request("POST", "/auth/signup").json(body.clone());
    let eve = sign_up.send().await.expect(201);
    let ada = present(&app, &token(&app, "u1", "ada@example.com")).await;
    assert_eq!(ada.expect(201)["user"]["id"], eve["user"]["id"]);
    let me = app.request("GET", "/users/me");
    me.bearer(eve["access_token"].as_str().unwrap())
        .send()
        .await
        .expect(401);
    let log_in = app.request("POST", "/auth/login").json(body).send().await;
    log_in.expect(401);
}

#[tokio::test]
async fn firebase_token_with_unverified_mail_wrong_audience_or_issuer_none_or_hs256_links_nobody() {
    let (app, provider) = world(SignUp::Open).await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Owner).await;
    let good = claims(&app, "u1", &person.email);
    let with = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        IdentityProvider::token(&claims)
    };
    let now = app.core.now().as_seconds();
    let fine = IdentityProvider::token(&good);
    let (head, signature) = fine.rsplit_once('.').unwrap();
    let mut hostile = vec![
        with("email_verified", json!(false)),
        with("email_verified", json!("true")),
        with("aud", json!("other")),
        with("aud", json!(["acme-1"])),
        with("iss", json!("https://securetoken.google.com/other")),
        with("iss", json!("https://evil.example.com/acme-1")),
        with("exp", json!(now)),
        with("exp", json!(now - 3_600)),
        with("iat", json!(now + 3_600)),
        with("auth_time", json!(now + 3_600)),
        with("sub", json!("")),
        with("sub", Value::Null),
        with(
            "firebase",
            json!({"sign_in_provider": "password", "tenant": "other"}),
        ),
        with("firebase", json!({"sign_in_provider": "custom"})),
        with("firebase", json!({"sign_in_provider": "anonymous"})),
        with("firebase", json!({})),
        IdentityProvider::token_of_a_stranger(&good),
        IdentityProvider::token_with_header(&json!({"jwk": IdentityProvider::stranger()}), &good),
        IdentityProvider::token_with_header(&json!({"jku": "https://evil.example.com"}), &good),
        IdentityProvider::token_with_header(&json!({"crit": ["exp"]}), &good),
        IdentityProvider::token_with_header(&json!({"kid": null}), &good),
        format!("{head}."),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{fine}.{fine}"),
        head.to_owned(),
        String::new(),
        "a".repeat(100_000),
    ];
    for algorithm in ["none", "None", "NONE", "", "RS256", "HS256", "RS1"] {
        hostile.push(IdentityProvider::token_without_signature(algorithm, &good));
    }
    for secret in IdentityProvider::public_forms() {
        hostile.push(IdentityProvider::token_by_secret(&secret, &good));
    }
    let mut first = None;
    for (number, token) in hostile.iter().enumerate() {
        let from = std::net::SocketAddr::from(([192, 0, 2, 1 + u8::try_from(number).unwrap()], 1));
        let request = app.request("POST", PATH).from(from);
        let refused = request.json(json!({"idToken": token})).send().await;
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        let mut refused = refused.expect(401);
        refused.as_object_mut().unwrap().remove("requestId");
        assert_eq!(
            *first.get_or_insert_with(|| refused.clone()),
            refused,
            "{token}"
        );
    }
    assert!(provider.asked() <= 1);
    // Nobody was linked: the subject is free, for whoever has a good token.
    let other = present(&app, &token(&app, "u1", "ada@example.com")).await;
    assert_ne!(other.expect(201)["user"]["id"], person.id.as_str());
}

#[tokio::test]
async fn keys_are_fetched_anew_when_they_are_over_and_seldom_for_ids_that_are_not_known() {
    let (app, provider) = world(SignUp::Open).await;
    let of = |id: &str| IdentityProvider::token_under(id, &claims(&app, "u1", "ada@example.com"));
    let from = |octet: u8| std::net::SocketAddr::from(([192, 0, 2, octet], 1));
    let ask = async |octet: u8, id: &str| {
        let request = app.request("POST", PATH).from(from(octet));
        let answer = request.json(json!({"idToken": of(id)})).send().await;
        answer.status.as_u16()
    };
    assert_eq!(ask(1, "first").await, 201);
    assert_eq!(provider.asked(), 1);
    // A flood of ids that were made up, at once and one after another, has none fetched so soon.
    let flood = (0..40).map(|number| ask(100 + number, "made-up"));
    let all = futures::future::join_all(flood).await;
    assert!(all.iter().all(|status| *status == 401), "{all:?}");
    assert_eq!(provider.asked(), 1);
    app.advance(60);
    let flood = (0..40).map(|number| ask(150 + number, "made-up"));
    futures::future::join_all(flood).await;
    assert_eq!(provider.asked(), 2);
    assert_eq!(ask(2, "first").await, 201);
    // A key that the provider has now is found soon.
    provider.publish(&["first", "second"]);
    assert_eq!(ask(3, "second").await, 401);
    app.advance(60);
    assert_eq!(ask(3, "second").await, 201);
    assert_eq!(provider.asked(), 3);
    // What it has no more is good for as long as it said, and not longer.
    provider.publish(&["second"]);
    app.advance(599);
    assert_eq!(ask(4, "first").await, 201);
    app.advance(1);
    assert_eq!(ask(4, "first").await, 401);
    assert_eq!(provider.asked(), 4);
}

#[tokio::test]
async fn while_the_provider_is_away_who_knows_its_keys_signs_in_and_others_come_later() {
    let (app, provider) = world(SignUp::Open).await;
    let present_now = async || present(&app, &token(&app, "u1", "ada@example.com")).await;
    provider.set_away(true);
    let away = present_now().await;
    assert_eq!(away.header("retry-after"), "10");
    assert_eq!(away.expect(503)["code"], "provider_away");
    present_now().await.expect(503);
    assert_eq!(provider.asked(), 1, "it is let rest");
    provider.set_away(false);
    app.advance(10);
    present_now().await.expect(201);
    provider.set_away(true);
    app.advance(599);
    present_now().await.expect(201);
    // Keys that are not known are looked for in vain, and spoil nothing.
    let claims = claims(&app, "u1", "ada@example.com");
    let unknown = IdentityProvider::token_under("second", &claims);
    present(&app, &unknown).await.expect(401);
    present_now().await.expect(201);
    app.advance(31);
    present_now().await.expect(503);
    // What is no set of keys is none, and does not keep for a while.
    provider.set_away(false);
    provider.publish(&[]);
    app.advance(10);
    present_now().await.expect(503);
    provider.publish(&["first"]);
    app.advance(10);
    present_now().await.expect(201);
}

#[tokio::test]
async fn who_hangs_up_while_keys_are_fetched_keeps_nobody_out() {
    let (app, provider) = world(SignUp::Open).await;
    let (eve, ada) = (
        token(&app, "u2", "eve@example.com"),
        token(&app, "u1", "ada@example.com"),
    );
    let held = provider.hold().await;
    tokio::select! {
        _ = present(&app, &eve) => panic!("nobody is believed without keys"),
        () = provider.is_asked() => {}
    }
    drop(held);
    present(&app, &ada).await.expect(201);
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn whoever_waits_for_a_provider_that_does_not_answer_waits_once() {
    let (app, provider) = world(SignUp::Open).await;
    provider.set_away(true);
    let held = provider.hold().await;
    let token = token(&app, "u1", "ada@example.com");
    let waiting = futures::future::join_all((0..5).map(|_| present(&app, &token)));
    let at_last = async {
        provider.is_asked().await;
        // Longer than it is let rest.
        app.advance(30);
        drop(held);
    };
    let (refused, ()) = futures::future::join(waiting, at_last).await;
    for refused in refused {
        assert_eq!(refused.expect(503)["code"], "provider_away");
    }
    assert_eq!(provider.asked(), 1);
    app.advance(9);
    present(&app, &token).await.expect(503);
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_provider_that_is_away_takes_no_other_way_in_along() {
    let (app, provider) = world(SignUp::Open).await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    provider.set_away(true);
    let token = token(&app, "u1", &person.email);
    // More than anybody tries from one network.
    for _ in 0..61 {
        present(&app, &token).await.expect(503);
    }
    let body = json!({"email": person.email, "password": Person::PASSWORD});
    let log_in = app.request("POST", "/auth/login").json(body).send().await;
    log_in.expect(201);
}

#[tokio::test]
async fn no_log_has_a_token_or_what_it_says() {
    let (app, _provider) = world(SignUp::Open).await;
    let logs = Logs::of_this_thread();
    let good = claims(&app, "canary-subject", "canary@example.com");
    let mut odd = good.clone();
    odd["email_verified"] = "canary-verified".into();
    let mut over = good.clone();
    over["exp"] = 0.into();
    let tokens = [
        IdentityProvider::token(&good),
        IdentityProvider::token(&odd),
        IdentityProvider::token(&over),
        IdentityProvider::token_of_a_stranger(&good),
        IdentityProvider::token_without_signature("canary-algorithm", &good),
        IdentityProvider::token_under("canary-key", &good),
    ];
    for token in &tokens {
        present(&app, token).await;
    }
    let text = logs.text();
    assert!(text.contains("is not believed"));
    assert!(!text.contains("canary"), "{text}");
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        assert!(part.is_empty() || !text.contains(part), "{part}");
    }
}
