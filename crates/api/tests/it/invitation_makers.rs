//! Who invites: how many, and that an invitation has no more than whoever made it.

use claviger_domain::role::Role;
use claviger_testkit::{Person, Tenant, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn invite(app: &TestApp, by: &str, body: Value) -> TestResponse {
    app.request("POST", "/invitations")
        .key(by)
        .json(body)
        .send()
        .await
}

async fn sign_up(app: &TestApp, email: &str, token: &str) -> TestResponse {
    let body = json!({
        "email": email, "password": "correct horse", "name": "Ada", "invitationId": token,
    });
    app.request("POST", "/auth/signup").json(body).send().await
}

/// The token of the mail to an address.
async fn mailed(app: &TestApp, email: &str) -> String {
    let mails = app.mails().await;
    let mail = mails.into_iter().find(|mail| mail.to == email);
    mail.expect("one was sent").token().to_owned()
}

async fn status(app: &TestApp, tenant: &Tenant, invitation: &Value) -> String {
    let id = invitation["id"].as_str().expect("ids are text");
    let path = format!("/invitations/{id}");
    let shown = app.request("GET", &path).key(tenant.owner()).send().await;
    let shown = shown.expect(200);
    shown["status"].as_str().expect("it is text").to_owned()
}

#[tokio::test]
async fn the_customers_of_an_access_key_are_sent_a_hundred_mails_a_day() {
    let app = TestApp::start().await;
    let (tenant, other) = (app.tenant("Acme").await, app.tenant("Other").await);
    let customer = async |by: &str, number: u32| {
        let invite = json!({"email": format!("ada{number}@example.com")});
        let body = json!({"externalId": number.to_string(), "invite": invite});
        let request = app.request("POST", "/tenants").key(by);
        request.json(body).send().await
    };
    for number in 0..100 {
        customer(tenant.owner(), number).await.expect(201);
    }
    let refused = customer(tenant.owner(), 100).await.expect(429);
    assert_eq!(refused["code"], "too_many_invitations");
    // Nor by hand into a child, by its own key, or into the account itself.
    let child = app.request("POST", "/accounts").key(tenant.owner());
    let child = child.json(json!({"name": "Child"})).send().await;
    let child = child.expect(201)["id"].clone();
    for account in [child, tenant.account.id.to_string().into()] {
        let body = json!({"email": "bob@example.com", "role": "viewer", "accountId": account});
        let refused = invite(&app, tenant.owner(), body).await.expect(429);
        assert_eq!(refused["code"], "too_many_invitations");
    }
    customer(other.owner(), 0).await.expect(201);
    // Whoever runs the instance is not counted.
    let account = tenant.account.id.as_str();
    let body = json!({"email": "bob@example.com", "role": "viewer", "accountId": account});
    invite(&app, app.operator_key.expose(), body)
        .await
        .expect(201);
    app.advance(86_400);
    customer(tenant.owner(), 101).await.expect(201);
}

#[tokio::test]
async fn one_address_is_sent_a_few_invitations_a_day_by_whomever() {
    let app = TestApp::start().await;
    let mut sent = 0;
    let body = || json!({"email": "Ada@example.com", "role": "viewer"});
    for name in ["One", "Two"] {
        let tenant = app.tenant(name).await;
        for _ in 0..10 {
            invite(&app, tenant.owner(), body()).await.expect(201);
            sent += 1;
        }
        let refused = invite(&app, tenant.owner(), body()).await.expect(429);
        assert_eq!(refused["code"], "too_many_invitations");
        let another = json!({"email": "bob@example.com", "role": "viewer"});
        invite(&app, tenant.owner(), another).await.expect(201);
    }
    assert_eq!(sent, 20);
    let tenant = app.tenant("Three").await;
    invite(&app, tenant.owner(), body()).await.expect(429);
    app.advance(86_400);
    invite(&app, tenant.owner(), body()).await.expect(201);
}

on_both_engines!(an_invitation_ends_with_the_right_to_make_it, async |app| {
    let tenant = app.tenant("Acme").await;
    let admin = app.person(&tenant.account, Role::Admin).await;
    let key = app.access_key(&tenant.account, Role::Admin, None).await;
    let body = |email: &str| json!({"email": email, "role": "viewer"});
    for (by, email) in [
        (&key.plain, "one@example.com"),
        (&admin.access, "two@example.com"),
    ] {
        invite(&app, by, body(email)).await.expect(201);
    }
    let (one, two) = (
        mailed(&app, "one@example.com").await,
        mailed(&app, "two@example.com").await,
    );
    // Who is a viewer from now on invites nobody.
    let path = format!("/users/{}/roles", admin.id);
    let demote = app.request("PATCH", &path).key(tenant.owner());
    demote
        .json(json!({"role": "viewer"}))
        .send()
        .await
        .expect(200);
    let path = format!("/access-keys/{}", key.id);
    let revoke = app.request("DELETE", &path).key(tenant.owner());
    revoke.send().await.expect(200);
    for (email, token) in [("one@example.com", &one), ("two@example.com", &two)] {
        let refused = sign_up(&app, email, token).await.expect(403);
        assert_eq!(refused["code"], "invitation_needed", "{email}");
    }
    // Who may again is taken at their word again.
    let path = format!("{path}/reactivate");
    let again = app.request("PATCH", &path).key(tenant.owner());
    again.send().await.expect(200);
    sign_up(&app, "one@example.com", &one).await.expect(201);
});

on_both_engines!(
    who_gives_an_invitation_another_role_stands_behind_it,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let admin = app.person(&tenant.account, Role::Admin).await;
        let owner = app.person(&tenant.account, Role::Owner).await;
        let body = json!({"email": "ada@example.com", "role": "viewer"});
        let made = invite(&app, &admin.access, body).await.expect(201);
        let token = mailed(&app, "ada@example.com").await;
        let path = format!("/invitations/{}", made["id"].as_str().unwrap());
        let raise = app.request("PATCH", &path).bearer(&owner.access);
        let raised = raise.json(json!({"role": "owner"})).send().await;
        // It says by whom they were asked, as before.
        assert_eq!(raised.expect(200)["invitedBy"], admin.id.as_str());
        let path = format!("/users/{}/roles", admin.id);
        let remove = app.request("DELETE", &path).key(tenant.owner());
        remove.send().await.expect(204);
        sign_up(&app, "ada@example.com", &token).await.expect(201);
    }
);

on_both_engines!(
    a_successor_of_an_access_key_stands_behind_whom_it_invited,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app.access_key(&tenant.account, Role::Admin, None).await;
        let body = json!({"email": "ada@example.com", "role": "viewer"});
        invite(&app, &key.plain, body).await.expect(201);
        let token = mailed(&app, "ada@example.com").await;
        let path = format!("/access-keys/{}/rotate", key.id);
        let rotate = app.request("POST", &path).key(tenant.owner());
        rotate.json(json!({})).send().await.expect(201);
        sign_up(&app, "ada@example.com", &token).await.expect(201);
    }
);

on_both_engines!(
    who_is_signed_in_accepts_nothing_of_somebody_who_was_removed,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let other = app.tenant("Other").await;
        let admin = app.person(&tenant.account, Role::Admin).await;
        let ada = app.person(&other.account, Role::Viewer).await;
        let body = json!({"email": ada.email, "role": "admin"});
        let made = invite(&app, &admin.access, body).await.expect(201);
        let path = format!("/users/{}/roles", admin.id);
        let remove = app.request("DELETE", &path).key(tenant.owner());
        remove.send().await.expect(204);
        let accept = async |person: &Person| {
            let path = format!("/invitations/{}/accept", made["id"].as_str().unwrap());
            let request = app.request("POST", &path).bearer(&person.access);
            request.json(json!({})).send().await
        };
        accept(&ada).await.expect(404);
    }
);

on_both_engines!(an_admin_takes_no_owner_s_invitation_away, async |app| {
    let tenant = app.tenant("Acme").await;
    let body = json!({"email": "ada@example.com", "role": "owner"});
    let made = invite(&app, tenant.owner(), body).await.expect(201);
    let path = format!("/invitations/{}", made["id"].as_str().unwrap());
    let cancel = async |by: &str| app.request("DELETE", &path).key(by).send().await;
    let refused = cancel(tenant.key(Role::Admin)).await.expect(403);
    assert_eq!(refused["code"], "exceeds_maker");
    // Nor by asking the same person to the same place as less.
    let body = json!({"email": "ada@example.com", "role": "viewer"});
    let refused = invite(&app, tenant.key(Role::Admin), body.clone()).await;
    assert_eq!(refused.expect(403)["code"], "exceeds_maker");
    assert_eq!(status(&app, &tenant, &made).await, "pending");
    cancel(tenant.owner()).await.expect(204);
    invite(&app, tenant.key(Role::Admin), body)
        .await
        .expect(201);
});

on_both_engines!(
    what_is_taken_back_before_it_left_is_not_mailed,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let body = |email: &str| json!({"email": email, "role": "viewer"});
        let made = invite(&app, tenant.owner(), body("ada@example.com"))
            .await
            .expect(201);
        let path = format!("/invitations/{}", made["id"].as_str().unwrap());
        let cancel = app.request("DELETE", &path).key(tenant.owner());
        cancel.send().await.expect(204);
        for _ in 0..2 {
            invite(&app, tenant.owner(), body("bob@example.com"))
                .await
                .expect(201);
        }
        // One mail counts, the last.
        let mails = app.mails().await;
        let to: Vec<_> = mails.iter().map(|mail| &*mail.to).collect();
        assert_eq!(to, ["bob@example.com"]);
        sign_up(&app, "bob@example.com", mails[0].token())
            .await
            .expect(201);
    }
);

on_both_engines!(
    an_invitation_to_several_projects_outlives_one_of_them,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let create = app.request("POST", "/projects").key(tenant.owner());
        let second = create.json(json!({"name": "Second"})).send().await;
        let second = second.expect(201)["id"].clone();
        let body = json!({"email": "ada@example.com", "role": "viewer",
            "projectIds": [tenant.project.id, second]});
        invite(&app, tenant.owner(), body).await.expect(201);
        let token = mailed(&app, "ada@example.com").await;
        let path = format!("/projects/{}", second.as_str().unwrap());
        let delete = app.request("DELETE", &path).key(tenant.owner());
        delete.send().await.expect(200);
        let made = sign_up(&app, "ada@example.com", &token).await.expect(201);
        let access = made["access_token"].as_str().unwrap();
        let listed = app.request("GET", "/projects").bearer(access).send().await;
        let listed = listed.expect(200);
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!(listed[0]["id"], tenant.project.id.as_str());
    }
);
