//! What becomes of a webhook that is changed: its secrets, its place, its end, what is sent again.

use claviger_domain::role::Role;
use claviger_testkit::{Receiver, Tenant, TestApp, on_both_engines};
use serde_json::{Value, json};

use super::{ask, deliveries, made, path_of, verifies};

const NOWHERE: &str = "https://webhooks.invalid/";

#[tokio::test]
async fn two_rotations_within_a_day_cut_off_nobody_and_one_can_end_all_before() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let webhook = made(&app, &tenant, json!({"url": receiver.url})).await;
    let rotate = async |body: Value| {
        let path = path_of(&webhook, "/rotate-secret");
        let request = app.request("POST", &path).key(tenant.owner());
        request.json(body).send().await
    };
    let told = async || {
        app.api_key(&tenant, json!({})).await;
        app.tell_webhooks().await;
        receiver.received().pop().unwrap()
    };
    let second = rotate(json!({})).await.expect(200);
    app.advance(3_600);
    let third = rotate(json!({})).await.expect(200);
    let last = told().await;
    for secret in [&webhook["secret"], &second["secret"], &third["secret"]] {
        assert!(verifies(secret, &last));
    }
    let refused = rotate(json!({})).await.expect(409);
    assert_eq!(refused["code"], "too_many_secrets");
    assert!(
        verifies(&third["secret"], &told().await),
        "nothing was changed"
    );

    // Somebody else knows one of them.
    let fourth = rotate(json!({"revokePrevious": true})).await.expect(200);
    let last = told().await;
    assert!(verifies(&fourth["secret"], &last));
    for secret in [&webhook["secret"], &second["secret"], &third["secret"]] {
        assert!(!verifies(secret, &last));
    }
}

#[tokio::test]
async fn a_webhook_is_narrowed_to_a_project_and_widened_by_who_reaches_the_account() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let foreign = app.tenant("Foreign").await;
    let webhook = made(&app, &tenant, json!({"url": NOWHERE})).await;
    let path = path_of(&webhook, "");
    let change = async |key: &str, body: Value| {
        let request = app.request("PATCH", &path).key(key);
        request.json(body).send().await
    };
    let owner = tenant.owner();
    let own = tenant.project.id.as_str();
    let developer = tenant.project_key(Role::Developer);
    change(developer, json!({"projectId": own}))
        .await
        .expect(404);
    let other = json!({"projectId": foreign.project.id});
    change(owner, other).await.expect(404);
    let account = json!({"accountId": foreign.account.id});
    let refused = change(owner, account).await.expect(400);
    assert_eq!(refused["details"][0]["field"], "accountId", "{refused}");
    let narrowed = json!({"projectID": own, "accountId": tenant.account.id});
    let narrowed = change(owner, narrowed).await.expect(200);
    assert_eq!(narrowed["projectId"], own);
    let unchanged = change(developer, json!({"projectId": own}))
        .await
        .expect(200);
    assert_eq!(unchanged["projectId"], own);
    change(developer, json!({"projectId": null}))
        .await
        .expect(404);
    let widened = change(owner, json!({"projectId": null})).await.expect(200);
    assert!(widened["projectId"].is_null());
}

#[tokio::test]
async fn who_may_not_change_a_webhook_does_not_see_what_its_receiver_may_ask_for() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let url = "https://webhooks.invalid/services/T0/canary?key=canary";
    let of_account = made(&app, &tenant, json!({"url": url})).await;
    let members = json!({"url": url, "projectId": tenant.project.id});
    let of_project = made(&app, &tenant, members).await;
    let seen = async |webhook: &Value, key: &str| {
        let path = path_of(webhook, "");
        let request = app.request("GET", &path).key(key);
        request.send().await.expect(200)["url"].clone()
    };
    for webhook in [&of_account, &of_project] {
        let masked = "https://webhooks.invalid/***";
        assert_eq!(seen(webhook, tenant.key(Role::Viewer)).await, masked);
        assert_eq!(seen(webhook, tenant.key(Role::Developer)).await, url);
    }
    let developer = tenant.project_key(Role::Developer);
    assert_eq!(seen(&of_project, developer).await, url);
    let list = app
        .request("GET", "/webhooks")
        .key(tenant.key(Role::Viewer));
    let listed = list.send().await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("canary"));
}

#[tokio::test]
async fn topics_that_say_two_things_are_refused() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let webhook = made(&app, &tenant, json!({"url": NOWHERE})).await;
    let (one, other) = ("project.updated", "project.created");
    let both = json!({"url": NOWHERE, "topics": [one], "topic": other});
    for (method, path) in [
        ("POST", "/webhooks".to_owned()),
        ("PATCH", path_of(&webhook, "")),
    ] {
        let request = app.request(method, &path).key(tenant.owner());
        request.json(both.clone()).send().await.expect(400);
    }
    // An object that was read, and of which one spelling was changed.
    for changed in [
        json!({"topics": [one], "topic": webhook["topic"]}),
        json!({"topics": [one], "topic": other}),
        json!({"topics": [other, one], "topic": other}),
    ] {
        let changed = ask(&app, &tenant, "PATCH", &path_of(&webhook, ""), changed).await;
        assert_eq!(changed["topic"], changed["topics"][0]);
    }
}

#[tokio::test]
async fn a_project_s_webhook_hears_of_the_end_of_its_project_and_is_no_more() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let project = app.request("POST", "/projects").key(tenant.owner());
    let project = project
        .json(json!({"name": "Short"}))
        .send()
        .await
        .expect(201);
    let topics = json!(["project.deleted", "api-key.created"]);
    let members = json!({"url": receiver.url, "topics": topics, "projectId": project["id"]});
    let webhook = made(&app, &tenant, members).await;
    app.api_key(&tenant, json!({"projectId": project["id"]}))
        .await;
    app.advance(1);
    let path = format!("/projects/{}", project["id"].as_str().unwrap());
    let delete = app.request("DELETE", &path).key(tenant.owner());
    assert!(delete.send().await.status.is_success());
    let shown = app
        .request("GET", &path_of(&webhook, ""))
        .key(tenant.owner());
    shown.send().await.expect(404);
    app.tell_webhooks().await;
    let told: Vec<_> = receiver
        .received()
        .iter()
        .map(|one| one.json()["topic"].clone())
        .collect();
    assert_eq!(told, ["api-key.created", "project.deleted"]);
}

/// A webhook that was told three things, at one instant.
async fn told(app: &TestApp, tenant: &Tenant) -> (Value, Receiver) {
    let receiver = Receiver::start().await;
    let webhook = made(app, tenant, json!({"url": receiver.url})).await;
    for _ in 0..3 {
        app.api_key(tenant, json!({})).await;
    }
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 3);
    (webhook, receiver)
}

on_both_engines!(
    who_sends_again_is_in_the_trail_and_has_a_budget,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let (webhook, receiver) = told(&app, &tenant).await;
        let log = deliveries(&app, &tenant, &webhook).await;
        let path = path_of(&webhook, "/deliveries/replay");
        let replay = async |cursor: Value| {
            let body = json!({"from": "2029-01-01", "delivered": true, "cursor": cursor});
            let request = app.request("POST", &path).key(tenant.owner());
            request.json(body).send().await
        };
        replay("nonsense".into()).await.expect(400);
        // All three happened at one instant: behind the first two in order there is one.
        let mut ids: Vec<_> = log.iter().map(|one| one["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        let happened = claviger_domain::date::parse(log[0]["createdAt"].as_str().unwrap()).unwrap();
        let cursor = format!("{}_{}", happened.as_micros(), ids[1]);
        let answer = replay(cursor.into()).await.expect(200);
        assert_eq!(
            (&answer["replayed"], &answer["nextCursor"]),
            (&1.into(), &Value::Null)
        );
        let one = path_of(&webhook, &format!("/deliveries/{}/replay", ids[0]));
        ask(&app, &tenant, "POST", &one, json!({})).await;
        app.tell_webhooks().await;
        assert_eq!(receiver.received().len(), 5);
        let trail = claviger_store::events::of_account(&app.core.db, &tenant.account.id, 1_000);
        let trail = trail.await.unwrap();
        let replayed = trail.iter().filter(|one| one.kind == "webhook.replayed");
        assert_eq!(replayed.count(), 2);
        for _ in 1..20 {
            replay(Value::Null).await.expect(200);
        }
        let refused = replay(Value::Null).await;
        assert_eq!(refused.header("retry-after"), "60");
        assert_eq!(refused.expect(429)["code"], "too_many_replays");
    }
);

on_both_engines!(
    the_log_is_read_by_what_became_of_deliveries_and_when,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let (webhook, _receiver) = told(&app, &tenant).await;
        let paused = json!({"status": "paused"});
        ask(&app, &tenant, "PATCH", &path_of(&webhook, ""), paused).await;
        app.advance(2 * 86_400);
        app.api_key(&tenant, json!({})).await;
        app.tell_webhooks().await;
        let list = async |query: &str| {
            let path = path_of(&webhook, &format!("/deliveries?{query}"));
            let request = app.request("GET", &path).key(tenant.owner());
            request.send().await
        };
        for (query, count) in [
            ("status=failed", 0),
            ("status=waiting", 1),
            ("status=delivered", 3),
            ("topic=api-key.created", 4),
            ("topic=api-key.deleted", 0),
            ("before=2030-01-02", 3),
            ("before=2030-01-02&status=waiting", 0),
            ("before=2030-01-01", 0),
        ] {
            let listed = list(query).await;
            assert_eq!(listed.header("x-total-count"), count.to_string(), "{query}");
            let listed = listed.expect(200);
            assert_eq!(listed.as_array().unwrap().len(), count, "{query}");
        }
        let two = list("limit=2&offset=1").await;
        assert_eq!(two.header("x-total-count"), "4");
        assert_eq!(two.expect(200).as_array().unwrap().len(), 2);
        list("offset=10001").await.expect(400);
        list("before=soon").await.expect(400);
    }
);
