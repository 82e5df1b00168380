//! Tenants: a customer with all that it has, once.

use claviger_domain::role::Role;
use claviger_testkit::{Person, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn make(app: &TestApp, by: &str, body: Value) -> TestResponse {
    app.request("POST", "/tenants")
        .key(by)
        .json(body)
        .send()
        .await
}

fn whole() -> Value {
    json!({
        "externalId": "customer-1",
        "account": {"name": "Customer"},
        "projects": [{"name": "Live"}, {"name": "Test", "env": "test"}],
        "apiKey": {"name": "First", "rateLimitConfigs": {"rateLimit": 5}},
        "accessKey": {"role": "admin"},
        "invite": {"email": "ada@example.com"},
    })
}

on_both_engines!(
    a_customer_is_made_with_all_that_it_has_and_once,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let made = make(&app, tenant.owner(), whole()).await;
        assert_eq!(made.header("cache-control"), "no-store");
        let made = made.expect(201);
        assert_eq!(
            made["account"]["parentAccountId"],
            tenant.account.id.as_str()
        );
        let [live, test] = [&made["projects"][0], &made["projects"][1]];
        assert_eq!(
            (&live["env"], &test["env"]),
            (&"live".into(), &"test".into())
        );
        assert_eq!(made["apiKey"]["projectId"], live["id"]);
        assert_eq!(made["invitation"]["role"], "owner");
        // Both keys work, where they should.
        let access = made["accessKey"]["key"].as_str().unwrap();
        let projects = app.request("GET", "/projects").key(access).send().await;
        assert_eq!(projects.expect(200).as_array().unwrap().len(), 2);
        let key = made["apiKey"]["key"].as_str().unwrap();
        let path = format!("/api-keys/auth/{key}");
        let checked = app.request("POST", &path).key(access).send().await;
        assert_eq!(checked.header("ratelimit-remaining"), "4");
        checked.expect(200);
        let mails = app.mails().await;
        assert_eq!((mails.len(), &*mails[0].to), (1, "ada@example.com"));
        // Again it is the same one, as it was made and without its secrets, whatever else is asked for.
        let account = format!("/accounts/{}", made["account"]["id"].as_str().unwrap());
        let rename = app.request("PATCH", &account).key(tenant.owner());
        let renamed = rename.json(json!({"name": "Renamed"})).send().await;
        assert_eq!(renamed.expect(200)["name"], "Renamed");
        let again = make(&app, tenant.owner(), json!({"externalId": "customer-1"})).await;
        let again = again.expect(201);
        for member in ["account", "apiKey", "accessKey", "invitation"] {
            assert_eq!(again[member]["id"], made[member]["id"]);
        }
        assert_eq!(again["account"], made["account"]);
        for secret in [access, key] {
            assert!(!again.to_string().contains(secret));
        }
        assert_eq!(app.mails().await.len(), 1);
        // Of somebody else it is another one.
        let other = app.tenant("Other").await;
        let theirs = make(&app, other.owner(), json!({"externalId": "customer-1"})).await;
        let theirs = theirs.expect(201);
        assert_ne!(theirs["account"]["id"], made["account"]["id"]);
        assert_eq!(theirs["projects"][0]["name"], "customer-1");
        assert!(theirs.get("apiKey").is_none());
    }
);

on_both_engines!(of_many_at_once_one_makes_it, async |app| {
    let tenant = app.tenant("Acme").await;
    let all = (0..6).map(|_| make(&app, tenant.owner(), whole()));
    let all = futures::future::join_all(all).await;
    let ids: Vec<_> = all
        .into_iter()
        .map(|one| one.expect(201)["account"]["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    let list = app
        .request("GET", "/accounts?name=customer")
        .key(tenant.owner());
    assert_eq!(list.send().await.expect(200).as_array().unwrap().len(), 1);
});

on_both_engines!(what_cannot_be_made_whole_is_not_made_at_all, async |app| {
    let tenant = app.tenant("Acme").await;
    let limit = json!({"name": "n", "rateLimitConfigs": {"rateLimit": 0}});
    for (member, value, field) in [
        ("externalId", json!(" "), "externalId"),
        ("apiKey", json!({}), "name"),
        (
            "apiKey",
            json!({"name": "n", "key": "brought-along-1"}),
            "apiKey.key",
        ),
        ("accessKey", json!({"role": "king"}), "role"),
        ("invite", json!({"email": "ada"}), "invite.email"),
        ("apiKey", limit, "rateLimitConfigs"),
    ] {
        let mut body = whole();
        body[member] = value;
        let refused = make(&app, tenant.owner(), body).await.expect(400);
        assert_eq!(refused["details"][0]["field"], field, "{refused}");
    }
    let list = app
        .request("GET", "/accounts?name=customer")
        .key(tenant.owner());
    assert_eq!(list.send().await.expect(200), json!([]));
    // The id is free still.
    make(&app, tenant.owner(), whole()).await.expect(201);
});

on_both_engines!(a_user_owns_the_customer_that_they_make, async |app| {
    let tenant = app.tenant("Acme").await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    let made = make(&app, &owner.access, whole()).await.expect(201);
    assert_eq!(made["account"]["parentAccountId"], Value::Null);
    let path = format!("/accounts/{}", made["account"]["id"].as_str().unwrap());
    let ask = |method: &str, key: &str| app.request(method, &path).key(key).send();
    ask("GET", &owner.access).await.expect(200);
    ask("GET", tenant.owner()).await.expect(404);
    // Deleted, it can be made anew.
    ask("DELETE", &owner.access).await.expect(204);
    let again = make(&app, &owner.access, whole()).await.expect(201);
    assert_ne!(again["account"]["id"], made["account"]["id"]);
});

#[tokio::test]
async fn nothing_of_a_tenant_exceeds_its_maker() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let child = app.child_of(&tenant, "Child").await;
    let refused = make(&app, child.owner(), whole()).await.expect(409);
    assert_eq!(refused["code"], "child_of_child");
    let ending = json!({"name": "ends", "role": "owner", "expiry": "2030-01-20"});
    let key = app.request("POST", "/access-keys").key(tenant.owner());
    let key = key.json(ending).send().await.expect(201);
    let key = key["key"].as_str().unwrap();
    let refused = make(&app, key, whole()).await.expect(403);
    assert_eq!(refused["code"], "exceeds_maker");
    make(&app, key, json!({"externalId": "bare"}))
        .await
        .expect(201);
    // The operator is shown the link.
    let made = make(&app, app.operator_key.expose(), whole()).await;
    let made = made.expect(201);
    let link = made["invitation"]["link"].as_str().unwrap();
    assert!(link.contains("token=invite_"));
}

#[tokio::test]
async fn a_user_s_customers_are_sent_a_hundred_mails_a_day() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let owner = app.person(&tenant.account, Role::Owner).await;
    let customer = async |number: u32| {
        let invite = json!({"email": format!("ada{number}@example.com")});
        let body = json!({"externalId": number.to_string(), "invite": invite});
        make(&app, &owner.access, body).await
    };
    for number in 0..100 {
        customer(number).await.expect(201);
    }
    let refused = customer(100).await.expect(429);
    assert_eq!(refused["code"], "too_many_invitations");
    app.advance(86_400);
    let log_in = app.request("POST", "/auth/login");
    let body = json!({"email": owner.email, "password": Person::PASSWORD});
    let again = log_in.json(body).send().await.expect(201);
    let invite = json!({"email": "ada@example.com"});
    let body = json!({"externalId": "next", "invite": invite});
    make(&app, again["access_token"].as_str().unwrap(), body)
        .await
        .expect(201);
}
