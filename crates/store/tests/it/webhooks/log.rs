//! The log of deliveries: how long it is kept, with what it tells of, and what is sent again of it.

use claviger_domain::webhook::{DeliveryStatus, KEPT_FOR};
use claviger_store::webhook_deliveries::{self as deliveries, Span};
use claviger_store::{retention, webhooks};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};

use super::{claim, due, fan_out, happen, log, made, record};

in_both_worlds![
    deliveries_are_kept_for_a_month,
    an_event_stays_that_somebody_is_still_to_be_told_of,
    what_is_sent_again_is_taken_in_parts,
];

async fn deliveries_are_kept_for_a_month(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 3).await;
    fan_out(&world, 1_000).await;
    let sweep = async || {
        world
            .write(|tx, change| Box::pin(async move { deliveries::sweep(tx, change.now, 2).await }))
            .await
    };
    world.clock.advance(KEPT_FOR);
    assert_eq!(sweep().await, 0);
    world.clock.advance(1);
    assert_eq!((sweep().await, sweep().await, sweep().await), (2, 1, 0));
    assert!(log(&world, &webhook).await.is_empty());
}

async fn an_event_stays_that_somebody_is_still_to_be_told_of(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 2).await;
    world.clock.advance(90 * 86_400);
    // The last of all stays anyway.
    happen(&world, &account, 1).await;
    let remove = async || {
        let before = world.now();
        let removed = retention::remove_events(&world.db, before, 100).await;
        removed.unwrap()
    };
    let made_before = remove().await;
    assert_eq!(remove().await, 0, "two wait to be fanned out");
    fan_out(&world, 1_000).await;
    assert_eq!(remove().await, 0, "two are to be sent");
    assert_eq!(due(&world, &webhook).await.len(), 3);
    world
        .write(|tx, change| Box::pin(async move { deliveries::sweep(tx, change.now, 10).await }))
        .await;
    assert_eq!(remove().await, 2);
    assert!(made_before > 0, "nobody is told how the webhook was made");

    // Its row goes with what is sealed in it, after what there was to send.
    let id = webhook.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { webhooks::delete(tx, &change, &everything(), &id).await })
        })
        .await;
    let later = world.now().plus_seconds(1);
    let remove = || retention::remove_deleted(&world.db, later, 10);
    assert_eq!(remove().await.unwrap(), 0, "a delivery is there");
    world.clock.advance(KEPT_FOR + 1);
    world
        .write(|tx, change| Box::pin(async move { deliveries::sweep(tx, change.now, 10).await }))
        .await;
    assert_eq!(remove().await.unwrap(), 1);
}

async fn what_is_sent_again_is_taken_in_parts(world: World) {
    let account = world.account("mine").await;
    let webhook = made(&world, &account).await;
    happen(&world, &account, 5).await;
    fan_out(&world, 1_000).await;
    let all = due(&world, &webhook).await;
    for (index, one) in all.iter().enumerate() {
        let status = [DeliveryStatus::Failed, DeliveryStatus::Delivered][index / 3];
        record(&world, one, status, None).await;
    }
    let span = |with_delivered| Span {
        from: world.now(),
        to: world.now().plus_seconds(1),
        with_delivered,
    };
    let find = async |with_delivered, after: (i64, String)| {
        let id = &webhook.id;
        let found = deliveries::replayable(&world.db, id, span(with_delivered), &after, 2).await;
        found.unwrap()
    };
    let first = find(true, (0, String::new())).await;
    let second = find(true, first[1].clone()).await;
    let third = find(true, second[1].clone()).await;
    assert_eq!([first.len(), second.len(), third.len()], [2, 2, 1]);
    let failed = find(false, (0, String::new())).await;
    let (again, failing) = (webhook.clone(), failed.clone());
    let replay = world.write(move |tx, change| {
        Box::pin(async move {
            let ids = failing.iter().map(|(_, id)| id.as_str());
            deliveries::replay_all(tx, &change, &again, ids).await
        })
    });
    assert_eq!(replay.await, 2);
    assert_eq!(due(&world, &webhook).await.len(), 2);
    // What waits is not found again, so that it is not sent twice.
    assert_eq!(find(false, (0, String::new())).await.len(), 1);
    assert!(claim(&world, &[]).await.is_some());
}
