//! What two writers can do to each other. SQLite has one writer and hides these faults, so that it
//! is PostgreSQL's half that tells.

use claviger_domain::event::EventKind;
use claviger_domain::id::Id;
use claviger_domain::key_string::PlainKey;
use claviger_store::accounts::Deleted;
use claviger_store::api_keys::{self, ApiKey, NewKeys, Selector, Stored, store_new};
use claviger_store::usage::{Flush, UsageHour};
use claviger_store::{Location, StoreError, accounts, projects, usage};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, whole};
use futures::future::join_all;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{digest, found, incoming, made, store};

in_both_worlds![
    no_update_is_lost_under_the_lock,
    one_key_string_goes_to_one_of_many,
    lists_of_the_same_key_strings_wait_for_each_other,
    one_of_many_gives_a_key_its_string,
    a_first_use_is_noted_by_one_of_many,
    a_project_is_deleted_with_what_is_being_made_in_it,
    an_account_is_deleted_with_what_is_being_made_in_it,
    a_key_is_not_made_in_a_project_that_is_being_deleted,
    new_keys_do_not_wait_for_another_project,
    a_held_account_is_not_deleted_under_its_new_child,
    flushes_in_opposite_orders_wait_for_each_other,
];

async fn no_update_is_lost_under_the_lock(world: World) {
    const WRITERS: u32 = 64;
    let project = world.project(&world.account("mine").await, "project").await;
    let mut key = world.draw_api_key(&project, "key");
    key.0.metadata = "0".to_owned();
    assert!(store(&world, &key.0, &key.1).await);
    join_all((0..WRITERS).map(|_| {
        crate::changed(&world, &key.0.id, |key| {
            let count: u32 = key.metadata.parse().unwrap();
            key.metadata = (count + 1).to_string();
        })
    }))
    .await;
    let metadata = found(&world, &key.0.id).await.unwrap().metadata;
    assert_eq!(metadata, WRITERS.to_string());
}

async fn one_key_string_goes_to_one_of_many(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let made = join_all((0..16).map(async |_| {
        let (key, plain) = world.custom_api_key(&project, "custom-key-of-one");
        store(&world, &key, &plain).await
    }))
    .await;
    assert_eq!(made.into_iter().filter(|made| *made).count(), 1);
}

async fn lists_of_the_same_key_strings_wait_for_each_other(world: World) {
    const STRINGS: usize = 100;
    let project = world.project(&world.account("mine").await, "project").await;
    // Their ids are drawn, and so are in another order in each list.
    let stored = join_all((0..8).map(|_| {
        let strings = (0..STRINGS).map(|number| format!("custom-key-of-all-{number}"));
        let keys = strings.map(|text| world.custom_api_key(&project, &text));
        let keys: Vec<_> = keys.map(|(key, plain)| incoming(key, &plain)).collect();
        world.write(move |tx, change| {
            Box::pin(async move {
                let keys: Vec<_> = keys.iter().map(|key| (&change, key)).collect();
                store_new(tx, &keys).await
            })
        })
    }))
    .await;
    let stored = stored.into_iter().flatten();
    let created = stored.filter(|one| *one == Stored::Created);
    assert_eq!(created.count(), STRINGS);
}

async fn one_of_many_gives_a_key_its_string(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    for round in 0..8 {
        let wanted = digest(&PlainKey::new(format!("custom-key-of-round-{round}")));
        let rekeyed = join_all((0..8).map(async |number| {
            let (key, plain) =
                world.custom_api_key(&project, &format!("custom-key-of-{round}-{number}"));
            assert!(store(&world, &key, &plain).await);
            let change = world.change();
            world
                .db
                .write::<_, StoreError, _>(move |tx| {
                    Box::pin(async move {
                        let which = Selector::Id(key.id);
                        let locked = api_keys::lock(tx, &everything(), &which).await?;
                        let (mut key, _) = locked.expect("the key is there");
                        // Whoever is refused gives up, as on PostgreSQL it has to.
                        if !api_keys::rekey(tx, &key, &wanted).await? {
                            return Ok(false);
                        }
                        let kind = EventKind::ApiKeyUpdated;
                        api_keys::save(tx, &change, &mut key, kind, Value::Null).await?;
                        Ok(true)
                    })
                })
                .await
                .unwrap()
        }))
        .await;
        assert_eq!(rekeyed.into_iter().filter(|done| *done).count(), 1);
    }
}

async fn a_first_use_is_noted_by_one_of_many(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let mut uses = Vec::new();
    for number in 0..20 {
        let key = made(&world, &project, &number.to_string()).await;
        uses.push((key.id, world.now()));
    }
    let noted = join_all((0..8).map(|number| {
        let mut uses = uses.clone();
        // Nodes flush in whatever order they have: they must not wait for each other in a circle.
        uses.rotate_left(number * 2);
        if number % 2 == 1 {
            uses.reverse();
        }
        world.write(move |tx, change| {
            Box::pin(async move { api_keys::note_first_uses(tx, &change, &uses).await })
        })
    }))
    .await;
    assert_eq!(noted.into_iter().flatten().count(), 20);
}

/// Runs `during` while a transaction is open that `held` tells of, and lets that one commit once
/// `during` waits for it, or is through without.
pub(crate) async fn beside<T: Send + 'static>(
    world: &World,
    open: JoinHandle<()>,
    held: oneshot::Receiver<()>,
    go_on: oneshot::Sender<()>,
    during: impl Future<Output = T> + Send + 'static,
) -> T {
    const WAITING: &str = "SELECT 'waiting' FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
    held.await.unwrap();
    let during = tokio::spawn(during);
    // On SQLite there is one writer connection, and nothing to see of who waits for it.
    if matches!(world.location, Location::Postgres(_)) {
        while !during.is_finished() && world.raw(false, WAITING).await.is_empty() {}
    }
    go_on.send(()).unwrap();
    open.await.unwrap();
    during.await.unwrap()
}

/// A creation that is under way until it may go on.
fn being_made(
    world: &World,
    key: &ApiKey,
    plain: &PlainKey,
    held: oneshot::Sender<()>,
    may_go_on: oneshot::Receiver<()>,
) -> JoinHandle<()> {
    let (row, digest) = (key.clone(), digest(plain));
    let (db, change) = (world.db.clone(), world.change());
    tokio::spawn(async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                assert!(api_keys::create(tx, &change, &row, &digest, Value::Null).await?);
                held.send(()).unwrap();
                may_go_on.await.unwrap();
                Ok(())
            })
        })
        .await
        .unwrap();
    })
}

async fn a_project_is_deleted_with_what_is_being_made_in_it(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let open = being_made(&world, &key, &plain, held, may_go_on);
    let deleted = {
        let (db, change, reach) = (world.db.clone(), world.change(), whole(&mine));
        beside(&world, open, is_held, go_on, async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { projects::delete(tx, &change, &reach, &project.id).await })
            })
            .await
            .unwrap()
        })
        .await
    };
    assert!(deleted.is_some());
    assert_eq!(found(&world, &key.id).await, None);
}

async fn an_account_is_deleted_with_what_is_being_made_in_it(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let open = being_made(&world, &key, &plain, held, may_go_on);
    let deleted = {
        let (db, change, reach) = (world.db.clone(), world.change(), whole(&mine));
        beside(&world, open, is_held, go_on, async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { accounts::delete(tx, &change, &reach, &mine.id).await })
            })
            .await
            .unwrap()
        })
        .await
    };
    assert_eq!(deleted.0, Deleted::Done);
    assert_eq!(found(&world, &key.id).await, None);
}

async fn a_key_is_not_made_in_a_project_that_is_being_deleted(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let open = {
        let (db, change, reach) = (world.db.clone(), world.change(), whole(&mine));
        tokio::spawn(async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    projects::delete(tx, &change, &reach, &project.id).await?;
                    held.send(()).unwrap();
                    may_go_on.await.unwrap();
                    Ok(())
                })
            })
            .await
            .unwrap();
        })
    };
    let stored = {
        let (new_keys, change) = (NewKeys::of(&world.db), world.change());
        let incoming = incoming(key.clone(), &plain);
        beside(&world, open, is_held, go_on, async move {
            new_keys.store(change, incoming).await.unwrap()
        })
        .await
    };
    assert_eq!(stored, Stored::NoProject);
    assert_eq!(found(&world, &key.id).await, None);
}

async fn new_keys_do_not_wait_for_another_project(world: World) {
    let (mine, theirs) = (world.account("mine").await, world.account("theirs").await);
    let locked = world.project(&mine, "locked").await;
    let free = world.project(&theirs, "free").await;
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let open = {
        let (db, change, reach) = (world.db.clone(), world.change(), everything());
        let id = locked.id.clone();
        tokio::spawn(async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    let edit = projects::Edit {
                        name: Some("renamed".to_owned()),
                        key_storage: None,
                    };
                    projects::update(tx, &change, &reach, &id, &edit).await?;
                    held.send(()).unwrap();
                    may_go_on.await.unwrap();
                    Ok(())
                })
            })
            .await
            .unwrap();
        })
    };
    is_held.await.unwrap();
    let mut go_on = Some(go_on);
    if matches!(world.location, Location::Folder(_)) {
        // There is one writer, and whoever else writes waits for it.
        go_on.take().unwrap().send(()).unwrap();
    }
    let new_keys = NewKeys::of(&world.db);
    let stored = [&locked, &free, &locked, &free].map(|project| {
        let (key, plain) = world.draw_api_key(project, "key");
        new_keys.store(world.change(), incoming(key, &plain))
    });
    let stored = join_all(stored).await;
    // On PostgreSQL the project is locked still.
    for (place, stored) in stored.into_iter().enumerate() {
        match stored {
            Err(error) if place % 2 == 0 && go_on.is_some() => {
                assert!(error.is_unavailable(), "{error:?}");
            }
            other => assert_eq!(other.unwrap(), Stored::Created),
        }
    }
    if let Some(go_on) = go_on {
        go_on.send(()).unwrap();
    }
    open.await.unwrap();
}

async fn a_held_account_is_not_deleted_under_its_new_child(world: World) {
    let mine = world.account("mine").await;
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let open = {
        let (db, change, id) = (world.db.clone(), world.change(), mine.id.clone());
        tokio::spawn(async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    assert!(accounts::hold(tx, &everything(), &id).await?);
                    accounts::create(tx, &change, "child", Some(&id)).await?;
                    held.send(()).unwrap();
                    may_go_on.await.unwrap();
                    Ok(())
                })
            })
            .await
            .unwrap();
        })
    };
    let deleted = {
        let (db, change, reach) = (world.db.clone(), world.change(), whole(&mine));
        beside(&world, open, is_held, go_on, async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { accounts::delete(tx, &change, &reach, &mine.id).await })
            })
            .await
            .unwrap()
        })
        .await
    };
    assert_eq!(deleted, (Deleted::HasChildren, None));
}

async fn flushes_in_opposite_orders_wait_for_each_other(world: World) {
    let keys = (0..300).map(|number| Id::from_suffix(&format!("{number:016}")));
    let (keys, project): (Vec<_>, _) = (keys.collect(), Id::from_suffix("project"));
    let forth = keys.iter().map(|key| UsageHour {
        key,
        project: &project,
        hour: 1,
        counts: claviger_domain::usage::UsageCounts {
            successful: 1,
            ..Default::default()
        },
        last_used_at: None,
    });
    let forth: Vec<_> = forth.collect();
    join_all((0..16).map(async |number| {
        let mut hours = forth.clone();
        if number % 2 == 1 {
            hours.reverse();
        }
        let flush = Flush {
            hours,
            ..Flush::at(world.now())
        };
        usage::add(&world.db, &flush).await.unwrap();
    }))
    .await;
    let totals = usage::totals(&world.db, &keys[0]).await.unwrap();
    assert_eq!(totals.successful, 16);
}
