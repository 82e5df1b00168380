//! The trail: a change and its event are one.

use claviger_domain::event::{Actor, EventKind, NewEvent};
use claviger_domain::id::{self, Id};
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
