//! What sending withstands: a stop in the middle, a pause in the middle, secrets that do not open.

use std::sync::Arc;

use claviger_store::webhook_deliveries::Busy;
use claviger_testkit::{Receiver, Tenant, TestApp};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

async fn listening(app: &TestApp, tenant: &Tenant, url: &str) -> Value {
    let request = app.request("POST", "/webhooks").key(tenant.owner());
    let body = json!({"url": url, "topics": ["api-key.created"]});
    request.json(body).send().await.expect(201)
}

async fn statuses(app: &TestApp, tenant: &Tenant, webhook: &Value) -> Vec<String> {
    let path = format!("/webhooks/{}/deliveries", webhook["id"].as_str().unwrap());
    let request = app.request("GET", &path).key(tenant.owner());
    let listed = request.send().await.expect(200);
    let listed = listed.as_array().unwrap();
    let texts = listed.iter().map(|one| one["status"].as_str().unwrap());
    texts.map(str::to_owned).collect()
}

/// What was answered before the stop is known, and what was not is sent by the next program at once.
#[tokio::test]
async fn a_stop_keeps_what_was_answered_and_lets_go_of_the_rest() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let receiver = Receiver::answering(move |one| {
        let hangs = one.json()["data"]["name"] == "hangs";
        let _ = tell.send(());
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            StatusCode::OK
        }
    })
    .await;
    let webhook = listening(&app, &tenant, &receiver.url).await;
    app.api_key(&tenant, json!({"name": "hangs"})).await;
    app.api_key(&tenant, json!({"name": "is taken"})).await;
    let webhooks = Arc::clone(&app.core.webhooks);
    app.fan_out().await;
    let claimed = webhooks.claim(Busy::default()).await.unwrap().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(async move { webhooks.serve(claimed, stopped).await });
    told.recv().await;
    told.recv().await;
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    assert_eq!(
        statuses(&app, &tenant, &webhook).await,
        ["delivered", "waiting"]
    );
    let again = app.core.webhooks.claim(Busy::default()).await.unwrap();
    assert!(again.is_some(), "nobody waits for a lease to be over");
}

/// A row whose URL was moved to another receiver, such as by somebody who can write rows.
#[tokio::test]
async fn secrets_of_another_receiver_are_not_opened_and_nothing_is_sent() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let webhook = listening(&app, &tenant, &receiver.url).await;
    let elsewhere = other.url.clone();
    let id = claviger_domain::id::Id::parse(webhook["id"].as_str().unwrap()).unwrap();
    let change = app.core.change(&claviger_domain::event::Actor::System);
    let everything = claviger_testkit::world::everything();
    app.core
        .db
        .write::<_, claviger_store::StoreError, _>(move |tx| {
            Box::pin(async move {
                use claviger_store::webhooks::{lock, save};
                let mut webhook = lock(tx, &everything, &id).await?.unwrap();
                webhook.url = elsewhere;
                let kind = claviger_domain::event::EventKind::WebhookUpdated;
                save(tx, &change, &mut webhook, kind, json!({})).await
            })
        })
        .await
        .unwrap();
    app.api_key(&tenant, json!({})).await;
    let webhooks = &app.core.webhooks;
    app.fan_out().await;
    let claimed = webhooks.claim(Busy::default()).await.unwrap().unwrap();
    let (_stop, stopped) = watch::channel(false);
    assert!(webhooks.serve(claimed, stopped).await.is_err());
    assert!(receiver.received().is_empty() && other.received().is_empty());
    // It rests, so that it is not tried again and again.
    assert!(webhooks.claim(Busy::default()).await.unwrap().is_none());
}
