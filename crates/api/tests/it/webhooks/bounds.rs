//! What webhooks are kept to: how often a receiver is asked, by whom, and what is told of answers.

use claviger_testkit::{Receiver, TestApp};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::{ask, deliveries, made, path_of, verifies};

#[tokio::test]
async fn a_receiver_is_left_alone_as_long_as_it_asks() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::answering(|_| async {
        (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, "3600")],
        )
    })
    .await;
    made(&app, &tenant, json!({"url": receiver.url})).await;
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    app.api_key(&tenant, json!({})).await;
    app.advance(3_590);
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 1);
    app.advance(10);
    app.tell_webhooks().await;
    assert_eq!(
        receiver.received().len(),
        2,
        "it is asked with one request whether it takes something again"
    );
}

#[tokio::test]
async fn a_ping_tells_what_came_of_it_and_no_more() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver =
        Receiver::answering(|_| async { (StatusCode::IM_A_TEAPOT, "secret inside") }).await;
    let ping = async |body: Value| {
        let request = app.request("POST", "/webhooks/ping").key(tenant.owner());
        request.json(body).send().await
    };
    let body = json!({"url": receiver.url, "httpMethod": "PUT", "body": "plain",
        "headers": {"x-mine": "1"}});
    let answer = ping(body).await.expect(200);
    let expected = json!({"success": false, "statusCode": 418, "durationMs": 0, "error": null});
    assert_eq!(answer, expected);
    let [sent] = &receiver.received()[..] else {
        panic!("it was received once")
    };
    assert_eq!((&*sent.body, sent.header("x-mine")), (&b"plain"[..], "1"));
    assert_eq!(sent.header("webhook-signature"), "");
    // The program itself is nowhere to go.
    let own = json!({"url": "https://keys.example.com/api-keys"});
    let answer = ping(own).await.expect(200);
    assert_eq!(
        (&answer["success"], &answer["error"]),
        (&false.into(), &"blocked".into())
    );

    let webhook = made(&app, &tenant, json!({"url": receiver.url})).await;
    ping(json!({"id": webhook["id"], "url": receiver.url}))
        .await
        .expect(400);
    ping(json!({"id": webhook["id"], "body": {"topic": "api-key.deleted"}}))
        .await
        .expect(400);
    ping(json!({"id": webhook["id"]})).await.expect(200);
    let signed = receiver.received().pop().unwrap();
    assert!(verifies(&webhook["secret"], &signed));
    assert_eq!(signed.json()["topic"], "ping");

    for _ in 0..7 {
        ping(json!({"url": receiver.url})).await.expect(200);
    }
    let refused = ping(json!({"url": receiver.url})).await;
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(refused.expect(429)["code"], "too_many_pings");
    app.advance(60);
    ping(json!({"url": receiver.url})).await.expect(200);
}

#[tokio::test]
async fn a_family_of_accounts_has_the_pings_of_one() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let receiver = Receiver::start().await;
    let child = app.request("POST", "/accounts").key(tenant.owner());
    let child = child
        .json(json!({"name": "Child"}))
        .send()
        .await
        .expect(201);
    let ping = async |account: &Value| {
        let body = json!({"url": receiver.url, "accountId": account});
        let request = app.request("POST", "/webhooks/ping").key(tenant.owner());
        request.json(body).send().await
    };
    for _ in 0..5 {
        ping(&child["id"]).await.expect(200);
        ping(&json!(tenant.account.id)).await.expect(200);
    }
    for account in [&child["id"], &json!(tenant.account.id)] {
        assert_eq!(ping(account).await.expect(429)["code"], "too_many_pings");
    }
    assert_eq!(receiver.received().len(), 10);
}

#[tokio::test]
async fn a_receiver_that_answers_with_what_it_was_asked_tells_no_secret() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let echo = Receiver::answering(|one| async move {
        let of = |name: &str| one.header(name).to_owned();
        let (own, signature) = (of("authorization"), of("webhook-signature"));
        json!({"told": "this", "own": own, "signature": signature}).to_string()
    })
    .await;
    let headers = json!({"authorization": "Bearer canary-of-mine"});
    let webhook = made(
        &app,
        &tenant,
        json!({"url": echo.url, "customHeaders": headers}),
    )
    .await;
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    let told = echo.received().pop().expect("it was told");
    let signature = told.header("webhook-signature").trim_start_matches("v1,");
    let log = json!(deliveries(&app, &tenant, &webhook).await);
    let kept = log[0]["attempts"][0]["responseExcerpt"].as_str().unwrap();
    assert!(kept.contains("this") && kept.contains("***"), "{kept}");
    assert!(!log.to_string().contains("canary-of-mine"));
    assert!(!signature.is_empty() && !log.to_string().contains(signature));
}

#[tokio::test]
async fn a_move_or_a_replay_ends_the_rest_that_a_receiver_asked_for() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let first = Receiver::answering(|_| async {
        let later = [(header::RETRY_AFTER, "80000")];
        (StatusCode::SERVICE_UNAVAILABLE, later)
    })
    .await;
    let second = Receiver::start().await;
    let webhook = made(&app, &tenant, json!({"url": first.url})).await;
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    let show = async || {
        let request = app.request("GET", &path_of(&webhook, ""));
        request.key(tenant.owner()).send().await.expect(200)
    };
    let shown = show().await;
    assert!(shown["restsUntil"].is_string() && shown["failingSince"].is_string());
    let log = deliveries(&app, &tenant, &webhook).await;
    let rest = format!("/deliveries/{}/replay", log[0]["id"].as_str().unwrap());
    ask(&app, &tenant, "POST", &path_of(&webhook, &rest), json!({})).await;
    app.tell_webhooks().await;
    assert_eq!(
        first.received().len(),
        2,
        "who replays says that it is there"
    );
    app.api_key(&tenant, json!({})).await;
    let moved = json!({"url": second.url});
    let moved = ask(&app, &tenant, "PATCH", &path_of(&webhook, ""), moved).await;
    assert!(moved["restsUntil"].is_null() && moved["failingSince"].is_null());
    app.tell_webhooks().await;
    assert_eq!(second.received().len(), 1, "it has asked for nothing");
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_fails_for_days_is_disabled_and_what_happens_waits() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let gone = Receiver::answering(|_| async { StatusCode::GONE }).await;
    let failing = Receiver::answering(|_| async { StatusCode::INTERNAL_SERVER_ERROR }).await;
    let watching = Receiver::start().await;
    let of_gone = made(&app, &tenant, json!({"url": gone.url})).await;
    let of_failing = made(&app, &tenant, json!({"url": failing.url})).await;
    let topics = json!(["webhook.disabled"]);
    made(
        &app,
        &tenant,
        json!({"url": watching.url, "topics": topics}),
    )
    .await;
    app.api_key(&tenant, json!({})).await;
    app.tell_webhooks().await;
    app.tell_webhooks().await;
    let status = async |webhook: &Value| {
        let shown = app
            .request("GET", &path_of(webhook, ""))
            .key(tenant.owner());
        shown.send().await.expect(200)["status"].clone()
    };
    assert_eq!(
        (status(&of_gone).await, status(&of_failing).await),
        ("disabled".into(), "live".into())
    );
    for _ in 0..6 {
        app.advance(86_400);
        app.api_key(&tenant, json!({})).await;
        app.tell_webhooks().await;
    }
    assert_eq!(status(&of_failing).await, "disabled");
    app.tell_webhooks().await;
    let told: Vec<_> = watching
        .received()
        .iter()
        .map(|one| one.json()["data"]["reason"].clone())
        .collect();
    assert_eq!(told, ["gone", "failing"]);
    let notices = app.request("GET", "/notifications").key(tenant.owner());
    let notices = notices.send().await.expect(200);
    let of_webhook = |webhook: &Value| {
        let id = webhook["id"].as_str().unwrap();
        let mut notices = notices.as_array().unwrap().iter();
        let kind = "webhook.disabled";
        notices.any(|one| one["type"] == kind && one["body"].as_str().unwrap().contains(id))
    };
    assert!(of_webhook(&of_gone) && of_webhook(&of_failing), "{notices}");
    let before = (gone.received().len(), failing.received().len());
    assert_eq!(before.0, 1, "nothing was sent to it since");

    // Put in force again, it gets what has waited.
    ask(
        &app,
        &tenant,
        "PATCH",
        &path_of(&of_gone, ""),
        json!({"status": "live"}),
    )
    .await;
    app.tell_webhooks().await;
    assert!(gone.received().len() > before.0);
}
