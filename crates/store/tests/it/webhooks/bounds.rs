//! What webhooks and their workers are kept to: leases, room, troublesome receivers, and how they end.

use std::collections::BTreeSet;

use claviger_domain::event::EventKind;
use claviger_domain::id::Id;
use claviger_domain::webhook::{DeliveryStatus, SECRET_GRACE, Topic};
use claviger_store::webhook_deliveries::{self as deliveries, Health, MOST_WAITING};
use claviger_store::{notifications, projects, webhooks};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};
use serde_json::json;

use super::{claim, claim_but, due, fan_out, happen, log, made, record, release};

in_both_worlds![
    a_clock_that_was_ahead_holds_up_nothing_once_it_is_right,
    what_is_replayed_meanwhile_is_sent_again,
    what_a_former_receiver_took_is_sent_to_the_new_one,
    who_takes_long_for_an_answer_is_served_beside_others_like_it,
    a_replay_makes_nobody_look_well,
    so_much_waits_for_a_webhook_and_no_more,
    a_webhook_outlives_its_project_by_what_happened_before,
    what_is_sealed_is_erased_with_its_use,
];

async fn a_clock_that_was_ahead_holds_up_nothing_once_it_is_right(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    world.clock.advance(3_600);
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    claim(&world, &[]).await.unwrap();
    happen(&world, &account, 1).await;
    world.clock.advance(-3_600);
    // Nobody holds a webhook for so long, and what happened is not to happen yet.
    fan_out(&world, 100).await;
    assert_eq!(claim(&world, &[]).await.unwrap().id, webhook.id);
    assert_eq!(
        due(&world, &webhook).await.len(),
        1,
        "the one told of since"
    );
}

async fn what_is_replayed_meanwhile_is_sent_again(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    let tried = due(&world, &webhook).await.remove(0);
    let (replayed, id) = (webhook.clone(), Id::parse(&tried.id).unwrap());
    world
        .write(move |tx, change| {
            Box::pin(async move { deliveries::replay(tx, &change, &replayed, &id).await })
        })
        .await
        .unwrap();
    record(&world, &tried, DeliveryStatus::Delivered, None).await;
    let again = due(&world, &webhook).await;
    assert_eq!(
        again.len(),
        1,
        "an answer to the attempt before is none to the replay"
    );
    record(&world, &again[0], DeliveryStatus::Delivered, None).await;
    assert!(due(&world, &webhook).await.is_empty());
}

async fn what_a_former_receiver_took_is_sent_to_the_new_one(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    let tried = due(&world, &webhook).await.remove(0);
    let mut moved = webhook.clone();
    "https://example.org/hooks".clone_into(&mut moved.url);
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let kind = EventKind::WebhookUpdated;
                webhooks::save(tx, &change, &mut moved, kind, json!({})).await
            })
        })
        .await;
    record(&world, &tried, DeliveryStatus::Delivered, None).await;
    record(&world, &tried, DeliveryStatus::Failed, None).await;
    assert_eq!(due(&world, &webhook).await.len(), 1);
}

async fn who_takes_long_for_an_answer_is_served_beside_others_like_it(world: World) {
    let account = world.account("mine").await;
    made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    let slow = Health {
        took_some: true,
        is_slow: true,
        ..Health::default()
    };
    let claimed = claim(&world, &[]).await.unwrap();
    assert!(!claimed.is_trouble());
    release(&world, &claimed, slow).await;
    assert_eq!(claim_but(&world, BTreeSet::new(), true).await, None);
    let claimed = claim(&world, &[]).await.unwrap();
    assert!(claimed.is_trouble() && claimed.failed_holds == 0);
    // Who was asked nothing has shown nothing.
    release(&world, &claimed, Health::default()).await;
    assert_eq!(claim_but(&world, BTreeSet::new(), true).await, None);
    let claimed = claim(&world, &[]).await.unwrap();
    let quick = Health {
        took_some: true,
        ..Health::default()
    };
    release(&world, &claimed, quick).await;
    assert!(claim_but(&world, BTreeSet::new(), true).await.is_some());
}

async fn a_replay_makes_nobody_look_well(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    for rest in [5, 30] {
        super::fail(&world).await;
        world.clock.advance(rest);
    }
    super::fail(&world).await;
    let id = webhook.id.clone();
    world
        .write(move |tx, _| Box::pin(async move { deliveries::resume(tx, &id).await }))
        .await;
    assert_eq!(claim_but(&world, BTreeSet::new(), true).await, None);
    assert_eq!(claim(&world, &[]).await.unwrap().failed_holds, 1);
}

async fn so_much_waits_for_a_webhook_and_no_more(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    world
        .raw(false, "UPDATE webhooks SET waiting = 99999 RETURNING id")
        .await;
    happen(&world, &account, 3).await;
    fan_out(&world, 100).await;
    assert_eq!(log(&world, &webhook).await.len(), 1);
    let dropped = async || {
        let found = webhooks::find(&world.db, &everything(), &webhook.id).await;
        found.unwrap().unwrap().dropped
    };
    assert_eq!(dropped().await, 2);
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    assert_eq!(dropped().await, 3);
    let filter = notifications::Filter {
        account: account.id.clone(),
        is_read: None,
    };
    let page = claviger_store::Page::first(10, 0);
    let told = notifications::list(&world.db, &everything(), &filter, &page).await;
    let (told, _) = told.unwrap();
    assert_eq!(
        (told.len(), &*told[0].kind),
        (1, "webhook.full"),
        "once a day"
    );
    // A program that was killed had sent them.
    deliveries::recount(&world.db).await.unwrap();
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    assert_eq!((log(&world, &webhook).await.len(), dropped().await), (2, 3));
    // What was sent makes room.
    let claimed = claim(&world, &[]).await.unwrap();
    for one in due(&world, &webhook).await {
        record(&world, &one, DeliveryStatus::Delivered, None).await;
    }
    let settled = Health {
        took_some: true,
        settled: 2,
        ..Health::default()
    };
    release(&world, &claimed, settled).await;
    let waiting = world
        .raw(false, "SELECT CAST(waiting AS TEXT) FROM webhooks")
        .await;
    assert_eq!((waiting, MOST_WAITING), (vec!["0".to_owned()], 100_000));
}

async fn a_webhook_outlives_its_project_by_what_happened_before(world: World) {
    let account = world.account("mine").await;
    let project = world.project(&account, "project").await;
    let webhook = super::draft(&world, &account);
    let webhook = webhooks::Webhook {
        project: Some(project.id.clone()),
        topics: vec![Topic::ProjectDeleted, Topic::AccountUpdated],
        ..webhook
    };
    super::store(&world, &webhook).await;
    let id = project.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { projects::delete(tx, &change, &everything(), &id).await })
        })
        .await;
    world.clock.advance(1);
    happen(&world, &account, 1).await;
    fan_out(&world, 100).await;
    let told: Vec<_> = due(&world, &webhook).await;
    let topics: Vec<_> = told.iter().map(|one| &*one.topic).collect();
    assert_eq!(topics, ["project.deleted"], "and nothing after its end");
    assert!(claim(&world, &[]).await.is_some());
    let find = async || {
        webhooks::find(&world.db, &everything(), &webhook.id)
            .await
            .unwrap()
    };
    assert_eq!(find().await, None);
    let forget = async || {
        world
            .write(|tx, change| Box::pin(async move { webhooks::forget(tx, change.now, 10).await }))
            .await;
        let sql = "SELECT CAST(length(secret) AS TEXT) FROM webhooks";
        world.raw(false, sql).await
    };
    world.clock.advance(2 * 86_400 - 1);
    assert_eq!(forget().await, ["1"]);
    world.clock.advance(1);
    assert_eq!(forget().await, ["0"]);
    assert_eq!(claim(&world, &[]).await, None);
}

async fn what_is_sealed_is_erased_with_its_use(world: World) {
    const KEPT: &str = "SELECT CONCAT(length(secret), ' ', length(previous_secret), ' ', \
                        length(earlier_secret), ' ', length(legacy_secret), ' ', length(headers)) \
                        FROM webhooks";
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    let mut rotated = webhook.clone();
    let ends = |seconds| world.now().plus_seconds(seconds);
    rotated.sealed.previous = vec![
        (vec![1], ends(SECRET_GRACE)),
        (vec![2], ends(SECRET_GRACE - 1)),
    ];
    rotated.sealed.legacy = Some(vec![3]);
    rotated.sealed.headers = Some(vec![4]);
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let kind = EventKind::WebhookSecretRotated;
                webhooks::save(tx, &change, &mut rotated, kind, json!({})).await
            })
        })
        .await;
    let forget = async || {
        world
            .write(|tx, change| Box::pin(async move { webhooks::forget(tx, change.now, 10).await }))
            .await;
        world.raw(false, KEPT).await
    };
    assert_eq!(forget().await, ["1 1 1 1 1"]);
    world.clock.advance(SECRET_GRACE - 1);
    assert_eq!(forget().await, ["1 1  1 1"]);
    world.clock.advance(1);
    assert_eq!(forget().await, ["1   1 1"]);
    let id = webhook.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { webhooks::delete(tx, &change, &everything(), &id).await })
        })
        .await
        .unwrap();
    assert_eq!(world.raw(false, KEPT).await, ["0    "]);
}
