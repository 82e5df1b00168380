//! The pages that links in mails lead to.

use claviger_domain::role::Role;
use claviger_testkit::{Mail, Person, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

async fn post(app: &TestApp, path: &str, body: Value) -> TestResponse {
    app.request("POST", path).json(body).send().await
}

/// Opens the link of a mail.
async fn open(app: &TestApp, mail: &Mail, page: &str) -> String {
    let opened = app
        .request("GET", &format!("{page}?token={}", mail.token()))
        .send()
        .await;
    assert_eq!(opened.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(opened.header("cache-control"), "no-store");
    assert_eq!(opened.header("referrer-policy"), "no-referrer");
    let policy = opened.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; form-action 'self';"));
    let page = opened.expect(200);
    page.as_str().expect("it is no JSON").to_owned()
}

/// Posts the form of a page.
async fn submit(app: &TestApp, page: &str, members: &[(&str, &str)]) -> TestResponse {
    let body = Serializer::new(String::new())
        .extend_pairs(members)
        .finish();
    let request = app.request("POST", page);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await
}

fn says(answer: &Value, text: &str) {
    let page = answer.as_str().expect("it is no JSON");
    assert!(page.contains(text), "{page}");
}

async fn last_mail(app: &TestApp) -> Mail {
    let mails = app.mails().await;
    let last = mails.into_iter().max_by_key(|mail| mail.order.clone());
    last.expect("one was sent")
}

on_both_engines!(
    a_link_that_is_opened_shows_a_button_and_posting_it_signs_in_once,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        post(&app, "/auth/email-otc", json!({"email": person.email}))
            .await
            .expect(201);
        let mail = last_mail(&app).await;
        for _ in 0..2 {
            let page = open(&app, &mail, "/sign-in").await;
            assert!(page.contains("<button>Sign in</button>"), "{page}");
            assert!(!page.contains("<script"), "{page}");
        }
        let form = [("token", mail.token())];
        let signed_in = submit(&app, "/sign-in", &form).await;
        assert_eq!(signed_in.header("cache-control"), "no-store");
        let page = signed_in.expect(200);
        let (_, after) = page
            .as_str()
            .unwrap()
            .split_once("Access token: <code>")
            .unwrap();
        let (access, _) = after.split_once('<').unwrap();
        let me = app.request("GET", "/users/me").bearer(access).send().await;
        assert_eq!(me.expect(200)["id"], person.id.as_str());
        says(
            &submit(&app, "/sign-in", &form).await.expect(401),
            "not good any more",
        );
    }
);

on_both_engines!(a_forgotten_password_is_reset_on_a_page, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    post(&app, "/auth/password-reset", json!({"email": person.email}))
        .await
        .expect(201);
    let mail = last_mail(&app).await;
    let page = open(&app, &mail, "/reset-password").await;
    assert!(page.contains("type=\"password\""), "{page}");
    let reset = async |password: &str| {
        let form = [("token", mail.token()), ("password", password)];
        submit(&app, "/reset-password", &form).await
    };
    // What is no password is said, and may be mended.
    let refused = reset("short").await.expect(400);
    says(&refused, "Your password must have at least 8 characters");
    says(&refused, mail.token());
    reset("another horse").await.expect(200);
    reset("yet another horse").await.expect(401);
    let body = json!({"email": person.email, "password": "another horse"});
    post(&app, "/auth/login", body).await.expect(201);
});

on_both_engines!(who_is_invited_comes_in_by_a_page, async |app| {
    let tenant = app.tenant("<b>Acme</b>").await;
    let other = app.tenant("Other").await;
    let member = app.person(&other.account, Role::Viewer).await;
    let invite = async |email: &str| {
        let body = json!({"email": email, "role": "viewer"});
        let request = app.request("POST", "/invitations").key(tenant.owner());
        request.json(body).send().await.expect(201);
        let mails = app.mails().await;
        let mail = mails.into_iter().find(|mail| mail.to == email);
        mail.expect("one was sent")
    };
    let page = "/accept-invitation";
    // Somebody new says what they are called.
    let mail = invite("ada@example.com").await;
    let shown = open(&app, &mail, page).await;
    assert!(
        shown.contains("&#60;b&#62;Acme") && shown.contains("ada@example.com"),
        "{shown}"
    );
    let form = [
        ("token", mail.token()),
        ("name", "Ada"),
        ("password", "correct horse"),
    ];
    submit(&app, page, &form[..2]).await.expect(400);
    submit(&app, page, &form).await.expect(200);
    submit(&app, page, &form).await.expect(401);
    let body = json!({"email": "ada@example.com", "password": "correct horse"});
    let ada = post(&app, "/auth/login", body).await.expect(201);
    assert_eq!(ada["user"]["isEmailVerified"], true);
    // Somebody who is there has a button, and may see the account from then on.
    let mail = invite(&member.email).await;
    let shown = open(&app, &mail, page).await;
    assert!(!shown.contains("password"), "{shown}");
    let path = format!("/accounts/{}", tenant.account.id);
    let see = async |person: &Person| {
        let request = app.request("GET", &path).bearer(&person.access);
        request.send().await
    };
    see(&member).await.expect(404);
    submit(&app, page, &[("token", mail.token())])
        .await
        .expect(200);
    see(&member).await.expect(200);
    // Nothing else is a token.
    for token in ["", "invite_no"] {
        says(
            &submit(&app, page, &[("token", token)]).await.expect(401),
            "not good any more",
        );
    }
});

#[tokio::test]
async fn a_squatter_s_password_is_gone_once_an_invitation_is_accepted_by_its_mail() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let body = json!({"email": "ada@example.com", "password": "a squatter's", "name": "Eve"});
    let eve = post(&app, "/auth/signup", body).await.expect(201);
    let body = json!({"email": "ada@example.com", "role": "admin"});
    let request = app.request("POST", "/invitations").key(tenant.owner());
    request.json(body).send().await.expect(201);
    let mail = last_mail(&app).await;
    submit(&app, "/accept-invitation", &[("token", mail.token())])
        .await
        .expect(200);
    let access = eve["access_token"].as_str().unwrap();
    let me = app.request("GET", "/users/me").bearer(access).send().await;
    me.expect(401);
    let body = json!({"email": "ada@example.com", "password": "a squatter's"});
    post(&app, "/auth/login", body).await.expect(401);
}
