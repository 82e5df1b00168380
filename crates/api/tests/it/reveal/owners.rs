//! Owners who are signed in, and open keys to be read back.

use claviger_domain::role::Role;
use claviger_testkit::{Person, on_both_engines};
use serde_json::json;

use super::{Room, store};

on_both_engines!(
    an_owner_who_is_signed_in_opens_keys_and_no_other_person_does,
    async |app| {
        let room = Room::of(&app).await;
        let tenant = &room.tenant;
        let body =
            json!({"accessKeyId": room.reader.id, "expiresAt": app.core.now().plus_seconds(9)});
        let owner = app.person(&tenant.account, Role::Owner).await;
        let granted = app.request("POST", &room.path()).bearer(&owner.access);
        let granted = granted.json(body.clone()).send().await.expect(201);
        assert_eq!(
            (&granted["createdBy"], &granted["createdByType"]),
            (&owner.id.as_str().into(), &"USER".into())
        );
        let stored = store(&app, &owner.access, tenant, "hashed")
            .send()
            .await
            .expect(200);
        assert_eq!(stored["keyStorage"], "hashed");
        // A child's owner is none of its parent's; a parent's is one of its child's.
        let child = app.child_of(tenant, "Child").await;
        let of_child = app.person(&child.account, Role::Owner).await;
        store(&app, &owner.access, &child, "recoverable")
            .send()
            .await
            .expect(200);
        store(&app, &of_child.access, tenant, "recoverable")
            .send()
            .await
            .expect(404);
        for role in [Role::Admin, Role::Developer, Role::Viewer, Role::Analyst] {
            let person = app.person(&tenant.account, role).await;
            let refused = store(&app, &person.access, tenant, "recoverable")
                .send()
                .await;
            let refused = refused.expect(403);
            if role == Role::Admin {
                assert_eq!(refused["code"], "owner_needed");
            }
            let grant = app.request("POST", &room.path()).bearer(&person.access);
            grant.json(body.clone()).send().await.expect(403);
        }
        // One who owns it no more does not.
        app.person(&tenant.account, Role::Owner).await;
        let path = format!("/users/{}/roles", owner.id);
        app.request("DELETE", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(204);
        store(&app, &owner.access, tenant, "recoverable")
            .send()
            .await
            .expect(403);
    }
);

on_both_engines!(who_signed_in_long_ago_opens_no_keys, async |app| {
    let room = Room::of(&app).await;
    let owner = app.person(&room.tenant.account, Role::Owner).await;
    let grant = async |access: &str| {
        let expires_at = app.core.now().plus_seconds(9);
        let body = json!({"accessKeyId": room.reader.id, "expiresAt": expires_at});
        let request = app.request("POST", &room.path()).bearer(access);
        request.json(body).send().await
    };
    app.advance(899);
    grant(&owner.access).await.expect(201);
    app.advance(1);
    // Who goes on being signed in shows nothing anew.
    let refresh = app.request("POST", "/auth/refresh-access-token");
    let body = json!({"refresh_token": owner.refresh});
    let refreshed = refresh.json(body).send().await.expect(201);
    let access = refreshed["access_token"].as_str().unwrap();
    let refused = grant(access).await.expect(403);
    assert_eq!(refused["code"], "sign_in_again");
    let refused = store(&app, access, &room.tenant, "hashed").send().await;
    assert_eq!(refused.expect(403)["code"], "sign_in_again");
    let log_in = app.request("POST", "/auth/login");
    let body = json!({"email": owner.email, "password": Person::PASSWORD});
    let again = log_in.json(body).send().await.expect(201);
    grant(again["access_token"].as_str().unwrap())
        .await
        .expect(201);
});
