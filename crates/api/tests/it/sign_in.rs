//! What signing in may not outlive, use up or undo.

use claviger_domain::event::Actor;
use claviger_domain::role::Role;
use claviger_store::StoreError;
use claviger_store::sessions::{self, Ended};
use claviger_store::users::{self, PasswordHash};
use claviger_testkit::{Engine, Mail, Person, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};
use tokio::sync::oneshot;

async fn post(app: &TestApp, path: &str, body: Value) -> TestResponse {
    app.request("POST", path).json(body).send().await
}

async fn last_mail(app: &TestApp) -> Mail {
    let mails = app.mails().await;
    let last = mails.into_iter().max_by_key(|mail| mail.order.clone());
    last.expect("one was sent")
}

/// What `request` answers when, after the password was looked up and before anything is written, the
/// person gets another one and all their sessions end.
async fn beside_a_reset(
    app: &TestApp,
    person: &Person,
    request: impl Future<Output = TestResponse>,
) -> TestResponse {
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let (db, change) = (app.core.db.clone(), app.core.change(&Actor::System));
    let id = person.id.clone();
    let reset = tokio::spawn(async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let hash = PasswordHash("another".to_owned());
                users::set_password(tx, &change, &id, &hash).await?;
                sessions::end(tx, &change, &id, Ended::All, "password").await?;
                held.send(()).expect("it is waited for");
                may_go_on.await.expect("it goes on");
                Ok(())
            })
        })
        .await
    });
    is_held.await.expect("it is held");
    let mut request = std::pin::pin!(request);
    for _ in 0..300 {
        // It gets as far as it can: until it waits for the other.
        let polled = futures::poll!(&mut request);
        assert!(polled.is_pending(), "it waits for the reset");
        tokio::task::spawn_blocking(|| ())
            .await
            .expect("nothing fails");
    }
    go_on.send(()).expect("it is waited for");
    reset.await.expect("it ends").expect("it is done");
    request.await
}

on_both_engines!(
    a_login_in_flight_does_not_outlive_the_password_that_it_verified,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let body = json!({"email": person.email, "password": Person::PASSWORD});
        let login = post(&app, "/auth/login", body);
        beside_a_reset(&app, &person, login).await.expect(401);
    }
);

on_both_engines!(
    a_change_of_password_in_flight_does_not_undo_a_reset,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let body = json!({"currentPassword": Person::PASSWORD, "newPassword": "a thief's horse"});
        let change = app.request("POST", "/auth/password").bearer(&person.access);
        let change = change.json(body).send();
        let refused = beside_a_reset(&app, &person, change).await;
        // On a slow machine it has come no further than to the password, which is another one by then.
        let status = refused.status.as_u16();
        assert!([400, 401].contains(&status), "{:#}", refused.body);
        let body = json!({"email": person.email, "password": "a thief's horse"});
        post(&app, "/auth/login", body).await.expect(401);
    }
);

/// Signs somebody up who then shows by mail who they are, so that they have no password.
async fn without_password(app: &TestApp) -> Value {
    let email = json!({"email": "ada@example.com"});
    let body = json!({"email": "ada@example.com", "password": "correct horse", "name": "Ada"});
    post(app, "/auth/signup", body).await.expect(201);
    post(app, "/auth/email-otc", email).await.expect(201);
    let code = json!({"code": last_mail(app).await.token()});
    let signed_in = post(app, "/auth/validate-login-code", code).await;
    signed_in.expect(201)
}

async fn choose(app: &TestApp, access: &Value) -> TestResponse {
    let access = access.as_str().expect("it is text");
    let request = app.request("POST", "/auth/password").bearer(access);
    let body = json!({"newPassword": "another horse"});
    request.json(body).send().await
}

on_both_engines!(
    who_has_no_password_chooses_one_within_minutes_of_signing_in,
    async |app| {
        let signed_in = without_password(&app).await;
        app.advance(899);
        let refresh = json!({"refresh_token": signed_in["refresh_token"]});
        let refreshed = post(&app, "/auth/refresh-access-token", refresh).await;
        let refreshed = refreshed.expect(201);
        app.advance(1);
        // A token that was taken from a page does not take the account over.
        let refused = choose(&app, &refreshed["access_token"]).await.expect(403);
        assert_eq!(refused["code"], "sign_in_again");
        let email = json!({"email": "ada@example.com"});
        post(&app, "/auth/email-otc", email).await.expect(201);
        let code = json!({"code": last_mail(&app).await.token()});
        let again = post(&app, "/auth/validate-login-code", code).await;
        choose(&app, &again.expect(201)["access_token"])
            .await
            .expect(204);
        let body = json!({"email": "ada@example.com", "password": "another horse"});
        post(&app, "/auth/login", body).await.expect(201);
    }
);

#[tokio::test]
async fn a_code_is_not_used_up_where_nobody_could_be_signed_in() {
    let app = TestApp::with(Engine::Sqlite).await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    for is_link in [false, true] {
        let email = json!({"email": person.email});
        post(&app, "/auth/email-otc", email).await.expect(201);
        let mail = last_mail(&app).await;
        let code = if is_link {
            json!({"code": mail.token()})
        } else {
            json!({"code": mail.digits(), "email": person.email})
        };
        app.alter("ALTER TABLE sessions RENAME TO elsewhere").await;
        post(&app, "/auth/validate-login-code", code.clone())
            .await
            .expect(500);
        app.alter("ALTER TABLE elsewhere RENAME TO sessions").await;
        post(&app, "/auth/validate-login-code", code.clone())
            .await
            .expect(201);
        post(&app, "/auth/validate-login-code", code)
            .await
            .expect(401);
    }
}

#[tokio::test]
async fn what_costs_a_digest_has_the_budget_of_signing_in() {
    let app = TestApp::start().await;
    let signed_in = without_password(&app).await;
    let email = json!({"email": "ada@example.com"});
    post(&app, "/auth/password-reset", email).await.expect(201);
    let reset = json!({"token": last_mail(&app).await.token(), "newPassword": "another horse"});
    // The sign-up was one attempt.
    for number in 1..60 {
        let body = json!({"email": format!("{number}@example.com"), "password": "wrong horse"});
        post(&app, "/auth/login", body).await.expect(401);
    }
    // Neither a token that is good until it is used, nor a session without a password, has more.
    post(&app, "/auth/password-reset", reset.clone())
        .await
        .expect(429);
    choose(&app, &signed_in["access_token"]).await.expect(429);
    app.advance(300);
    post(&app, "/auth/password-reset", reset).await.expect(201);
}

#[tokio::test]
async fn a_link_s_token_is_no_digits_of_the_address_beside_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let email = json!({"email": person.email});
    post(&app, "/auth/email-otc", email).await.expect(201);
    let code = json!({"code": last_mail(&app).await.token(), "email": person.email});
    post(&app, "/auth/validate-login-code", code)
        .await
        .expect(201);
}

#[tokio::test]
async fn who_asks_for_mails_from_one_place_leaves_some_to_whose_address_it_is() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let ask = async |path: &str, octet: u8| {
        let from = std::net::SocketAddr::from(([192, 0, 2, octet], 1));
        let request = app.request("POST", path).from(from);
        request.json(json!({"email": person.email})).send().await
    };
    for _ in 0..10 {
        ask("/auth/email-otc", 1).await.expect(201);
    }
    ask("/auth/email-otc", 1).await.expect(429);
    ask("/auth/email-otc", 2).await.expect(201);
    // A reset is another thing.
    ask("/auth/password-reset", 1).await.expect(201);
    // From many places it ends, too.
    for octet in 3..=21 {
        ask("/auth/email-otc", octet).await.expect(201);
    }
    ask("/auth/email-otc", 22).await.expect(429);
    ask("/auth/password-reset", 22).await.expect(201);
}
