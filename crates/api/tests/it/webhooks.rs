//! Webhooks from their making to what arrives, with a receiver on this machine.

mod bounds;
mod changes;

use claviger_domain::role::Role;
use claviger_testkit::{Receiver, Tenant, TestApp};
use http::{StatusCode, header};
use serde_json::{Value, json};

/// Makes a webhook with the tenant's owner key; the answer has its secret.
async fn made(app: &TestApp, tenant: &Tenant, members: Value) -> Value {
    let mut body = json!({"topics": ["api-key.created"]});
    if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
        body.extend(members);
    }
    let request = app.request("POST", "/webhooks").key(tenant.owner());
    request.json(body).send().await.expect(201)
}

async fn ask(app: &TestApp, tenant: &Tenant, method: &str, path: &str, body: Value) -> Value {
    let request = app.request(method, path).key(tenant.owner());
    request.json(body).send().await.expect(200)
}

fn path_of(webhook: &Value, rest: &str) -> String {
    format!(
        "/webhooks/{}{rest}",
        webhook["id"].as_str().expect("ids are text")
    )
}

async fn deliveries(app: &TestApp, tenant: &Tenant, webhook: &Value) -> Vec<Value> {
    let path = path_of(webhook, "/deliveries");
    let request = app.request("GET", &path).key(tenant.owner());
    let listed = request.send().await.expect(200);
    listed.as_array().expect("a list").clone()
}

#[tokio::test]
async fn what_happens_is_told_signed_and_once() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let headers = json!({"Authorization": "Bearer canary-of-mine"});
    let webhook = made(
        &app,
        &tenant,
        json!({"url": format!("{}/in?a=b", receiver.url), "customHeaders": headers}),
    )
    .await;
    assert!(webhook["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(webhook["customHeaders"], json!({"authorization": "***"}));
    let key = app.api_key(&tenant, json!({"name": "Told"})).await;
    app.tell_webhooks().await;
    app.tell_webhooks().await;
    let [told] = &receiver.received()[..] else {
        panic!("{:?}", receiver.received())
    };
    assert_eq!((told.method.as_str(), &*told.path), ("POST", "/in?a=b"));
    assert_eq!(told.header("authorization"), "Bearer canary-of-mine");
    assert_eq!(told.header("content-type"), "application/json");
    assert!(told.header("webhook-signature").starts_with("v1,"));
    let body = told.json();
    assert_eq!(body["id"], told.header("webhook-id"));
    assert_eq!(body["topic"], "api-key.created");
    assert_eq!(body["accountId"], tenant.account.id.as_str());
    assert_eq!(body["projectId"], tenant.project.id.as_str());
    assert_eq!(
        (&body["data"]["id"], &body["data"]["name"]),
        (&key["id"], &"Told".into())
    );
    assert!(!body.to_string().contains(key["key"].as_str().unwrap()));
    let log = deliveries(&app, &tenant, &webhook).await;
    assert_eq!((log.len(), &log[0]["status"]), (1, &"delivered".into()));
    assert_eq!(log[0]["attempts"][0]["statusCode"], 204);

    // Shown once, and kept nowhere in clear.
    let shown = app
        .request("GET", &path_of(&webhook, ""))
        .key(tenant.owner());
    let shown = shown.send().await.expect(200);
    assert!(shown["secret"].is_null() && !shown.to_string().contains("canary-of-mine"));
}

#[tokio::test]
async fn only_what_was_asked_for_and_is_of_the_place_is_told() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let foreign = app.tenant("Foreign").await;
    let receiver = Receiver::start().await;
    let other = app
        .request("POST", "/projects")
        .key(tenant.owner())
        .json(json!({"name": "Other"}));
    let other = other.send().await.expect(201);
    let topics = json!(["api-key.created", "account.updated", "access-key.created"]);
    let project = tenant.project.id.as_str();
    made(
        &app,
        &tenant,
        json!({"url": receiver.url, "topics": topics, "projectId": project}),
    )
    .await;
    app.api_key(&foreign, json!({})).await;
    app.api_key(&tenant, json!({"projectId": other["id"]}))
        .await;
    let key = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
    ask(&app, &tenant, "PATCH", &path, json!({"name": "changed"})).await;
    let account = format!("/accounts/{}", tenant.account.id);
    ask(
        &app,
        &tenant,
        "PATCH",
        &account,
        json!({"name": "Acme again"}),
    )
    .await;
    app.request("POST", "/access-keys")
        .key(tenant.owner())
        .json(json!({"name": "of the account", "role": "owner"}))
        .send()
        .await
        .expect(201);
    app.tell_webhooks().await;
    let mut told: Vec<_> = receiver
        .received()
        .iter()
        .map(|one| {
            let body = one.json();
            (
                body["topic"].as_str().unwrap().to_owned(),
                body["data"]["id"].clone(),
            )
        })
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    let account = json!(tenant.account.id);
    let expected = [
        ("account.updated".to_owned(), account),
        ("api-key.created".to_owned(), key["id"].clone()),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_later_until_it_is_taken() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::answering(|_| async {
        (
            StatusCode::FOUND,
            [(header::LOCATION, "http://127.0.0.1:1/")],
            "\x1b[31mno\x1b[0m",
        )
    })
    .await;
    let webhook = made(&app, &tenant, json!({"url": receiver.url})).await;
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 1, "a redirect is not followed");
    let log = deliveries(&app, &tenant, &webhook).await;
    assert_eq!(log[0]["status"], "waiting");
    assert_eq!(log[0]["attempts"][0]["statusCode"], 302);
    assert_eq!(log[0]["attempts"][0]["responseExcerpt"], "no");
    for (index, seconds) in [6, 330, 1_980, 7_920, 19_800, 39_600, 39_600]
        .into_iter()
        .enumerate()
    {
        app.advance(seconds * 8 / 10);
        app.tell_webhooks().await;
        assert_eq!(receiver.received().len(), index + 1, "not before its time");
        app.advance(seconds - seconds * 8 / 10);
        app.tell_webhooks().await;
        assert_eq!(receiver.received().len(), index + 2);
    }
    let log = deliveries(&app, &tenant, &webhook).await;
    assert_eq!(
        (&log[0]["status"], &log[0]["nextAttemptAt"]),
        (&"failed".into(), &Value::Null)
    );
    assert_eq!(log[0]["attempts"].as_array().unwrap().len(), 8);

    // Each has the same id, and the span of the failure is sent again.
    let ids = receiver.received();
    assert!(
        ids.iter()
            .all(|one| one.header("webhook-id") == ids[0].header("webhook-id"))
    );
    let replay = path_of(&webhook, "/deliveries/replay");
    let answer = ask(
        &app,
        &tenant,
        "POST",
        &replay,
        json!({"from": "2029-01-01"}),
    )
    .await;
    assert_eq!(answer["replayed"], 1);
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 9);
}

#[tokio::test]
async fn a_paused_webhook_gets_later_what_happens_meanwhile() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let webhook = made(&app, &tenant, json!({"url": receiver.url})).await;
    ask(
        &app,
        &tenant,
        "PATCH",
        &path_of(&webhook, ""),
        json!({"status": "paused"}),
    )
    .await;
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    assert!(receiver.received().is_empty());
    let shown = ask(
        &app,
        &tenant,
        "PATCH",
        &path_of(&webhook, ""),
        json!({"status": "live"}),
    )
    .await;
    assert_eq!(
        (&shown["status"], &shown["isActive"]),
        (&"live".into(), &true.into())
    );
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 1);

    let delete = app
        .request("DELETE", &path_of(&webhook, ""))
        .key(tenant.owner());
    delete.send().await.expect(204);
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn webhooks_url_changed_to_a_second_receiver_it_gets_no_stored_credential() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let headers = json!({"authorization": "Bearer canary-of-the-first"});
    let webhook = made(
        &app,
        &tenant,
        json!({"url": first.url, "customHeaders": headers}),
    )
    .await;
    let path = path_of(&webhook, "");
    let edited = async |body: Value| {
        let request = app.request("PATCH", &path).key(tenant.owner());
        request.json(body).send().await
    };
    // Neither left out nor read and sent back do the headers go along.
    edited(json!({"url": second.url})).await.expect(400);
    let read = app
        .request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let mut whole = read.clone();
    edited(whole.clone()).await.expect(200);
    whole["url"] = json!(second.url);
    edited(whole).await.expect(400);
    let moved = edited(json!({"url": second.url, "customHeaders": {}}))
        .await
        .expect(200);
    assert_eq!(moved["customHeaders"], json!({}));

    app.api_key(&tenant, json!({})).await;
    let ping = json!({"id": webhook["id"]});
    ask(&app, &tenant, "POST", "/webhooks/ping", ping).await;
    app.tell_webhooks().await;
    app.api_key(&tenant, json!({})).await;
    edited(json!({"url": first.url})).await.expect(200);
    app.tell_webhooks().await;
    assert_eq!((first.received().len(), second.received().len()), (1, 2));
    let all = second.received().into_iter().chain(first.received());
    for one in all {
        assert_eq!(one.header("authorization"), "");
        // Nor are the first one's deliveries signed for others: each receiver has its own secret.
        assert!(!verifies(&webhook["secret"], &one));
    }
    // Of one host a path has the same secret, and still the headers are no other path's.
    let other_path = format!("{}/elsewhere", first.url);
    edited(json!({"customHeaders": headers})).await.expect(200);
    edited(json!({"url": other_path})).await.expect(400);
    let masked = json!({"url": other_path, "customHeaders": {"authorization": "***"}});
    edited(masked).await.expect(400);
    let query = json!({"url": format!("{}?token=2", webhook["url"].as_str().unwrap())});
    let asked = edited(query).await.expect(200);
    assert_eq!(asked["customHeaders"], json!({"authorization": "***"}));
    let secret = ask(
        &app,
        &tenant,
        "POST",
        &path_of(&webhook, "/rotate-secret"),
        json!({}),
    )
    .await;
    let bare = json!({"url": other_path, "customHeaders": {}});
    edited(bare).await.expect(200);
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    assert!(verifies(
        &secret["secret"],
        first.received().last().unwrap()
    ));
}

/// Whether a delivery has a signature of that secret, as Standard Webhooks has them.
fn verifies(secret: &Value, delivery: &claviger_testkit::Received) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};

    let secret = secret
        .as_str()
        .and_then(|secret| secret.strip_prefix("whsec_"));
    let secret = secret.expect("a secret of ours");
    let key = STANDARD.decode(secret).expect("it is base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("keys have any length");
    for part in [
        delivery.header("webhook-id"),
        ".",
        delivery.header("webhook-timestamp"),
        ".",
    ] {
        mac.update(part.as_bytes());
    }
    mac.update(&delivery.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let mut signatures = delivery.header("webhook-signature").split(' ');
    signatures.any(|signature| signature == expected)
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let webhook = made(&app, &tenant, json!({"url": receiver.url})).await;
    let rotated = ask(
        &app,
        &tenant,
        "POST",
        &path_of(&webhook, "/rotate-secret"),
        json!({}),
    )
    .await;
    assert_ne!(rotated["secret"], webhook["secret"]);
    for (seconds, by_old) in [(0, true), (86_399, true), (1, false)] {
        app.advance(seconds);
        app.api_key(&tenant, json!({})).await;
        app.tell_webhooks().await;
        let last = receiver.received().pop().unwrap();
        assert!(verifies(&rotated["secret"], &last));
        assert_eq!(verifies(&webhook["secret"], &last), by_old);
    }
}

#[tokio::test]
async fn a_project_level_caller_makes_webhooks_of_its_project_alone() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let developer = tenant.project_key(Role::Developer);
    let body = json!({"url": "https://webhooks.invalid/", "topic": "api-key.created"});
    let request = app.request("POST", "/webhooks").key(developer);
    let webhook = request.json(body).send().await.expect(201);
    assert_eq!(webhook["projectId"], tenant.project.id.as_str());
    let of_account = made(&app, &tenant, json!({"url": "https://webhooks.invalid/"})).await;
    let hidden = app.request("GET", &path_of(&of_account, "")).key(developer);
    hidden.send().await.expect(404);
    let listed = app
        .request("GET", "/webhooks")
        .key(developer)
        .send()
        .await
        .expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let named = json!({"url": "https://webhooks.invalid/", "topic": "api-key.created",
        "accountId": tenant.account.id});
    let request = app.request("POST", "/webhooks").key(developer);
    request.json(named).send().await.expect(404);
}

#[tokio::test]
async fn what_a_webhook_cannot_be_is_said_by_its_member() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    for (member, value) in [
        ("url", json!("file:///etc/passwd")),
        ("url", json!("https://me:pw@example.com/")),
        ("topics", json!([])),
        ("topics", json!(["api-key.stolen"])),
        ("httpMethod", json!("GET")),
        ("status", json!("disabled")),
        ("format", json!("xml")),
        ("legacySignature", json!(true)),
        ("customHeaders.Host", json!({"Host": "internal"})),
        (
            "customHeaders.Content-Length",
            json!({"Content-Length": "1"}),
        ),
        (
            "customHeaders.X-Forwarded-For",
            json!({"X-Forwarded-For": "127.0.0.1"}),
        ),
        ("customHeaders.webhook-id", json!({"webhook-id": "evt_1"})),
        (
            "customHeaders.Metadata-Flavor",
            json!({"Metadata-Flavor": "Google"}),
        ),
        ("customHeaders.x", json!({"x": "a\r\nhost: internal"})),
        ("customHeaders.x", json!({"x": "***"})),
    ] {
        let mut body = json!({"url": "http://example.com/", "topics": ["api-key.created"]});
        let (name, _) = member.split_once('.').unwrap_or((member, ""));
        body[name] = value;
        let request = app.request("POST", "/webhooks").key(tenant.owner());
        let refused = request.json(body).send().await.expect(400);
        assert_eq!(refused["details"][0]["field"], member);
    }
}

#[tokio::test]
async fn a_repeated_creation_shows_the_secret_no_second_time() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let create = async || {
        let request = app.request("POST", "/webhooks").key(tenant.owner());
        let request = request.header("idempotency-key", "once");
        let body = json!({"url": "https://webhooks.invalid/", "topic": "api-key.created"});
        request.json(body).send().await.expect(201)
    };
    let (first, again) = (create().await, create().await);
    assert_eq!(first["id"], again["id"]);
    assert!(first["secret"].as_str().unwrap().len() > 40);
    assert_eq!(again["secret"], "whsec_****************");
}

#[tokio::test]
async fn a_message_for_a_chat_is_text_and_the_older_header_is_sent_over_tls_only() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let members = json!({"url": receiver.url, "format": "slack", "httpMethod": "put"});
    made(&app, &tenant, members).await;
    app.api_key(&tenant, json!({"name": "<!here>"})).await;
    app.tell_webhooks().await;
    let told = receiver.received().pop().unwrap();
    assert_eq!(told.method, "PUT");
    assert!(
        told.json()["text"]
            .as_str()
            .unwrap()
            .contains("(&lt;!here&gt;)")
    );
    let members = json!({"url": "https://webhooks.invalid/", "legacySignature": true});
    let webhook = made(&app, &tenant, members).await;
    assert_ne!(webhook["legacySecret"], webhook["secret"]);
    assert!(
        webhook["legacySecret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
}
