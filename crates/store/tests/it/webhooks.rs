//! Webhooks and their deliveries: told once, held by one, sent until taken.

mod bounds;
mod log;

use std::collections::BTreeSet;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::webhook::{DeliveryStatus, Format, Method, Status, Topic};
use claviger_store::accounts::Account;
use claviger_store::webhook_deliveries::{
    self as deliveries, Busy, Claimed, Delivery, Due, Fanned, Filter, Health, LEASE, Outcome,
};
use claviger_store::webhooks::{self, Created, Sealed, Webhook};
use claviger_store::{Base, events};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};
use futures::future::join_all;
use serde_json::json;

in_both_worlds![
    an_event_is_told_once_however_many_fan_out,
    nobody_is_told_who_was_not_there,
    who_has_much_to_tell_holds_up_nobody,
    a_receiver_that_takes_nothing_is_left_alone_for_longer,
    a_failure_after_a_long_quiet_is_the_first,
    what_was_learned_of_a_former_receiver_is_not_written,
    a_webhook_is_held_by_one_until_the_lease_is_over,
    a_busy_family_waits_and_others_do_not,
    what_was_delivered_stays_so,
    letting_go_says_when_there_is_more_to_do,
    an_account_has_a_hundred_webhooks_at_most,
];

const URL: &str = "https://example.com/hooks";

async fn made(world: &World, account: &Account) -> Webhook {
    let (webhook, created) = make(world, account).await;
    assert_eq!(created, Created::Done);
    webhook
}

async fn make(world: &World, account: &Account) -> (Webhook, Created) {
    let webhook = draft(world, account);
    let created = store(world, &webhook).await;
    (webhook, created)
}

fn draft(world: &World, account: &Account) -> Webhook {
    Webhook {
        id: Id::draw(&*world.random),
        account: account.reference(),
        project: None,
        name: None,
        url: URL.to_owned(),
        method: Method::Post,
        format: Format::Standard,
        topics: vec![Topic::AccountUpdated],
        status: Status::Live,
        sealed: Sealed {
            secret: vec![7],
            previous: Vec::new(),
            legacy: None,
            headers: None,
        },
        header_names: vec!["authorization".to_owned()],
        failing_since: None,
        rests_until: None,
        dropped: 0,
        base: Base::made_by(&world.change()),
    }
}

async fn store(world: &World, webhook: &Webhook) -> Created {
    let new = webhook.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { webhooks::create(tx, &change, &everything(), &new).await })
        })
        .await
}

/// Appends events of that account.
async fn happen(world: &World, account: &Account, count: usize) {
    for _ in 0..count {
        let event = NewEvent {
            kind: EventKind::AccountUpdated,
            account: account.id.clone(),
            project: None,
            target: account.id.to_string(),
            data: json!({}),
        };
        world
            .write(move |tx, change| {
                Box::pin(async move { events::append(tx, &change, event).await })
            })
            .await;
    }
}

async fn fan_out(world: &World, most: usize) -> usize {
    slice(world, "", most).await.events
}

async fn slice(world: &World, after: &str, most: usize) -> Fanned {
    let after = after.to_owned();
    world
        .write(move |tx, change| {
            Box::pin(async move { deliveries::fan_out(tx, &change, &after, most).await })
        })
        .await
}

async fn claim(world: &World, busy: &[&Account]) -> Option<Claimed> {
    let families = busy.iter().map(|account| account.id.clone()).collect();
    claim_but(world, families, false).await
}

async fn claim_but(
    world: &World,
    families: BTreeSet<Id<id::Account>>,
    failing: bool,
) -> Option<Claimed> {
    let busy = Busy {
        families,
        trouble: failing,
    };
    world
        .write(move |tx, change| {
            Box::pin(async move { deliveries::claim(tx, &change, &busy).await })
        })
        .await
}

async fn release(world: &World, claimed: &Claimed, health: Health) -> bool {
    let claimed = claimed.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { deliveries::release(tx, &change, &claimed, health).await })
        })
        .await
}

async fn due(world: &World, webhook: &Webhook) -> Vec<Due> {
    let due = deliveries::due(&world.db, &webhook.id, world.now(), 100);
    due.await.unwrap()
}

async fn record(world: &World, due: &Due, status: DeliveryStatus, retry_in: Option<i64>) {
    let outcome = Outcome {
        id: due.id.clone(),
        failures_before: due.failures,
        replays_before: due.replays,
        status,
        next_at: retry_in.map(|seconds| world.now().plus_seconds(seconds)),
        attempts: "[]".to_owned(),
    };
    world
        .write(move |tx, _| Box::pin(async move { deliveries::record(tx, URL, &[outcome]).await }))
        .await;
}

async fn log(world: &World, webhook: &Webhook) -> Vec<Delivery> {
    let all = Filter {
        status: None,
        topic: None,
        before: world.now().plus_seconds(1),
    };
    let listed = deliveries::list(&world.db, &webhook.id, all, 1_000, 0).await;
    let (rows, total) = listed.unwrap();
    assert_eq!(rows.len(), usize::try_from(total).unwrap());
    rows
}

async fn an_event_is_told_once_however_many_fan_out(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 25).await;
    assert!(deliveries::is_awaited(&world.db).await.unwrap());
    // More writers than events a turn, all at the same time.
    let fanned: usize = join_all((0..8).map(|_| fan_out(&world, 10)))
        .await
        .into_iter()
        .sum();
    let rest = fan_out(&world, 1_000).await;
    assert_eq!(fanned + rest, 25);
    assert!(!deliveries::is_awaited(&world.db).await.unwrap());
    let told: BTreeSet<_> = log(&world, &webhook)
        .await
        .into_iter()
        .map(|one| one.event_id)
        .collect();
    assert_eq!(told.len(), 25);
}

async fn nobody_is_told_who_was_not_there(world: World) {
    let (mine, theirs) = (world.account("mine").await, world.account("theirs").await);
    happen(&world, &mine, 1).await;
    assert!(!deliveries::is_awaited(&world.db).await.unwrap());
    let webhook = made(&world, &mine).await;
    happen(&world, &theirs, 1).await;
    assert!(!deliveries::is_awaited(&world.db).await.unwrap());
    happen(&world, &mine, 1).await;
    // Who comes before that was fanned out is not told of it either.
    let late = made(&world, &mine).await;
    happen(&world, &mine, 1).await;
    fan_out(&world, 1_000).await;
    let told = [&webhook, &late].map(|webhook| log(&world, webhook));
    let told = futures::future::join_all(told).await;
    assert_eq!([told[0].len(), told[1].len()], [2, 1]);
    let waiting = async || {
        let backlog = deliveries::backlog(&world.db, world.now()).await;
        backlog.unwrap().0
    };
    assert_eq!(waiting().await, 3);
    for webhook in [&webhook, &late] {
        let id = webhook.id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move { webhooks::delete(tx, &change, &everything(), &id).await })
            })
            .await
            .unwrap();
    }
    assert_eq!(waiting().await, 0);
    assert_eq!(claim(&world, &[]).await, None);
    happen(&world, &mine, 1).await;
    assert!(!deliveries::is_awaited(&world.db).await.unwrap());
}

async fn who_has_much_to_tell_holds_up_nobody(world: World) {
    let (busy, other) = (world.account("busy").await, world.account("other").await);
    let (told_much, told) = (made(&world, &busy).await, made(&world, &other).await);
    made(&world, &busy).await;
    happen(&world, &busy, 150).await;
    happen(&world, &other, 1).await;
    // A share of the busy account's, two webhooks for each event, and all of the other's.
    let first = slice(&world, "", 240).await;
    assert_eq!(first.events, 101);
    assert_eq!(log(&world, &told_much).await.len(), 100);
    assert_eq!(log(&world, &told).await.len(), 1);
    // Whoever had a turn waits for the others': a slice ends, and the next begins behind it.
    happen(&world, &other, 1).await;
    let second = slice(&world, busy.id.as_str(), 1).await;
    assert_eq!(
        (second.events, second.after.as_str()),
        (1, other.id.as_str())
    );
    assert_eq!(slice(&world, &second.after, 1_000).await.events, 50);
    assert_eq!(slice(&world, "", 1_000).await, Fanned::default());
}

/// Lets the webhook be held once, and take nothing.
async fn fail(world: &World) -> Claimed {
    let claimed = claim(world, &[]).await.unwrap();
    let health = Health {
        failed_some: true,
        gave_up: true,
        ..Health::default()
    };
    assert!(!release(world, &claimed, health).await);
    claimed
}

async fn a_receiver_that_takes_nothing_is_left_alone_for_longer(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 1_000).await;
    for (times, rest) in [(0, 5), (1, 30), (2, 120), (3, 300), (4, 300)] {
        assert_eq!(fail(&world).await.failed_holds, times);
        world.clock.advance(rest - 1);
        assert_eq!(claim(&world, &[]).await, None, "{times}");
        world.clock.advance(1);
    }
    assert_eq!(claim_but(&world, BTreeSet::new(), true).await, None);
    let claimed = claim(&world, &[]).await.unwrap();
    let took = Health {
        took_some: true,
        ..Health::default()
    };
    release(&world, &claimed, took).await;
    let healthy = claim_but(&world, BTreeSet::new(), true).await.unwrap();
    assert_eq!((healthy.id, healthy.failed_holds), (webhook.id, 0));
}

async fn a_failure_after_a_long_quiet_is_the_first(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 1_000).await;
    fail(&world).await;
    world.clock.advance(7 * 86_400);
    fail(&world).await;
    let found = webhooks::find(&world.db, &everything(), &webhook.id).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.status, Status::Live);
    assert_eq!(found.failing_since, Some(world.now()));
}

async fn what_was_learned_of_a_former_receiver_is_not_written(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 1_000).await;
    let claimed = claim(&world, &[]).await.unwrap();
    let id = webhook.id.clone();
    world
        .write(move |tx, _| Box::pin(async move { deliveries::take_away(tx, &id).await }))
        .await;
    let gone = Health {
        is_gone: true,
        failed_some: true,
        rests_until: Some(world.now().plus_seconds(86_400)),
        ..Health::default()
    };
    assert!(!release(&world, &claimed, gone).await);
    assert_eq!(claim(&world, &[]).await.unwrap().failed_holds, 0);
}

async fn a_webhook_is_held_by_one_until_the_lease_is_over(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    assert_eq!(claim(&world, &[]).await, None, "nothing is due");
    happen(&world, &account, 1).await;
    fan_out(&world, 1_000).await;
    let claims = join_all((0..8).map(|_| claim(&world, &[]))).await;
    let mut held = claims.into_iter().flatten();
    let first = held.next().unwrap();
    assert_eq!((&first.id, held.next()), (&webhook.id, None));
    let is_held = async |by: &Claimed| {
        let held = webhooks::held(&world.db, &by.id, &by.lease).await;
        held.unwrap().is_some()
    };
    assert!(is_held(&first).await);
    world.clock.advance(LEASE - 1);
    assert_eq!(claim(&world, &[]).await, None);
    world.clock.advance(1);
    let second = claim(&world, &[]).await.unwrap();
    assert!(!is_held(&first).await && is_held(&second).await);
    // Who was too slow lets nobody else's go.
    release(&world, &first, Health::default()).await;
    assert!(is_held(&second).await);
}

async fn a_busy_family_waits_and_others_do_not(world: World) {
    let (busy, other) = (world.account("busy").await, world.account("other").await);
    for account in [&busy, &other] {
        made(&world, account).await;
        happen(&world, account, 1).await;
    }
    fan_out(&world, 1_000).await;
    assert!(
        deliveries::is_due(&world.db, world.now(), &Busy::default())
            .await
            .unwrap()
    );
    assert_eq!(claim(&world, &[&busy, &other]).await, None);
    assert_eq!(claim(&world, &[&busy]).await.unwrap().root, other.id);
    assert_eq!(claim(&world, &[]).await.unwrap().root, busy.id);
}

async fn what_was_delivered_stays_so(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 1_000).await;
    let [tried] = &due(&world, &webhook).await[..] else {
        panic!("one is due")
    };
    record(&world, tried, DeliveryStatus::Delivered, None).await;
    // Another, whose lease was over, gets no answer to the same one.
    record(&world, tried, DeliveryStatus::Waiting, Some(5)).await;
    let log = log(&world, &webhook).await;
    assert_eq!((&*log[0].status, log[0].next_at), ("delivered", None));
    assert!(due(&world, &webhook).await.is_empty());
}

async fn letting_go_says_when_there_is_more_to_do(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 2).await;
    fan_out(&world, 1_000).await;
    let claimed = claim(&world, &[]).await.unwrap();
    let two = due(&world, &webhook).await;
    record(&world, &two[0], DeliveryStatus::Delivered, None).await;
    record(&world, &two[1], DeliveryStatus::Waiting, Some(5)).await;
    let failed = Health {
        failed_some: true,
        ..Health::default()
    };
    let settled_one = Health {
        settled: 1,
        ..failed
    };
    assert!(!release(&world, &claimed, settled_one).await);
    assert_eq!(claim(&world, &[]).await, None);
    assert_eq!(
        deliveries::backlog(&world.db, world.now()).await.unwrap(),
        (1, None)
    );
    world.clock.advance(7);
    let (waiting, since) = deliveries::backlog(&world.db, world.now()).await.unwrap();
    assert_eq!(
        (waiting, world.now().micros_since(since.unwrap())),
        (1, 2_000_000)
    );
    for _ in 0..4 {
        let claimed = claim(&world, &[]).await.unwrap();
        world.clock.advance(86_400 + 3_600);
        assert!(!release(&world, &claimed, failed).await);
    }
    let claimed = claim(&world, &[]).await.unwrap();
    world.clock.advance(86_400);
    assert!(
        release(&world, &claimed, failed).await,
        "it has failed for days"
    );
    let found = webhooks::find(&world.db, &everything(), &webhook.id).await;
    assert_eq!(found.unwrap().unwrap().status, Status::Disabled);
    assert_eq!(claim(&world, &[]).await, None);
}

async fn an_account_has_a_hundred_webhooks_at_most(world: World) {
    let account = world.account("mine").await;
    for _ in 1..webhooks::MOST {
        made(&world, &account).await;
    }
    // Each for another project, at the same time.
    let mut last = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let project = world.project(&account, name).await;
        last.push(Webhook {
            project: Some(project.id),
            ..draft(&world, &account)
        });
    }
    let created = futures::future::join_all(last.iter().map(|one| store(&world, one))).await;
    let done = created.iter().filter(|one| **one == Created::Done);
    assert_eq!(done.count(), 1, "{created:?}");
    assert_eq!(make(&world, &account).await.1, Created::TooMany);
    let filter = webhooks::Filter {
        account: account.id.clone(),
        project: None::<Id<id::Project>>,
        topic: Some(Topic::AccountUpdated),
    };
    let page = claviger_store::Page::first(2, 0);
    let listed = webhooks::list(&world.db, &everything(), &filter, &page).await;
    let (rows, total) = listed.unwrap();
    assert_eq!((rows.len(), total), (2, webhooks::MOST));
    let other = webhooks::Filter {
        topic: Some(Topic::ApiKeyCreated),
        ..filter
    };
    let listed = webhooks::list(&world.db, &everything(), &other, &page).await;
    assert!(listed.unwrap().0.is_empty());
}
