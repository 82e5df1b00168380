//! What sending withstands: a stop in the middle, a pause in the middle, secrets that do not open.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_outbound::{Client, Guard, Resolve, Settings, Webhooks};
use claviger_store::webhook_deliveries::Busy;
use claviger_testkit::{Engine, Receiver, Tenant, TestApp};
use futures::FutureExt;
use futures::future::BoxFuture;
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

/// A name server that answers nobody, such as a tenant's own.
#[derive(Debug)]
struct Silent(mpsc::UnboundedSender<()>);

impl Resolve for Silent {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        // Nobody has to listen.
        let _ = self.0.send(());
        pending().boxed()
    }
}

#[tokio::test]
async fn a_stop_waits_for_no_name_to_be_looked_up() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let webhook = listening(&app, &tenant, "https://hooks.example.com/").await;
    app.api_key(&tenant, json!({})).await;
    app.fan_out().await;
    let (tell, mut asked) = mpsc::unbounded_channel();
    let settings = Settings {
        db: app.core.db.clone(),
        sealing: Arc::clone(&app.sealing),
        client: Client::new(Guard::default(), Arc::new(Silent(tell))),
    };
    let (clock, random) = (Arc::clone(&app.core.clock), Arc::clone(&app.core.random));
    let webhooks = Webhooks::new(settings, clock, random);
    let claimed = webhooks.claim(Busy::default()).await.unwrap().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(async move { webhooks.serve(claimed, stopped).await });
    asked.recv().await.unwrap();
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    // It was not tried, and the next program need not wait for a lease.
    assert_eq!(statuses(&app, &tenant, &webhook).await, ["waiting"]);
    let again = app.core.webhooks.claim(Busy::default()).await.unwrap();
    assert_eq!(again.unwrap().failed_holds, 0);
}

/// What was answered is kept while the database does not take it: sent again, it would arrive twice.
#[tokio::test]
async fn an_answer_is_written_once_the_database_takes_it_again() {
    let app = TestApp::with(Engine::Sqlite).await;
    let tenant = app.tenant("Acme").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let receiver = Receiver::answering(move |_| {
        let _ = tell.send(());
        async { StatusCode::OK }
    })
    .await;
    let webhook = listening(&app, &tenant, &receiver.url).await;
    app.api_key(&tenant, json!({})).await;
    app.api_key(&tenant, json!({})).await;
    app.fan_out().await;
    app.alter(
        "CREATE TRIGGER refuses BEFORE UPDATE ON webhook_deliveries \
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    )
    .await;
    let webhooks = Arc::clone(&app.core.webhooks);
    let claimed = webhooks.claim(Busy::default()).await.unwrap().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(async move { webhooks.serve(claimed, stopped).await });
    told.recv().await;
    told.recv().await;
    // Changes have their turns: these come after a first try to write what was answered.
    for _ in 0..3 {
        app.api_key(&tenant, json!({})).await;
    }
    app.alter("DROP TRIGGER refuses").await;
    serving.await.unwrap().unwrap();
    let statuses = statuses(&app, &tenant, &webhook).await;
    assert_eq!(statuses, ["delivered", "delivered"]);
    assert_eq!(receiver.received().len(), 2);
}

/// One that takes its time is let go of soon, and served beside others of its kind.
#[tokio::test]
async fn who_takes_long_for_an_answer_is_known_by_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let clock = Arc::clone(&app.clock);
    let receiver = Receiver::answering(move |_| {
        clock.advance(5);
        async { StatusCode::OK }
    })
    .await;
    listening(&app, &tenant, &receiver.url).await;
    for _ in 0..9 {
        app.api_key(&tenant, json!({})).await;
    }
    app.fan_out().await;
    let webhooks = &app.core.webhooks;
    let claimed = webhooks.claim(Busy::default()).await.unwrap().unwrap();
    let (_stop, stopped) = watch::channel(false);
    webhooks.serve(claimed, stopped).await.unwrap();
    assert_eq!(receiver.received().len(), 8, "its time is over");
    let claimed = webhooks.claim(Busy::default()).await.unwrap().unwrap();
    assert!(claimed.is_slow && claimed.failed_holds == 0);
}

/// One that hangs or fails costs little: a round, then a request now and then, until it takes one.
#[tokio::test]
async fn a_receiver_that_fails_is_asked_with_one_request_until_it_takes_that() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let is_up = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_up);
    let receiver = Receiver::answering(move |_| {
        let is_up = told.load(Ordering::Relaxed);
        async move {
            if is_up {
                StatusCode::OK
            } else {
                StatusCode::BAD_GATEWAY
            }
        }
    })
    .await;
    listening(&app, &tenant, &receiver.url).await;
    for _ in 0..20 {
        app.api_key(&tenant, json!({})).await;
    }
    app.tell_webhooks().await;
    assert_eq!(receiver.received().len(), 8, "a round is enough to know");
    for (rest, requests) in [(5, 9), (30, 10), (120, 11), (300, 12), (300, 13)] {
        app.advance(rest - 1);
        app.tell_webhooks().await;
        assert_eq!(receiver.received().len(), requests - 1, "{rest}");
        app.advance(1);
        app.tell_webhooks().await;
        assert_eq!(receiver.received().len(), requests, "{rest}");
    }
    is_up.store(true, Ordering::Relaxed);
    app.advance(300);
    app.tell_webhooks().await;
    assert!(
        receiver.received().len() > 13 + 8,
        "then it gets what waits"
    );
}
