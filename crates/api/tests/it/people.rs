//! People: signing up and in, what they are signed in by, and what they may do.

use claviger_domain::role::Role;
use claviger_edge::SignUp;
use claviger_testkit::{Person, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn post(app: &TestApp, path: &str, body: Value) -> TestResponse {
    app.request("POST", path).json(body).send().await
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> TestResponse {
    post(
        app,
        "/auth/login",
        json!({"email": email, "password": password}),
    )
    .await
}

async fn refresh(app: &TestApp, token: &str) -> TestResponse {
    post(
        app,
        "/auth/refresh-access-token",
        json!({"refresh_token": token}),
    )
    .await
}

async fn me(app: &TestApp, access: &str) -> TestResponse {
    app.request("GET", "/users/me").bearer(access).send().await
}

fn text<'a>(body: &'a Value, member: &str) -> &'a str {
    body[member].as_str().expect("it is text")
}

fn without_id(mut body: Value) -> Value {
    body.as_object_mut()
        .expect("an error is an object")
        .remove("requestId");
    body
}

on_both_engines!(who_signs_up_has_an_account_of_their_own, async |app| {
    let new = json!({"email": " Ada@Example.com ", "password": "correct horse", "name": " Ada "});
    let made = post(&app, "/auth/signup", new.clone()).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(201);
    assert_eq!(
        (&made["expires_in"], &made["token_type"]),
        (&900.into(), &"Bearer".into())
    );
    assert_eq!(
        (text(&made["user"], "email"), text(&made["user"], "name")),
        ("Ada@Example.com", "Ada")
    );
    assert_eq!(made["user"]["isEmailVerified"], false);
    let access = text(&made, "access_token");
    assert_eq!(me(&app, access).await.expect(200), made["user"]);
    let accounts = app.request("GET", "/accounts").bearer(access).send().await;
    let accounts = accounts.expect(200);
    assert_eq!(accounts.as_array().unwrap().len(), 1);
    assert_eq!(text(&accounts[0], "name"), "Ada");
    // They own it: a project in it is made by them.
    let project = app.request("POST", "/projects").bearer(access);
    let project = project
        .json(json!({"name": "Mine"}))
        .send()
        .await
        .expect(201);
    assert_eq!(project["createdBy"], made["user"]["id"]);
    assert_eq!(project["createdByType"], "USER");
    assert_eq!(project["accountId"], accounts[0]["id"]);
    let taken = post(&app, "/auth/signup", new).await.expect(409);
    assert_eq!(taken["code"], "email_taken");
    // Until the address is verified they reach that account and make no other.
    let other = app.request("POST", "/accounts").bearer(access);
    let refused = other
        .json(json!({"name": "Other"}))
        .send()
        .await
        .expect(403);
    assert_eq!(refused["code"], "email_not_verified");
    let invite = app.request("POST", "/invitations").bearer(access);
    let body = json!({"email": "bob@example.com", "role": "viewer"});
    let refused = invite.json(body).send().await.expect(403);
    assert_eq!(refused["code"], "email_not_verified");
});

on_both_engines!(
    who_owns_an_account_makes_another_that_they_own,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let owner = app.person(&tenant.account, Role::Owner).await;
        let create = app.request("POST", "/accounts").bearer(&owner.access);
        let made = create
            .json(json!({"name": "Other"}))
            .send()
            .await
            .expect(201);
        assert_eq!(made["parentAccountId"], Value::Null);
        let path = format!("/accounts/{}", text(&made, "id"));
        app.request("GET", &path)
            .bearer(&owner.access)
            .send()
            .await
            .expect(200);
        app.request("GET", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(404);
        // Two accounts: which one is meant has to be said.
        let projects = app.request("GET", "/projects").bearer(&owner.access);
        assert_eq!(projects.send().await.expect(400)["code"], "account_needed");
        app.request("DELETE", &path)
            .bearer(&owner.access)
            .send()
            .await
            .expect(204);
    }
);

#[tokio::test]
async fn who_may_sign_up_is_configured() {
    let new = || json!({"email": "ada@example.com", "password": "correct horse", "name": "Ada"});
    let closed = TestApp::with_sign_up(SignUp::Closed).await;
    let refused = post(&closed, "/auth/signup", new()).await.expect(403);
    assert_eq!(refused["code"], "sign_up_closed");
    let invited = TestApp::with_sign_up(SignUp::Invited).await;
    let refused = post(&invited, "/auth/signup", new()).await.expect(403);
    assert_eq!(refused["code"], "invitation_needed");
    // An id, and a token that is none, give nothing, and look alike.
    let tenant = invited.tenant("Acme").await;
    let invite = json!({"email": "ada@example.com", "role": "viewer"});
    let made = invited.request("POST", "/invitations").key(tenant.owner());
    let made = made.json(invite).send().await.expect(201);
    for wrong in [text(&made, "id"), "invite_no", ""] {
        let mut with = new();
        with["invitationId"] = wrong.into();
        let again = post(&invited, "/auth/signup", with).await.expect(403);
        assert_eq!(without_id(again), without_id(refused.clone()));
    }
}

#[tokio::test]
async fn what_is_no_sign_up_is_refused_by_its_member() {
    let app = TestApp::start().await;
    for (member, value) in [
        ("email", json!("ada")),
        ("email", Value::Null),
        ("password", json!("short")),
        ("password", json!("ada@example.com")),
        ("password", Value::Null),
        ("name", json!(" ")),
        ("name", Value::Null),
    ] {
        let mut body =
            json!({"email": "ada@example.com", "password": "correct horse", "name": "A"});
        body[member] = value;
        let refused = post(&app, "/auth/signup", body).await.expect(400);
        assert_eq!(refused["details"][0]["field"], member);
        assert!(
            !refused.to_string().contains("short"),
            "no password is quoted"
        );
    }
}

on_both_engines!(
    who_signs_in_by_password_is_known_by_the_token,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Developer).await;
        let signed_in = log_in(&app, &person.email.to_uppercase(), Person::PASSWORD).await;
        let signed_in = signed_in.expect(201);
        let access = text(&signed_in, "access_token");
        assert!(access.starts_with("user_access_"));
        let key = app.request("POST", "/api-keys").bearer(access);
        let key = key.json(json!({"name": "Theirs"})).send().await.expect(201);
        assert_eq!(key["accountId"], tenant.account.id.as_str());
        // From a page, too: it is theirs, and no key of the account.
        let page = app.request("GET", "/api-keys").bearer(access);
        page.header("origin", "https://dashboard.example.com")
            .send()
            .await
            .expect(200);
        app.advance(899);
        me(&app, access).await.expect(200);
        app.advance(1);
        me(&app, access).await.expect(401);
    }
);

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_alike() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let wrong = log_in(&app, &person.email, "wrong horse").await;
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    let wrong = without_id(wrong.expect(401));
    let unknown = log_in(&app, "nobody@example.com", Person::PASSWORD).await;
    assert_eq!(without_id(unknown.expect(401)), wrong);
    let long = log_in(&app, &person.email, &"a".repeat(2_000)).await;
    assert_eq!(without_id(long.expect(401)), wrong);
    for token in [&person.access, "user_refresh_no", ""] {
        assert_eq!(without_id(refresh(&app, token).await.expect(401)), wrong);
    }
}

#[tokio::test]
async fn who_guesses_a_password_is_told_to_come_later_and_others_are_not() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let other = app.person(&tenant.account, Role::Viewer).await;
    let from = |octet: u8| std::net::SocketAddr::from(([192, 0, 2, octet], 1));
    let guess = async |octet, email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let request = app.request("POST", "/auth/login").from(from(octet));
        request.json(body).send().await
    };
    for _ in 0..10 {
        guess(1, &person.email, "wrong horse").await.expect(401);
    }
    let later = guess(1, &person.email, Person::PASSWORD).await;
    assert_eq!(later.header("retry-after"), "300");
    assert_eq!(later.expect(429)["code"], "too_many_attempts");
    // Whose password it is signs in from elsewhere, and others do from there.
    guess(2, &person.email, Person::PASSWORD).await.expect(201);
    guess(1, &other.email, Person::PASSWORD).await.expect(201);
    app.advance(300);
    // What succeeds uses no budget up.
    for _ in 0..12 {
        guess(1, &person.email, Person::PASSWORD).await.expect(201);
    }
    // From many networks it ends, too.
    for octet in 10..20 {
        for _ in 0..10 {
            guess(octet, &person.email, "wrong horse").await;
        }
    }
    guess(30, &person.email, "wrong horse").await.expect(429);
    // From where they signed in before, they do.
    guess(1, &person.email, Person::PASSWORD).await.expect(201);
    guess(2, &person.email, Person::PASSWORD).await.expect(201);
    guess(31, &person.email, Person::PASSWORD).await.expect(429);
}

on_both_engines!(
    a_refresh_token_works_once_and_its_reuse_ends_the_family,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let first = refresh(&app, &person.refresh).await.expect(201);
        assert_eq!(text(&first["user"], "id"), person.id.as_str());
        // Whoever has the first access token still may use it until it is over.
        me(&app, &person.access).await.expect(200);
        me(&app, text(&first, "access_token")).await.expect(200);
        app.advance(9);
        let again = refresh(&app, &person.refresh).await.expect(201);
        assert_eq!(again["refresh_token"], first["refresh_token"]);
        assert_eq!(again["access_token"], first["access_token"]);
        assert_eq!(again["expires_in"], 891);
        app.advance(1);
        refresh(&app, &person.refresh).await.expect(401);
        // The whole family has ended: the one who stole it, and the one from whom.
        me(&app, text(&first, "access_token")).await.expect(401);
        refresh(&app, text(&first, "refresh_token"))
            .await
            .expect(401);
        refresh(&app, &person.refresh).await.expect(401);
    }
);

on_both_engines!(
    a_repeat_after_the_successor_was_used_ends_the_family,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let first = refresh(&app, &person.refresh).await.expect(201);
        let second = refresh(&app, text(&first, "refresh_token"))
            .await
            .expect(201);
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        refresh(&app, &person.refresh).await.expect(401);
        refresh(&app, text(&second, "refresh_token"))
            .await
            .expect(401);
    }
);

on_both_engines!(
    of_many_refreshes_at_once_all_get_the_same_successor,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let person = app.person(&tenant.account, Role::Viewer).await;
        let all = futures::future::join_all((0..8).map(|_| refresh(&app, &person.refresh))).await;
        let tokens: Vec<_> = all
            .into_iter()
            .map(|one| one.expect(201)["refresh_token"].clone())
            .collect();
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        refresh(&app, tokens[0].as_str().unwrap()).await.expect(201);
    }
);

on_both_engines!(sessions_are_listed_and_ended, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let other = app.person(&tenant.account, Role::Viewer).await;
    let log_in = || {
        let body = json!({"email": person.email, "password": Person::PASSWORD});
        let request = app.request("POST", "/auth/login").json(body);
        request.header("user-agent", "browser\u{9}1")
    };
    app.advance(1);
    let second = log_in().send().await.expect(201);
    app.advance(1);
    let third = log_in().send().await.expect(201);
    let third = text(&third, "access_token");
    let list = async |access: &str| {
        let listed = app
            .request("GET", "/auth/sessions")
            .bearer(access)
            .send()
            .await;
        assert_eq!(
            listed.header("x-total-count"),
            listed.body.as_array().unwrap().len().to_string()
        );
        listed.expect(200)
    };
    let sessions = list(third).await;
    assert_eq!(sessions.as_array().unwrap().len(), 3);
    let second_session = &sessions[1];
    assert_eq!(
        (&sessions[2]["isCurrent"], &second_session["isCurrent"]),
        (&true.into(), &false.into())
    );
    assert_eq!(second_session["userAgent"], "browser 1");
    assert_eq!(second_session["address"], "127.0.0.1");
    let end = async |access: &str, id: &str| {
        let path = format!("/auth/sessions?id={id}");
        app.request("DELETE", &path).bearer(access).send().await
    };
    let absent = end(&other.access, text(second_session, "id"))
        .await
        .expect(404);
    assert_eq!(absent["code"], "session_not_found");
    me(&app, text(&second, "access_token")).await.expect(200);
    end(third, text(second_session, "id")).await.expect(204);
    me(&app, text(&second, "access_token")).await.expect(401);
    refresh(&app, text(&second, "refresh_token"))
        .await
        .expect(401);
    app.request("DELETE", "/auth/sessions")
        .bearer(third)
        .send()
        .await
        .expect(204);
    me(&app, &person.access).await.expect(401);
    assert_eq!(list(third).await.as_array().unwrap().len(), 1);
    app.request("POST", "/auth/logout")
        .bearer(third)
        .send()
        .await
        .expect(204);
    me(&app, third).await.expect(401);
    me(&app, &other.access).await.expect(200);
});

on_both_engines!(another_password_ends_all_other_sessions, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let second = log_in(&app, &person.email, Person::PASSWORD)
        .await
        .expect(201);
    let change = async |current: &str, new: &str| {
        let body = json!({"currentPassword": current, "newPassword": new});
        let request = app.request("POST", "/auth/password").bearer(&person.access);
        request.json(body).send().await
    };
    let refused = change("wrong horse", "another horse").await.expect(400);
    assert_eq!(refused["details"][0]["field"], "currentPassword");
    let refused = change(Person::PASSWORD, "short").await.expect(400);
    assert_eq!(refused["details"][0]["field"], "newPassword");
    change(Person::PASSWORD, "another horse").await.expect(204);
    me(&app, &person.access).await.expect(200);
    me(&app, text(&second, "access_token")).await.expect(401);
    refresh(&app, text(&second, "refresh_token"))
        .await
        .expect(401);
    log_in(&app, &person.email, Person::PASSWORD)
        .await
        .expect(401);
    log_in(&app, &person.email, "another horse")
        .await
        .expect(201);
});

on_both_engines!(who_renames_themselves_renames_nobody_else, async |app| {
    let tenant = app.tenant("Acme").await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    let other = app.person(&tenant.account, Role::Viewer).await;
    let rename = async |id: &str| {
        let request = app.request("PATCH", &format!("/users/{id}"));
        let request = request.bearer(&person.access);
        request.json(json!({"name": "Ada King"})).send().await
    };
    assert_eq!(
        rename(person.id.as_str()).await.expect(200)["name"],
        "Ada King"
    );
    assert_eq!(
        me(&app, &person.access).await.expect(200)["name"],
        "Ada King"
    );
    rename(other.id.as_str()).await.expect(404);
    assert_eq!(me(&app, &other.access).await.expect(200)["name"], "viewer");
});

on_both_engines!(
    a_person_may_what_an_access_key_of_the_same_role_may,
    async |app| {
        let tenant = app.tenant("Acme").await;
        for role in Role::ALL {
            let person = app.person(&tenant.account, role).await;
            for (method, path) in [
                ("GET", "/api-keys"),
                ("GET", "/access-keys"),
                ("GET", "/accounts"),
                ("GET", "/webhooks"),
                ("GET", "/teammates"),
                ("GET", "/invitations"),
                ("POST", "/projects"),
            ] {
                let ask = |key: &str| {
                    let request = app.request(method, path).key(key);
                    request.json(json!({"name": "made"})).send()
                };
                let (theirs, keys) = (ask(&person.access).await, ask(tenant.key(role)).await);
                assert_eq!(theirs.status, keys.status, "{role:?} {method} {path}");
            }
        }
    }
);
