//! Invitations, from asking to accepting.

use claviger_domain::role::Role;
use claviger_edge::SignUp;
use claviger_testkit::{Tenant, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

/// Invites somebody as the operator, who sees the link; gives the invitation and its token.
async fn invited(app: &TestApp, tenant: &Tenant, email: &str, members: Value) -> (Value, String) {
    let mut body = json!({"email": email, "role": "viewer", "accountId": tenant.account.id});
    if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
        body.extend(members);
    }
    let request = app
        .request("POST", "/invitations")
        .key(app.operator_key.expose());
    let made = request.json(body).send().await.expect(201);
    let (before, token) = made["link"]
        .as_str()
        .and_then(|link| link.split_once('='))
        .expect("it has a token");
    assert_eq!(before, "https://keys.example.com/accept-invitation?token");
    (made.clone(), token.to_owned())
}

async fn sign_up(app: &TestApp, email: &str, token: Option<&str>) -> TestResponse {
    let body = json!({
        "email": email, "password": "correct horse", "name": "Ada", "invitationId": token,
    });
    app.request("POST", "/auth/signup").json(body).send().await
}

async fn accept(app: &TestApp, access: &str, invitation: &Value, body: Value) -> TestResponse {
    let path = format!(
        "/invitations/{}/accept",
        invitation["id"].as_str().expect("ids are text")
    );
    app.request("POST", &path)
        .bearer(access)
        .json(body)
        .send()
        .await
}

async fn show(app: &TestApp, tenant: &Tenant, invitation: &Value) -> Value {
    let path = format!(
        "/invitations/{}",
        invitation["id"].as_str().expect("ids are text")
    );
    app.request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200)
}

async fn projects(app: &TestApp, access: &str) -> TestResponse {
    app.request("GET", "/projects").bearer(access).send().await
}

#[tokio::test]
async fn who_is_invited_signs_up_and_holds_the_role() {
    let app = TestApp::with_sign_up(SignUp::Invited).await;
    let tenant = app.tenant("Acme").await;
    let (invitation, token) = invited(&app, &tenant, "ada@example.com", json!({})).await;
    // The token is for that address alone.
    sign_up(&app, "eve@example.com", Some(&token))
        .await
        .expect(403);
    let made = sign_up(&app, "Ada@example.com", Some(&token))
        .await
        .expect(201);
    assert_eq!(made["user"]["isEmailVerified"], true);
    let access = made["access_token"].as_str().unwrap();
    let listed = projects(&app, access).await.expect(200);
    assert_eq!(listed[0]["id"], tenant.project.id.as_str());
    assert_eq!(show(&app, &tenant, &invitation).await["status"], "accepted");
    // It counts once.
    sign_up(&app, "ada@example.com", Some(&token))
        .await
        .expect(403);
    let accounts = app.request("GET", "/accounts").bearer(access).send().await;
    assert_eq!(accounts.expect(200).as_array().unwrap().len(), 1);
}

on_both_engines!(
    pending_owners_invitation_and_a_sign_up_on_its_address_without_the_mail_gives_no_role,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let owner = json!({"role": "owner"});
        let (invitation, token) = invited(&app, &tenant, "ada@example.com", owner).await;
        let made = sign_up(&app, "ada@example.com", None).await.expect(201);
        let access = made["access_token"].as_str().unwrap();
        // The id is no credential, nor is a token of another invitation.
        let (_, other) = invited(&app, &tenant, "bob@example.com", json!({})).await;
        for body in [
            json!({}),
            json!({"token": invitation["id"]}),
            json!({"token": other}),
            json!({"token": ""}),
        ] {
            accept(&app, access, &invitation, body).await.expect(404);
        }
        let path = format!("/accounts/{}", tenant.account.id);
        app.request("GET", &path)
            .bearer(access)
            .send()
            .await
            .expect(404);
        // Nobody but owners and admins sees who is invited.
        let viewer = app.person(&tenant.account, Role::Viewer).await;
        let list = app.request("GET", "/invitations").bearer(&viewer.access);
        list.send().await.expect(403);
        // With the mail's token they are who they say.
        accept(&app, access, &invitation, json!({"token": token}))
            .await
            .expect(201);
        app.request("GET", &path)
            .bearer(access)
            .send()
            .await
            .expect(200);
        let me = app.request("GET", "/users/me").bearer(access).send().await;
        assert_eq!(me.expect(200)["isEmailVerified"], true);
    }
);

on_both_engines!(
    who_is_there_already_accepts_with_the_token_or_by_their_address,
    async |app| {
        let (tenant, home) = (app.tenant("Acme").await, app.tenant("Home").await);
        let person = app.person(&home.account, Role::Viewer).await;
        let (by_address, _) = invited(&app, &tenant, &person.email, json!({"role": "admin"})).await;
        accept(&app, &person.access, &by_address, json!({}))
            .await
            .expect(201);
        accept(&app, &person.access, &by_address, json!({}))
            .await
            .expect(404);
        // To another address of theirs: the token shows that they read that mail.
        let project = json!({"role": "developer", "projectIds": [tenant.project.id]});
        let (forwarded, token) = invited(&app, &tenant, "other@example.com", project).await;
        accept(&app, &person.access, &forwarded, json!({}))
            .await
            .expect(404);
        accept(&app, &person.access, &forwarded, json!({"token": token}))
            .await
            .expect(201);
        // Who is not known by any mail yet does not.
        let stranger = sign_up(&app, "eve@example.com", None).await.expect(201);
        let stranger = stranger["access_token"].as_str().unwrap();
        let (invitation, token) = invited(&app, &tenant, "ada@example.com", json!({})).await;
        let refused = accept(&app, stranger, &invitation, json!({"token": token})).await;
        assert_eq!(refused.expect(403)["code"], "email_not_verified");
        assert_eq!(show(&app, &tenant, &invitation).await["status"], "pending");
    }
);

on_both_engines!(accepting_takes_nothing_away, async |app| {
    let tenant = app.tenant("Acme").await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    let (invitation, _) = invited(&app, &tenant, &owner.email, json!({})).await;
    accept(&app, &owner.access, &invitation, json!({}))
        .await
        .expect(201);
    let list = app.request("GET", "/teammates").key(tenant.owner());
    assert_eq!(list.send().await.expect(200)[0]["role"], "owner");
});

on_both_engines!(
    an_invitation_is_over_after_72_hours_or_when_it_is_taken_back,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let (late, late_token) = invited(&app, &tenant, "late@example.com", json!({})).await;
        let (back, back_token) = invited(&app, &tenant, "back@example.com", json!({})).await;
        let (first, first_token) = invited(&app, &tenant, "twice@example.com", json!({})).await;
        let (second, second_token) = invited(&app, &tenant, "Twice@example.com", json!({})).await;
        let path = format!("/invitations/{}", back["id"].as_str().unwrap());
        app.request("DELETE", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(204);
        app.advance(72 * 3_600 - 1);
        sign_up(&app, "back@example.com", Some(&back_token))
            .await
            .expect(403);
        sign_up(&app, "twice@example.com", Some(&first_token))
            .await
            .expect(403);
        sign_up(&app, "twice@example.com", Some(&second_token))
            .await
            .expect(201);
        app.advance(1);
        let signed_up = sign_up(&app, "late@example.com", Some(&late_token)).await;
        assert_eq!(signed_up.expect(403)["code"], "invitation_needed");
        for (invitation, status) in [
            (&late, "expired"),
            (&back, "cancelled"),
            (&first, "cancelled"),
            (&second, "accepted"),
        ] {
            assert_eq!(show(&app, &tenant, invitation).await["status"], status);
            let list = app.request("GET", &format!("/invitations?status={status}"));
            let listed = list.key(tenant.owner()).send().await.expect(200);
            let ids: Vec<_> = listed
                .as_array()
                .unwrap()
                .iter()
                .map(|one| &one["id"])
                .collect();
            assert!(ids.contains(&&invitation["id"]), "{status}");
        }
        // What is over is not changed.
        let path = format!("/invitations/{}", late["id"].as_str().unwrap());
        let change = app.request("PATCH", &path).key(tenant.owner());
        change
            .json(json!({"role": "analyst"}))
            .send()
            .await
            .expect(409);
    }
);

#[tokio::test]
async fn the_link_is_for_the_operator_and_the_page_before_signing_in_tells_little() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    let invite = app.request("POST", "/invitations").bearer(&owner.access);
    let body = json!({"emails": ["a@example.com", "A@example.com", "b@example.com"],
        "role": "Viewer", "projectId": tenant.project.id});
    let made = invite.json(body).send().await.expect(201);
    assert_eq!(made.as_array().unwrap().len(), 2);
    assert!(made[0].get("link").is_none());
    assert_eq!(made[0]["invitedBy"], owner.id.as_str());
    assert_eq!(made[0]["projectIds"], json!([tenant.project.id]));
    let path = format!("/invitations/{}/info", made[0]["id"].as_str().unwrap());
    let info = app.request("GET", &path).send().await.expect(200);
    assert_eq!(
        info,
        json!({
            "id": made[0]["id"],
            "accountName": "Acme",
            "projectNames": ["Acme"],
            "role": "viewer",
            "email": "a***@example.com",
            "status": "pending",
        })
    );
}

#[tokio::test]
async fn nobody_invites_beyond_what_they_hold_or_too_many() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let admin = app.person(&tenant.account, Role::Admin).await;
    let invite = async |members: Value| {
        let request = app.request("POST", "/invitations").bearer(&admin.access);
        request.json(members).send().await
    };
    let refused = invite(json!({"email": "a@example.com", "role": "owner"})).await;
    assert_eq!(refused.expect(403)["code"], "exceeds_maker");
    let (owners, _) = invited(&app, &tenant, "o@example.com", json!({"role": "owner"})).await;
    let path = format!("/invitations/{}", owners["id"].as_str().unwrap());
    let change = app.request("PATCH", &path).bearer(&admin.access);
    change
        .json(json!({"role": "viewer"}))
        .send()
        .await
        .expect(403);
    for (members, field) in [
        (json!({"role": "viewer"}), "email"),
        (json!({"role": "viewer", "emails": []}), "emails"),
        (json!({"role": "viewer", "email": "x"}), "email"),
        (json!({"role": "king", "email": "a@example.com"}), "role"),
        (json!({"email": "a@example.com"}), "role"),
        (
            json!({"role": "viewer", "email": "a@example.com", "projectIds": []}),
            "projectIds",
        ),
    ] {
        let refused = invite(members).await.expect(400);
        assert_eq!(refused["details"][0]["field"], field);
    }
    let many = |from: usize, count: usize| {
        let emails: Vec<_> = (from..from + count)
            .map(|one| format!("p{one}@example.com"))
            .collect();
        json!({"role": "viewer", "emails": emails})
    };
    invite(many(0, 21)).await.expect(400);
    for batch in 0..4 {
        invite(many(batch * 20, 20)).await.expect(201);
    }
    // One is there already, so that of twenty none is made.
    let refused = invite(many(80, 20)).await.expect(429);
    assert_eq!(refused["code"], "too_many_invitations");
    invite(many(80, 19)).await.expect(201);
    app.advance(86_401);
    let request = app.request("POST", "/invitations").key(tenant.owner());
    request.json(many(100, 1)).send().await.expect(201);
}

on_both_engines!(
    an_account_that_is_gone_takes_its_invitations_and_roles_along,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let (invitation, token) = invited(&app, &tenant, "ada@example.com", json!({})).await;
        let person = app.person(&tenant.account, Role::Owner).await;
        let path = format!("/accounts/{}", tenant.account.id);
        let delete = app.request("DELETE", &path).key(app.operator_key.expose());
        delete.send().await.expect(204);
        sign_up(&app, "ada@example.com", Some(&token))
            .await
            .expect(403);
        let info = format!(
            "/invitations/{}/info",
            invitation["id"].as_str().expect("ids are text")
        );
        app.request("GET", &info).send().await.expect(404);
        projects(&app, &person.access).await.expect(403);
    }
);
