//! Roles: who gives them to whom, and that they count at once.

use claviger_domain::role::Role;
use claviger_testkit::{Person, Tenant, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn give(app: &TestApp, by: &str, to: &Person, members: Value) -> TestResponse {
    let path = format!("/users/{}/roles", to.id);
    app.request("PATCH", &path)
        .key(by)
        .json(members)
        .send()
        .await
}

async fn take(app: &TestApp, by: &str, from: &Person, query: &str) -> TestResponse {
    let path = format!("/users/{}/roles{query}", from.id);
    app.request("DELETE", &path).key(by).send().await
}

async fn status(app: &TestApp, access: &str, method: &str, path: &str) -> u16 {
    let request = app.request(method, path).bearer(access);
    request
        .json(json!({"name": "made"}))
        .send()
        .await
        .status
        .as_u16()
}

fn teammates(listed: &Value) -> Vec<(String, String)> {
    let pair = |one: &Value| {
        let text = |member: &str| one[member].as_str().expect("ids are text").to_owned();
        (text("userId"), text("role"))
    };
    listed
        .as_array()
        .expect("a list")
        .iter()
        .map(pair)
        .collect()
}

on_both_engines!(a_role_counts_at_once, async |app| {
    let tenant = app.tenant("Acme").await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    assert_eq!(status(&app, &person.access, "POST", "/api-keys").await, 403);
    let given = give(&app, &owner.access, &person, json!({"role": "Developer"})).await;
    let given = given.expect(200);
    assert_eq!(given["userId"], person.id.as_str());
    assert_eq!(given["accountId"], tenant.account.id.as_str());
    assert_eq!(
        (&given["role"], &given["projectId"]),
        (&"developer".into(), &Value::Null)
    );
    assert_eq!(status(&app, &person.access, "POST", "/api-keys").await, 201);
    let project = json!({"role": "viewer", "projectId": tenant.project.id});
    give(&app, &owner.access, &person, project)
        .await
        .expect(200);
    take(&app, &owner.access, &person, "").await.expect(204);
    // What is left is the role on the project.
    assert_eq!(status(&app, &person.access, "POST", "/api-keys").await, 403);
    assert_eq!(status(&app, &person.access, "GET", "/api-keys").await, 200);
    assert_eq!(status(&app, &person.access, "GET", "/teammates").await, 403);
    let query = format!("?projectId={}", tenant.project.id);
    take(&app, &owner.access, &person, &query).await.expect(204);
    assert_eq!(status(&app, &person.access, "GET", "/api-keys").await, 403);
    assert_eq!(status(&app, &person.access, "GET", "/users/me").await, 200);
    take(&app, &owner.access, &person, &query).await.expect(404);
});

on_both_engines!(the_last_owner_stays, async |app| {
    let tenant = app.tenant("Acme").await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    let refused = take(&app, tenant.owner(), &owner, "").await.expect(409);
    assert_eq!(refused["code"], "last_owner");
    let less = json!({"role": "admin"});
    give(&app, &owner.access, &owner, less.clone())
        .await
        .expect(409);
    give(&app, &owner.access, &owner, json!({"role": "owner"}))
        .await
        .expect(200);
    let second = app.person(&tenant.account, Role::Owner).await;
    give(&app, &second.access, &owner, less).await.expect(200);
    take(&app, tenant.owner(), &second, "").await.expect(409);
});

on_both_engines!(
    of_two_owners_who_remove_each_other_at_once_one_stays,
    async |app| {
        for _ in 0..4 {
            let tenant = app.tenant("Acme").await;
            let one = app.person(&tenant.account, Role::Owner).await;
            let other = app.person(&tenant.account, Role::Owner).await;
            let (first, second) = futures::join!(
                take(&app, &one.access, &other, ""),
                take(&app, &other.access, &one, "")
            );
            // Who came second is the last, or no owner any more when they ask.
            let done = [first.status, second.status].map(|status| status.as_u16() == 204);
            assert!(done[0] != done[1], "{done:?}");
        }
    }
);

#[tokio::test]
async fn nobody_gives_or_takes_more_than_they_hold() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let admin = app.person(&tenant.account, Role::Admin).await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    app.person(&tenant.account, Role::Owner).await;
    let person = app.person(&tenant.account, Role::Viewer).await;
    for (by, to, role) in [
        (&admin, &person, "owner"),
        (&admin, &admin, "owner"),
        (&admin, &owner, "viewer"),
    ] {
        let refused = give(&app, &by.access, to, json!({"role": role}))
            .await
            .expect(403);
        assert_eq!(refused["code"], "exceeds_maker");
    }
    take(&app, &admin.access, &owner, "").await.expect(403);
    give(&app, &admin.access, &person, json!({"role": "admin"}))
        .await
        .expect(200);
    // A role on a project is what it can be there.
    let owner_there = json!({"role": "owner", "projectId": tenant.project.id});
    let refused = give(&app, &owner.access, &person, owner_there)
        .await
        .expect(400);
    assert_eq!(refused["code"], "role_needs_account");
    // A role has no end: what has one does not give it.
    let ending = json!({"name": "ends", "role": "owner", "expiry": "2030-01-20"});
    let key = app.request("POST", "/access-keys").key(tenant.owner());
    let key = key.json(ending).send().await.expect(201);
    let refused = give(
        &app,
        key["key"].as_str().unwrap(),
        &person,
        json!({"role": "viewer"}),
    );
    assert_eq!(refused.await.expect(403)["code"], "exceeds_maker");
}

on_both_engines!(somebody_of_another_account_is_not_there, async |app| {
    let (tenant, foreign) = (app.tenant("Acme").await, app.tenant("Foreign").await);
    let theirs = app.person(&foreign.account, Role::Viewer).await;
    for members in [
        json!({"role": "viewer"}),
        json!({"role": "viewer", "accountId": foreign.account.id}),
        json!({"role": "viewer", "projectId": foreign.project.id}),
    ] {
        give(&app, tenant.owner(), &theirs, members)
            .await
            .expect(404);
    }
    take(&app, tenant.owner(), &theirs, "").await.expect(404);
    let query = format!("?accountId={}", foreign.account.id);
    take(&app, tenant.owner(), &theirs, &query)
        .await
        .expect(404);
    // In a child's account, a parent's owner gives roles to who is there.
    let child = app.child_of(&tenant, "Child").await;
    let there = app.person(&child.account, Role::Viewer).await;
    let members = json!({"role": "developer", "accountId": child.account.id});
    give(&app, tenant.owner(), &there, members)
        .await
        .expect(200);
});

on_both_engines!(teammates_and_roles_are_listed, async |app| {
    let tenant = app.tenant("Acme").await;
    let admin = app.person(&tenant.account, Role::Admin).await;
    app.advance(1);
    let viewer = app
        .person_in(&tenant.account, Some(&tenant.project), Role::Viewer)
        .await;
    let other = other_project(&app, &tenant).await;
    let list = async |query: &str| {
        let request = app.request("GET", &format!("/teammates{query}"));
        request.bearer(&admin.access).send().await.expect(200)
    };
    let both = [
        (admin.id.to_string(), "admin".to_owned()),
        (viewer.id.to_string(), "viewer".to_owned()),
    ];
    let all = list("").await;
    assert_eq!(teammates(&all), both);
    assert_eq!(all[1]["projectId"], tenant.project.id.as_str());
    assert_eq!(
        teammates(&list(&format!("?projectId={}", tenant.project.id)).await),
        both
    );
    assert_eq!(
        teammates(&list(&format!("?projectId={other}")).await),
        both[..1]
    );
    let path = format!("/user-roles?accountId={}", tenant.account.id);
    let roles = app
        .request("GET", &path)
        .bearer(&admin.access)
        .send()
        .await
        .expect(200);
    let ids: Vec<_> = roles
        .as_array()
        .unwrap()
        .iter()
        .map(|role| &role["id"])
        .collect();
    assert_eq!(
        ids,
        [
            "owner",
            "admin",
            "developer",
            "viewer",
            "analyst",
            "verifier"
        ]
    );
    assert_eq!(roles[1]["members"][0]["userId"], admin.id.as_str());
    assert_eq!(roles[5]["permissions"], json!(["check keys"]));
    let bare = app.request("GET", "/user-roles").bearer(&admin.access);
    assert!(bare.send().await.expect(200)[0].get("members").is_none());
    // A project that is removed takes the roles on it along.
    let path = format!("/projects/{}", tenant.project.id);
    app.request("DELETE", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(teammates(&list("").await), both[..1]);
    assert_eq!(status(&app, &viewer.access, "GET", "/projects").await, 403);
});

async fn other_project(app: &TestApp, tenant: &Tenant) -> String {
    let made = app.request("POST", "/projects").key(tenant.owner());
    let made = made.json(json!({"name": "Other"})).send().await.expect(201);
    made["id"].as_str().expect("ids are text").to_owned()
}
