//! The feed of other programs' changes, on PostgreSQL: each is told once, whatever their order.

use std::collections::BTreeSet;
use std::time::Duration;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_store::accounts::{self, Account};
use claviger_store::{Feed, Heard, StoreError, Told, events};
use claviger_testkit::world::World;
use futures::future::join_all;
use serde_json::json;
use tokio::sync::oneshot;

fn feed(world: &World) -> Option<Feed> {
    Feed::of(&world.db, Duration::from_secs(30))
}

/// A feed that has begun.
async fn listening(world: &World) -> Feed {
    let mut feed = feed(world).unwrap();
    assert!(matches!(feed.hear().await.unwrap(), Heard::Anything));
    feed
}

/// The targets of what is new.
async fn targets(feed: &mut Feed) -> Vec<String> {
    told(feed)
        .await
        .into_iter()
        .map(|change| change.target)
        .collect()
}

async fn told(feed: &mut Feed) -> Vec<Told> {
    match feed.hear().await.unwrap() {
        Heard::Changes(changes) => changes,
        Heard::Anything => panic!("it is known what was changed"),
    }
}

/// Makes an account in a transaction that ends when it is told to.
async fn slow(world: &World) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Account>) {
    let (end, ending) = oneshot::channel::<()>();
    let (begun, beginning) = oneshot::channel::<()>();
    let (db, change) = (world.db.clone(), world.change());
    let task = tokio::spawn(async move {
        let made = db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let account = accounts::create(tx, &change, "slow", None).await?;
                begun.send(()).unwrap();
                ending.await.unwrap();
                Ok(account)
            })
        });
        made.await.unwrap()
    });
    beginning.await.unwrap();
    (end, task)
}

#[tokio::test]
async fn files_have_no_other_program_and_no_feed() {
    assert!(feed(&World::on_sqlite().await).is_none());
}

#[tokio::test]
async fn a_change_that_is_committed_after_later_ones_were_told_is_told_too() {
    let world = World::on_postgres().await;
    let before = slow(&world).await;
    let mut feed = listening(&world).await;
    let during = slow(&world).await;
    for _ in 0..2 {
        let quick = world.account("quick").await;
        assert_eq!(targets(&mut feed).await, [quick.id.as_str()]);
        assert_eq!(targets(&mut feed).await, [""; 0]);
    }
    for (end, task) in [during, before] {
        end.send(()).unwrap();
        let account = task.await.unwrap();
        assert_eq!(targets(&mut feed).await, [account.id.as_str()]);
        assert_eq!(targets(&mut feed).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_by_many_writers_each_is_told_once() {
    const WRITERS: usize = 16;
    const CHANGES: usize = 60;
    let world = World::on_postgres().await;
    let mut feed = listening(&world).await;
    let writers = (0..WRITERS).map(|_| {
        let (db, change) = (world.db.clone(), world.change());
        tokio::spawn(async move {
            let mut made = Vec::new();
            for _ in 0..CHANGES {
                let change = change.clone();
                let account = db.write::<_, StoreError, _>(move |tx| {
                    Box::pin(async move { accounts::create(tx, &change, "one", None).await })
                });
                made.push(account.await.unwrap().id.to_string());
            }
            made
        })
    });
    let writers = join_all(writers.collect::<Vec<_>>());
    let mut heard = Vec::new();
    tokio::pin!(writers);
    let made = loop {
        tokio::select! {
            biased;
            made = &mut writers => break made,
            more = targets(&mut feed) => heard.extend(more),
        }
    };
    // What was cut off there is lost to this test, not to the feed: it goes on where it was.
    heard.extend(targets(&mut feed).await);
    let made: BTreeSet<_> = made.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(heard.len(), WRITERS * CHANGES);
    assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), made);
}

#[tokio::test]
async fn a_key_is_told_with_its_row() {
    let world = World::on_postgres().await;
    let project = world.project(&world.account("mine").await, "project").await;
    let mut feed = listening(&world).await;
    let (key, plain) = world.custom_api_key(&project, "custom-key-of-mine");
    assert!(crate::store(&world, &key, &plain).await);
    let [change] = &told(&mut feed).await[..] else {
        panic!("one change is told")
    };
    assert_eq!(change.kind, "api-key.created");
    assert_eq!(change.account, project.account_id);
    let row = change.key.as_ref().unwrap();
    assert_eq!(row.root, project.root_account_id);
    assert_eq!(row.digest, crate::digest(&plain));
    assert!(row.is_custom && !row.has_foreign_keys);
}

#[tokio::test]
async fn more_than_is_worth_telling_is_not_told_one_by_one() {
    let world = World::on_postgres().await;
    let mine = world.account("mine").await;
    let mut feed = listening(&world).await;
    let account = mine.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let many = (0..10_001).map(|number| NewEvent {
                    kind: EventKind::ApiKeyUpdated,
                    account: account.clone(),
                    project: None,
                    target: number.to_string(),
                    data: json!({}),
                });
                events::append_all(tx, many.map(|event| (&change, event))).await
            })
        })
        .await;
    assert!(matches!(feed.hear().await.unwrap(), Heard::Anything));
    assert_eq!(targets(&mut feed).await, [""; 0]);
    let next = world.account("next").await;
    assert_eq!(targets(&mut feed).await, [next.id.as_str()]);
}

/// Ends the connection of the feed.
const CUT: &str = "SELECT CAST(pg_terminate_backend(pid, 10000) AS TEXT) FROM pg_stat_activity \
                   WHERE application_name = 'claviger feed' AND datname = current_database()";

#[tokio::test]
async fn over_another_connection_it_goes_on_where_it_was() {
    let world = World::on_postgres().await;
    world.account("mine").await;
    let mut feed = listening(&world).await;
    for _ in 0..2 {
        let next = world.account("next").await;
        assert_eq!(world.raw(false, CUT).await, ["true"]);
        assert_eq!(targets(&mut feed).await, [next.id.as_str()]);
    }
}

#[tokio::test]
async fn a_server_that_does_not_have_what_was_shown_is_another_one() {
    let world = World::on_postgres().await;
    world.account("mine").await;
    let mut feed = listening(&world).await;
    // As where a standby took over that did not have it yet.
    world.raw(false, "DELETE FROM events").await;
    assert_eq!(world.raw(false, CUT).await, ["true"]);
    assert!(matches!(feed.hear().await.unwrap(), Heard::Anything));
    let next = world.account("next").await;
    assert_eq!(targets(&mut feed).await, [next.id.as_str()]);
}

#[tokio::test]
async fn rows_of_a_backup_from_another_server_hide_no_change() {
    let world = World::on_postgres().await;
    world.account("mine").await;
    // Transactions of a server that had many more.
    world
        .raw(false, "UPDATE events SET txid = '9000000000000'")
        .await;
    let mut feed = listening(&world).await;
    let next = world.account("next").await;
    assert_eq!(targets(&mut feed).await, [next.id.as_str()]);
    assert_eq!(targets(&mut feed).await, [""; 0]);
}
