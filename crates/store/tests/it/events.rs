//! The trail: a change and its event are one.

use claviger_domain::event::{Actor, EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_store::events::trail::{self, Order, Place};
use claviger_store::{Change, StoreError, accounts, api_keys, events};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use serde_json::json;

use crate::{digest, found};

in_both_worlds![
    every_change_of_an_object_leaves_one_event,
    a_change_that_fails_leaves_neither_row_nor_event,
    a_change_that_panics_leaves_nothing_and_the_next_one_goes_on,
    an_event_is_read_as_it_was_appended,
    the_trail_is_read_in_parts_in_either_order,
    a_time_is_found_in_the_trail,
];

async fn kinds(world: &World, account: &Id<id::Account>) -> Vec<String> {
    let trail = events::of_account(&world.db, account, 100).await.unwrap();
    trail.into_iter().map(|event| event.kind).collect()
}

async fn every_change_of_an_object_leaves_one_event(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    crate::made(&world, &project, "key").await;
    world.account("theirs").await;
    let expected = ["account.created", "project.created", "api-key.created"];
    assert_eq!(kinds(&world, &mine.id).await, expected);
    let first = events::of_account(&world.db, &mine.id, 2).await.unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(first[1].target, project.id.as_str());
}

async fn a_change_that_fails_leaves_neither_row_nor_event(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    let (row, stored, change) = (key.clone(), digest(&plain), world.change());
    let outcome = world
        .db
        .write::<(), StoreError, _>(move |tx| {
            Box::pin(async move {
                assert!(api_keys::create(tx, &change, &row, &stored, json!({})).await?);
                accounts::create(tx, &change, "child", Some(&row.account.id)).await?;
                Err(StoreError::Unsealing("nothing"))
            })
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Unsealing("nothing"))));
    assert_eq!(found(&world, &key.id).await, None);
    assert_eq!(
        kinds(&world, &mine.id).await,
        ["account.created", "project.created"]
    );
}

async fn a_change_that_panics_leaves_nothing_and_the_next_one_goes_on(world: World) {
    let mine = world.account("mine").await;
    let (parent, db, change) = (mine.id.clone(), world.db.clone(), world.change());
    let task = tokio::spawn(async move {
        db.write::<(), StoreError, _>(move |tx| {
            Box::pin(async move {
                accounts::create(tx, &change, "child", Some(&parent)).await?;
                panic!("a fault in a change");
            })
        })
        .await
    });
    assert!(task.await.unwrap_err().is_panic());
    let child = world.child(&mine, "another").await;
    assert_eq!(kinds(&world, &child.id).await, ["account.created"]);
    let page = claviger_store::Page::first(9, 0);
    let reach = claviger_testkit::world::whole(&mine);
    let (_, total) = accounts::list(&world.db, &reach, None, &page)
        .await
        .unwrap();
    assert_eq!(total, 2);
}

async fn an_event_is_read_as_it_was_appended(world: World) {
    let project = Id::draw(&*world.random);
    let account = Id::draw(&*world.random);
    let change = Change {
        actor: Actor::McpServer {
            server: Id::from_suffix("server"),
            maker: Box::new(Actor::AccessKey(Id::from_suffix("maker"))),
        },
        ..world.change()
    };
    let new = NewEvent {
        kind: EventKind::ApiKeyRotated,
        account: account.clone(),
        project: Some(project.clone()),
        target: "key_1".to_owned(),
        data: json!({"oldId": "key_1", "stopsAt": null}),
    };
    world
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { events::append(tx, &change, new).await })
        })
        .await
        .unwrap();
    let trail = events::of_account(&world.db, &account, 9).await.unwrap();
    let [event] = &trail[..] else {
        panic!("{trail:?}")
    };
    assert!(Id::<id::Event>::parse(&event.id).is_some());
    assert_eq!(event.at, world.now());
    assert_eq!(event.project_id.as_deref(), Some(project.as_str()));
    assert_eq!(event.actor, "ack_maker via mcp_server");
    assert_eq!(event.kind, "api-key.rotated");
    assert_eq!(event.target, "key_1");
    assert_eq!(event.data, r#"{"oldId":"key_1","stopsAt":null}"#);
}

/// The targets of an account's trail, some at a time.
async fn targets(world: &World, account: &Id<id::Account>, order: Order, most: i64) -> Vec<String> {
    let mut targets = Vec::new();
    let mut after = match order {
        Order::OldestFirst => Place::FIRST,
        Order::NewestFirst => Place::LAST,
    };
    loop {
        let part = trail::part(&world.db, account, after, order, most)
            .await
            .unwrap();
        let Some(last) = part.last() else {
            return targets;
        };
        after = last.place();
        assert_eq!(after.to_string().parse(), Ok(after));
        targets.extend(part.into_iter().map(|placed| placed.event.target));
    }
}

async fn the_trail_is_read_in_parts_in_either_order(world: World) {
    let mine = world.account("mine").await;
    let theirs = world.account("theirs").await;
    for name in ["one", "two", "three", "four"] {
        world.project(&mine, name).await;
        world.project(&theirs, name).await;
    }
    let whole = events::of_account(&world.db, &mine.id, 100).await.unwrap();
    let mut expected: Vec<_> = whole.into_iter().map(|event| event.target).collect();
    assert_eq!(expected.len(), 5);
    for most in [1, 2, 5, 9] {
        assert_eq!(
            targets(&world, &mine.id, Order::OldestFirst, most).await,
            expected
        );
    }
    expected.reverse();
    for most in [2, 9] {
        assert_eq!(
            targets(&world, &mine.id, Order::NewestFirst, most).await,
            expected
        );
    }
}

async fn a_time_is_found_in_the_trail(world: World) {
    assert_eq!(
        trail::before(&world.db, world.now()).await.unwrap(),
        Place::FIRST
    );
    let mine = world.account("mine").await;
    let mut times = vec![world.now()];
    for _ in 0..20 {
        world.clock.advance(60);
        world.project(&mine, "project").await;
        times.push(world.now());
    }
    for (index, at) in times.iter().enumerate() {
        let place = trail::before(&world.db, *at).await.unwrap();
        let part = trail::part(&world.db, &mine.id, place, Order::OldestFirst, 100);
        let left = part.await.unwrap();
        let wanted = times.len() - index;
        // What is asked for, and an event before it at most.
        assert!(
            left.len() >= wanted && left.len() <= wanted + 1,
            "{index}: {}",
            left.len()
        );
        assert_eq!(left[left.len() - wanted].event.at, *at);
    }
}

/// On PostgreSQL numbers are given before commits. SQLite has one writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_written_into_what_was_read_of_the_trail() {
    let world = World::on_postgres().await;
    let mine = world.account("mine").await;
    let (written, is_written) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let (db, change, account) = (world.db.clone(), world.change(), mine.id.clone());
    let slow = tokio::spawn(async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                accounts::create(tx, &change, "child", Some(&account)).await?;
                written.send(()).unwrap();
                may_go_on.await.unwrap();
                Ok(())
            })
        })
        .await
    });
    is_written.await.unwrap();
    world.project(&mine, "quick").await;
    let oldest = Order::OldestFirst;
    let seen = targets(&world, &mine.id, oldest, 9).await;
    assert_eq!(
        seen,
        [mine.id.as_str()],
        "the quick one waits for the slow one"
    );
    // Whoever looks at what is new sees it.
    assert_eq!(
        targets(&world, &mine.id, Order::NewestFirst, 9).await.len(),
        2
    );
    go_on.send(()).unwrap();
    slow.await.unwrap().unwrap();
    let all = targets(&world, &mine.id, oldest, 9).await;
    assert_eq!(all[..1], seen);
    assert_eq!(all.len(), 2);
}

/// Transactions are numbered for all databases of a server together.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_written_in_another_database_does_not_hold_up_the_trail() {
    let world = World::on_postgres().await;
    let elsewhere = World::on_postgres().await;
    let (written, is_written) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let (db, change) = (elsewhere.db.clone(), elsewhere.change());
    let slow = tokio::spawn(async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                accounts::create(tx, &change, "theirs", None).await?;
                written.send(()).unwrap();
                may_go_on.await.unwrap();
                Ok(())
            })
        })
        .await
    });
    is_written.await.unwrap();
    let mine = world.account("mine").await;
    let seen = targets(&world, &mine.id, Order::OldestFirst, 9).await;
    assert_eq!(seen, [mine.id.as_str()]);
    go_on.send(()).unwrap();
    slow.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_place_of_before_a_restore_into_a_new_cluster_is_still_one() {
    let world = World::on_postgres().await;
    let mine = world.account("mine").await;
    world.project(&mine, "before").await;
    let seq = "SELECT CAST(MAX(seq) AS TEXT) FROM events";
    let seq = world.raw(false, seq).await.remove(0);
    // As a start over restored rows leaves them.
    world.raw(false, "UPDATE events SET txid = '0'").await;
    let after = world.project(&mine, "after").await;
    let place: Place = format!("9000000000-{seq}").parse().unwrap();
    let part = trail::part(&world.db, &mine.id, place, Order::OldestFirst, 9)
        .await
        .unwrap();
    let targets: Vec<_> = part.iter().map(|placed| &placed.event.target).collect();
    assert_eq!(targets, [after.id.as_str()]);
}
