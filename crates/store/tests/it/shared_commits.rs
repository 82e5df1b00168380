//! Changes that share a commit: each is whole or not there, whatever its neighbours do.

use std::panic::AssertUnwindSafe;

use claviger_domain::id::Id;
use claviger_domain::key_string::Environment;
use claviger_store::accounts::Account;
use claviger_store::api_keys::ApiKey;
use claviger_store::projects::{self, Project};
use claviger_store::{Change, Db, StoreError, Tx, api_keys};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{digest, found, made};

in_both_worlds![
    changes_at_once_all_land_each_with_its_event,
    of_neighbours_only_the_one_that_fails_or_panics_is_undone,
    what_is_answered_is_there_for_whoever_reads_then,
    changes_that_wait_are_done_before_it_closes,
    a_change_whose_caller_went_away_leaves_nothing,
    what_is_written_after_an_import_refers_to_what_is_there,
];

/// How a change ends that has written a key with its event.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Well,
    Fails,
    Panics,
}

async fn make(world: &World, key: ApiKey, end: End) -> Result<bool, StoreError> {
    let db = world.db.clone();
    db.write(making(world, key, end)).await
}

/// The same in a transaction of its own.
async fn make_alone(world: &World, key: ApiKey, end: End) -> Result<bool, StoreError> {
    let db = world.db.clone();
    db.write_alone(making(world, key, end)).await
}

fn making(
    world: &World,
    key: ApiKey,
    end: End,
) -> impl FnOnce(&mut Tx) -> BoxFuture<'_, Result<bool, StoreError>> + Send + 'static {
    // Each key has a text of its own; which one does not matter here.
    let (change, stored) = (world.change(), key.id.clone());
    let digest = digest(&claviger_domain::key_string::PlainKey::new(stored.as_str()));
    move |tx| {
        Box::pin(async move {
            let is_made = api_keys::create(tx, &change, &key, &digest, Value::Null).await?;
            match end {
                End::Well => Ok(is_made),
                End::Fails => Err(StoreError::Unsealing("nothing")),
                End::Panics => panic!("a fault in a change"),
            }
        })
    }
}

async fn project(world: &World) -> Project {
    world.project(&world.account("mine").await, "project").await
}

/// Of how many keys there is a row, and of how many of these an event.
async fn keys_and_events(world: &World) -> (String, String) {
    const KEYS: &str = "SELECT CAST(COUNT(*) AS TEXT) FROM api_keys";
    const EVENTS: &str = "SELECT CAST(COUNT(*) AS TEXT) FROM api_keys, events \
                          WHERE target = api_keys.id AND kind = 'api-key.created'";
    let one = async |sql| world.raw(false, sql).await.remove(0);
    (one(KEYS).await, one(EVENTS).await)
}

fn both(count: usize) -> (String, String) {
    (count.to_string(), count.to_string())
}

/// A change that is under way until told to end: whatever comes meanwhile waits together.
struct Held {
    go_on: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Held {
    async fn by<F>(db: &Db, change: F) -> Self
    where
        F: for<'c> FnOnce(&'c mut Tx) -> BoxFuture<'c, ()> + Send + 'static,
    {
        let (held, is_held) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let db = db.clone();
        let task = tokio::spawn(async move {
            db.write(move |tx| {
                Box::pin(async move {
                    change(tx).await;
                    held.send(()).unwrap();
                    may_go_on.await.unwrap();
                    Ok(())
                })
            })
            .await
        });
        is_held.await.unwrap();
        Self { go_on, task }
    }

    /// Lets it end once all of those wait, and gives what they come to.
    async fn before<T>(
        self,
        changes: impl IntoIterator<Item = impl Future<Output = T>>,
    ) -> (Result<(), StoreError>, Vec<T>) {
        // In that order: all have asked when it goes on.
        let (all, ()) = tokio::join!(join_all(changes), async {
            self.go_on.send(()).unwrap();
        });
        (self.task.await.unwrap(), all)
    }
}

fn nothing(_: &mut Tx) -> BoxFuture<'_, ()> {
    Box::pin(async {})
}

/// A statement in the change's transaction, on SQLite.
fn execute(sql: &'static str) -> impl FnOnce(&mut Tx) -> BoxFuture<'_, ()> + Send + 'static {
    move |tx| {
        Box::pin(async move {
            let connection = tx.on_sqlite().expect("the world is on SQLite");
            let done = sqlx::raw_sql(sql).execute(connection).await;
            done.unwrap();
        })
    }
}

async fn changes_at_once_all_land_each_with_its_event(world: World) {
    let project = project(&world).await;
    let keys: Vec<_> = (0..64)
        .map(|_| world.draw_api_key(&project, "key").0)
        .collect();
    let held = Held::by(&world.db, nothing).await;
    let (first, made) = held
        .before(keys.iter().map(|key| make(&world, key.clone(), End::Well)))
        .await;
    first.unwrap();
    assert!(made.into_iter().all(Result::unwrap));
    assert_eq!(keys_and_events(&world).await, both(64));
}

async fn of_neighbours_only_the_one_that_fails_or_panics_is_undone(world: World) {
    let project = project(&world).await;
    let end = |number| match number {
        5 | 6 | 31 => End::Fails,
        9 | 10 | 29 => End::Panics,
        _ => End::Well,
    };
    let keys: Vec<_> = (0..32)
        .map(|number| (world.draw_api_key(&project, "key").0, end(number)))
        .collect();
    let held = Held::by(&world.db, nothing).await;
    let changes = keys.iter().enumerate().map(async |(number, (key, end))| {
        // Some that share a commit, and some between them that do not.
        let alone = number % 4 == 1;
        let made = async {
            if alone {
                make_alone(&world, key.clone(), *end).await
            } else {
                make(&world, key.clone(), *end).await
            }
        };
        AssertUnwindSafe(made).catch_unwind().await
    });
    let (first, outcomes) = held.before(changes).await;
    first.unwrap();
    for ((key, end), outcome) in keys.iter().zip(outcomes) {
        let is_there = found(&world, &key.id).await.is_some();
        match end {
            End::Well => assert!(outcome.unwrap().unwrap() && is_there),
            End::Fails => {
                let outcome = outcome.unwrap();
                assert!(matches!(outcome, Err(StoreError::Unsealing("nothing"))));
                assert!(!is_there);
            }
            End::Panics => {
                let panic = outcome.unwrap_err();
                assert_eq!(panic.downcast_ref(), Some(&"a fault in a change"));
                assert!(!is_there);
            }
        }
    }
    assert_eq!(keys_and_events(&world).await, both(26));
}

async fn what_is_answered_is_there_for_whoever_reads_then(world: World) {
    let project = project(&world).await;
    let tasks = (0..32).map(async |_| {
        for _ in 0..4 {
            let key = made(&world, &project, "key").await;
            assert_eq!(found(&world, &key.id).await, Some(key));
        }
    });
    join_all(tasks).await;
}

async fn changes_that_wait_are_done_before_it_closes(mut world: World) {
    let project = project(&world).await;
    let keys: Vec<_> = (0..8)
        .map(|_| world.draw_api_key(&project, "key").0)
        .collect();
    let held = Held::by(&world.db, nothing).await;
    let changes = keys.iter().map(|key| make(&world, key.clone(), End::Well));
    // It is polled after the changes and before what it waits for is told to end.
    let (outcomes, ()) = tokio::join!(join_all(changes), async {
        tokio::join!(world.db.close(), async {
            held.go_on.send(()).unwrap();
        });
    });
    held.task.await.unwrap().unwrap();
    // A pool refuses who has no connection yet; nothing is half there on either engine.
    let done = outcomes.iter().filter(|made| made.is_ok()).count();
    if matches!(world.location, claviger_store::Location::Folder(_)) {
        assert_eq!(done, 8);
    }
    let late = make(&world, world.draw_api_key(&project, "late").0, End::Well).await;
    assert!(late.unwrap_err().is_unavailable());
    world.db = Db::open(&world.location).await.unwrap();
    assert_eq!(keys_and_events(&world).await, both(done));
}

async fn a_change_whose_caller_went_away_leaves_nothing(world: World) {
    let project = project(&world).await;
    let begun = world.draw_api_key(&project, "begun").0;
    let (row, change) = (begun.clone(), world.change());
    let digest = digest(&claviger_domain::key_string::PlainKey::new("begun"));
    let held = Held::by(&world.db, move |tx| {
        Box::pin(async move {
            let made = api_keys::create(tx, &change, &row, &digest, Value::Null).await;
            assert!(made.unwrap());
        })
    })
    .await;
    held.task.abort();
    assert!(held.task.await.unwrap_err().is_cancelled());
    // On PostgreSQL it is gone with its caller, and nobody is there to be told.
    let _ = held.go_on.send(());
    made(&world, &project, "next").await;
    assert_eq!(found(&world, &begun.id).await, None);
    assert_eq!(keys_and_events(&world).await, both(1));
}

#[tokio::test]
async fn a_change_that_waits_too_long_is_refused_and_never_begins() {
    let world = World::on_sqlite().await;
    let project = project(&world).await;
    let held = Held::by(&world.db, nothing).await;
    // From here on time passes as soon as everybody waits.
    tokio::time::pause();
    let keys: Vec<_> = (0..300)
        .map(|_| world.draw_api_key(&project, "key").0)
        .collect();
    let alone = |number| number % 2 == 0;
    let outcomes = keys.into_iter().enumerate().map(async |(number, key)| {
        if alone(number) {
            make_alone(&world, key, End::Well).await
        } else {
            make(&world, key, End::Well).await
        }
    });
    let outcomes = join_all(outcomes).await;
    tokio::time::resume();
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Busy) && error.is_unavailable());
    }
    held.go_on.send(()).unwrap();
    held.task.await.unwrap().unwrap();
    made(&world, &project, "next").await;
    assert_eq!(keys_and_events(&world).await, both(1));
}

#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_of_any_of_its_changes() {
    // What refers to nothing is found out by the commit then.
    const FAULT: &str = "PRAGMA defer_foreign_keys = ON; UPDATE projects SET account_id = 'none'";
    let world = World::on_sqlite().await;
    let project = project(&world).await;
    let held = Held::by(&world.db, execute(FAULT)).await;
    let keys: Vec<_> = (0..16)
        .map(|_| world.draw_api_key(&project, "key").0)
        .collect();
    let end = |number| if number == 3 { End::Fails } else { End::Well };
    let changes = (0..16).map(|number| make(&world, keys[number].clone(), end(number)));
    let (first, outcomes) = held.before(changes).await;
    assert!(first.unwrap_err().is_unavailable());
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
    }
    assert_eq!(keys_and_events(&world).await, both(0));
    made(&world, &project, "next").await;
    assert_eq!(keys_and_events(&world).await, both(1));
}

#[tokio::test]
async fn a_full_disk_refuses_and_leaves_nothing_half_written() {
    let world = World::on_sqlite().await;
    let project = project(&world).await;
    made(&world, &project, "before").await;
    // SQLite says of a file that may not grow what it says of a full disk. The least that it takes
    // is how large the file is.
    let held = Held::by(&world.db, execute("PRAGMA max_page_count = 1")).await;
    let keys: Vec<_> = (0..60)
        .map(|_| world.draw_api_key(&project, "key").0)
        .collect();
    let changes = keys.iter().map(|key| {
        let mut key = key.clone();
        key.metadata = "x".repeat(1_000);
        make(&world, key, End::Well)
    });
    let (_, outcomes) = held.before(changes).await;
    let mut done = 0;
    for (key, outcome) in keys.iter().zip(outcomes) {
        let is_there = found(&world, &key.id).await.is_some();
        match outcome {
            Ok(_) => done += 1,
            Err(ref error) => assert!(error.is_unavailable(), "{error:?}"),
        }
        assert_eq!(outcome.is_ok(), is_there);
    }
    assert!(done < keys.len());
    assert_eq!(keys_and_events(&world).await, both(1 + done));
    let room = Held::by(&world.db, execute("PRAGMA max_page_count = 1073741823")).await;
    room.before([async {}]).await.0.unwrap();
    made(&world, &project, "after").await;
}

#[tokio::test]
async fn a_change_that_ends_the_transaction_takes_only_its_own_commit_with_it() {
    let world = World::on_sqlite().await;
    let project = project(&world).await;
    let held = Held::by(&world.db, execute("ROLLBACK")).await;
    let key = world.draw_api_key(&project, "key").0;
    let (first, outcomes) = held.before([make(&world, key, End::Well)]).await;
    assert!(first.unwrap_err().is_unavailable());
    assert!(matches!(outcomes[..], [Ok(true)]));
    assert_eq!(keys_and_events(&world).await, both(1));
}

#[tokio::test]
async fn a_commit_of_one_alone_that_fails_leaves_nothing_of_it() {
    const FAULT: &str = "PRAGMA defer_foreign_keys = ON; UPDATE projects SET account_id = 'none'";
    let world = World::on_sqlite().await;
    let project = project(&world).await;
    let key = world.draw_api_key(&project, "key").0;
    let (fault, made) = (execute(FAULT), making(&world, key, End::Well));
    let failed = world
        .db
        .write_alone::<bool, StoreError, _>(move |tx| {
            Box::pin(async move {
                fault(tx).await;
                made(tx).await
            })
        })
        .await;
    assert!(failed.unwrap_err().is_unavailable());
    assert_eq!(keys_and_events(&world).await, both(0));
    let next = world.draw_api_key(&project, "next").0;
    assert!(make_alone(&world, next, End::Well).await.unwrap());
    assert_eq!(keys_and_events(&world).await, both(1));
}

/// Makes a project in an account, which may not be there.
fn project_in(
    change: Change,
    account: Account,
) -> impl FnOnce(&mut Tx) -> BoxFuture<'_, Result<Project, StoreError>> + Send + 'static {
    move |tx| {
        Box::pin(
            async move { projects::create(tx, &change, &account, "made", Environment::Live).await },
        )
    }
}

async fn what_is_written_after_an_import_refers_to_what_is_there(world: World) {
    let account = world.account("mine").await;
    let nowhere = Account {
        id: Id::from_suffix("nowhere"),
        ..account.clone()
    };
    for is_alone in [false, true] {
        let import = world
            .db
            .write_import(|_| Box::pin(async { Ok::<_, StoreError>(()) }));
        import.await.unwrap();
        for (account, is_there) in [(&nowhere, false), (&account, true)] {
            let write = project_in(world.change(), account.clone());
            let written = if is_alone {
                world.db.write_alone(write).await
            } else {
                world.db.write(write).await
            };
            assert_eq!(written.is_ok(), is_there, "{written:?}");
        }
    }
}
