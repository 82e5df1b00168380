//! Keys that can be read back: kept sealed in projects that say so, erased when they end, and read by
//! those alone who were granted that.

use claviger_domain::id::{self, Id};
use claviger_domain::key_storage::KeyStorage;
use claviger_domain::key_string::PlainKey;
use claviger_domain::role::Role;
use claviger_store::access_keys::AccessKey;
use claviger_store::api_keys::{self, ApiKey, Incoming, Selector, Status, Stored, store_new};
use claviger_store::projects::{self, Edit, Project};
use claviger_store::reveal_grants::{self, Ended, RevealGrant};
use claviger_store::sealing::{MasterKey, Purpose};
use claviger_store::{Page, StoreError, access_keys, accounts, events, sealed_keys, secrets};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};
use futures::future::join;

use crate::{changed, incoming, store_access_key};

in_both_worlds![
    a_key_is_kept_where_its_project_says_so,
    what_is_kept_is_erased_when_the_key_ends_for_good,
    a_key_in_its_grace_is_erased_after_it,
    changing_the_storage_erases_what_was_kept_and_ends_grants,
    what_is_kept_goes_with_project_and_account,
    a_key_is_not_kept_in_a_project_that_stops_keeping_them,
    a_grant_reads_what_is_live_in_its_project_until_it_ends,
    grants_end_with_their_access_key,
    a_sealed_key_of_another_row_is_found,
];

/// Says whether keys of a project are kept.
async fn keep(world: &World, project: &Project, storage: KeyStorage) -> Project {
    let id = project.id.clone();
    let edit = Edit {
        name: None,
        key_storage: Some(storage),
    };
    let updated = world
        .write(move |tx, change| {
            Box::pin(async move { projects::update(tx, &change, &everything(), &id, &edit).await })
        })
        .await;
    updated.expect("the project is there")
}

async fn recoverable(world: &World) -> Project {
    let project = world.project(&world.account("mine").await, "project").await;
    keep(world, &project, KeyStorage::Recoverable).await
}

/// A key on its way in with what is sealed of it, which here is its name.
fn sealed(key: ApiKey, plain: &PlainKey) -> Incoming {
    Incoming {
        sealed: Some(key.name.clone().into_bytes()),
        ..incoming(key, plain)
    }
}

async fn made(world: &World, project: &Project, name: &str) -> ApiKey {
    let (key, plain) = world.draw_api_key(project, name);
    let incoming = sealed(key.clone(), &plain);
    let stored = world
        .write(move |tx, change| {
            Box::pin(async move { store_new(tx, &[(&change, &incoming)]).await })
        })
        .await;
    assert_eq!(stored, [Stored::Created]);
    key
}

/// The ids of the keys that are kept.
async fn kept(world: &World) -> Vec<String> {
    const SQL: &str = "SELECT key_id FROM sealed_keys ORDER BY key_id";
    world.raw(false, SQL).await
}

async fn granted(world: &World, project: &Project, key: &AccessKey, seconds: i64) -> RevealGrant {
    let (project, key) = (project.clone(), key.clone());
    let until = world.now().plus_seconds(seconds);
    world
        .write(move |tx, change| {
            Box::pin(async move {
                reveal_grants::create(
                    tx,
                    &change,
                    (&project.account_id, &project.id),
                    &key.id,
                    until,
                )
                .await
            })
        })
        .await
}

/// What an access key reads of some keys: what is sealed of them.
async fn read(world: &World, to: &AccessKey, keys: &[&ApiKey]) -> Vec<String> {
    let ids: Vec<_> = keys.iter().map(|key| key.id.clone()).collect();
    let to = to.id.clone();
    let read = world
        .write(move |tx, change| {
            Box::pin(async move { sealed_keys::reveal(tx, &change, &to, ids.iter()).await })
        })
        .await;
    let texts = read
        .into_iter()
        .map(|(_, sealed)| String::from_utf8(sealed));
    texts.collect::<Result<_, _>>().unwrap()
}

async fn viewer(world: &World, project: &Project) -> AccessKey {
    let found = accounts::find(&world.db, &everything(), &project.account_id).await;
    let account = found.unwrap().expect("a project is in an account");
    let (key, plain) = world.draw_access_key(&account, Some(&[project]), Role::Viewer);
    store_access_key(world, &key, &plain).await;
    key
}

async fn grants(world: &World, project: &Project) -> Vec<Id<id::RevealGrant>> {
    let page = Page::first(10, 0);
    let listed = reveal_grants::list(&world.db, &project.id, &page, world.now()).await;
    let (grants, total) = listed.unwrap();
    assert_eq!(i64::try_from(grants.len()), Ok(total));
    grants.into_iter().map(|grant| grant.id).collect()
}

async fn a_key_is_kept_where_its_project_says_so(world: World) {
    let project = recoverable(&world).await;
    let key = made(&world, &project, "here").await;
    let account = world.account("other").await;
    let hashed = world.project(&account, "hashed").await;
    // Sealed while its project was said to keep keys, and stored when it does not.
    made(&world, &hashed, "there").await;
    crate::made(&world, &project, "without").await;
    assert_eq!(kept(&world).await, [key.id.as_str()]);
}

async fn what_is_kept_is_erased_when_the_key_ends_for_good(world: World) {
    let project = recoverable(&world).await;
    let [off, bad, gone, old] =
        ["off", "bad", "gone", "old"].map(|name| made(&world, &project, name));
    let (off, bad, gone, old) = (off.await, bad.await, gone.await, old.await);
    changed(&world, &off.id, |key| key.status = Status::Inactive).await;
    changed(&world, &bad.id, |key| {
        key.status = Status::Inactive;
        key.reason = Some(api_keys::COMPROMISED.to_owned());
    })
    .await;
    let to = off.id.clone();
    changed(&world, &old.id, move |key| {
        key.status = Status::Inactive;
        key.rotated_to = Some(to);
    })
    .await;
    let which = Selector::Id(gone.id.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let locked = api_keys::lock(tx, &everything(), &which).await?;
                let (key, _) = locked.expect("the key is there");
                api_keys::purge(tx, &change, &key).await
            })
        })
        .await;
    // What can be switched on again can be read back then.
    assert_eq!(kept(&world).await, [off.id.as_str()]);
}

async fn a_key_in_its_grace_is_erased_after_it(world: World) {
    let project = recoverable(&world).await;
    let (old, new) = (
        made(&world, &project, "old").await,
        made(&world, &project, "new").await,
    );
    let (to, stop) = (new.id.clone(), world.now().plus_seconds(60));
    changed(&world, &old.id, move |key| {
        (key.rotated_to, key.stops_at) = (Some(to), Some(stop));
    })
    .await;
    world.clock.advance(59);
    sealed_keys::erase_due(&world.db, world.now())
        .await
        .unwrap();
    assert_eq!(kept(&world).await.len(), 2);
    world.clock.advance(1);
    sealed_keys::erase_due(&world.db, world.now())
        .await
        .unwrap();
    assert_eq!(kept(&world).await, [new.id.as_str()]);
}

async fn changing_the_storage_erases_what_was_kept_and_ends_grants(world: World) {
    let project = recoverable(&world).await;
    made(&world, &project, "one").await;
    made(&world, &project, "two").await;
    let key = viewer(&world, &project).await;
    granted(&world, &project, &key, 60).await;
    keep(&world, &project, KeyStorage::Hashed).await;
    assert!(kept(&world).await.is_empty());
    assert!(grants(&world, &project).await.is_empty());
    let trail = events::of_account(&world.db, &project.account_id, 100).await;
    let last: Vec<_> = trail.unwrap().into_iter().rev().take(2).collect();
    assert_eq!(last[0].kind, "project.updated");
    assert!(
        last[0].data.contains(r#""keyStorage":"hashed""#),
        "{}",
        last[0].data
    );
    assert!(
        last[0].data.contains(r#""keysErased":2"#),
        "{}",
        last[0].data
    );
    assert_eq!(last[1].kind, "reveal-grant.deleted");
    // What comes back is the storage alone.
    keep(&world, &project, KeyStorage::Recoverable).await;
    assert!(kept(&world).await.is_empty() && grants(&world, &project).await.is_empty());
}

async fn what_is_kept_goes_with_project_and_account(world: World) {
    for with_account in [false, true] {
        let project = recoverable(&world).await;
        made(&world, &project, "key").await;
        let (id, account) = (project.id.clone(), project.account_id.clone());
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    if with_account {
                        let deleted = accounts::delete(tx, &change, &everything(), &account).await;
                        deleted.map(drop)
                    } else {
                        let deleted = projects::delete(tx, &change, &everything(), &id).await;
                        deleted.map(drop)
                    }
                })
            })
            .await;
        assert!(kept(&world).await.is_empty(), "{with_account}");
    }
}

async fn a_key_is_not_kept_in_a_project_that_stops_keeping_them(world: World) {
    let project = recoverable(&world).await;
    for round in 0..20 {
        let (key, plain) = world.draw_api_key(&project, "key");
        let incoming = sealed(key, &plain);
        let making = world.write(move |tx, change| {
            Box::pin(async move { store_new(tx, &[(&change, &incoming)]).await })
        });
        join(making, keep(&world, &project, KeyStorage::Hashed)).await;
        assert!(kept(&world).await.is_empty(), "{round}");
        keep(&world, &project, KeyStorage::Recoverable).await;
    }
}

async fn a_grant_reads_what_is_live_in_its_project_until_it_ends(world: World) {
    let project = recoverable(&world).await;
    let other = recoverable(&world).await;
    let [one, two, off, theirs] = [
        made(&world, &project, "one").await,
        made(&world, &project, "two").await,
        made(&world, &project, "off").await,
        made(&world, &other, "theirs").await,
    ];
    changed(&world, &off.id, |key| key.status = Status::Suspended).await;
    let (reader, nobody) = (
        viewer(&world, &project).await,
        viewer(&world, &project).await,
    );
    let grant = granted(&world, &project, &reader, 60).await;
    let all = [&one, &two, &off, &theirs];
    let mut texts = read(&world, &reader, &all).await;
    texts.sort();
    assert_eq!(texts, ["one", "two"]);
    assert!(read(&world, &nobody, &all).await.is_empty());
    read(&world, &reader, &[&one]).await;
    let trail = events::of_account(&world.db, &project.account_id, 100).await;
    let read_back: Vec<_> = trail
        .unwrap()
        .into_iter()
        .filter(|event| event.kind == "api-keys.revealed")
        .map(|event| (event.target, event.data))
        .collect();
    let [(of_both, both), (of_one, _)] = &read_back[..] else {
        panic!("{read_back:?}");
    };
    assert_eq!(
        (of_both.as_str(), of_one.as_str()),
        (project.id.as_str(), one.id.as_str())
    );
    for id in [one.id.as_str(), two.id.as_str(), grant.id.as_str()] {
        assert!(both.contains(id), "{both}");
    }
    assert!(
        !both.contains(off.id.as_str()) && !both.contains(theirs.id.as_str()),
        "{both}"
    );

    // An earlier grant ends with the next one.
    let next = granted(&world, &project, &reader, 30).await;
    assert_eq!(grants(&world, &project).await, [next.id.clone()]);
    world.clock.advance(30);
    assert!(read(&world, &reader, &all).await.is_empty());
    assert!(grants(&world, &project).await.is_empty());
    let named = reveal_grants::projects_of(&world.db, &reader.id, world.now()).await;
    assert!(named.unwrap().is_empty());
    reveal_grants::forget_ended(&world.db, world.now())
        .await
        .unwrap();
    assert!(
        world
            .raw(false, "SELECT id FROM reveal_grants")
            .await
            .is_empty()
    );
}

async fn grants_end_with_their_access_key(world: World) {
    let project = recoverable(&world).await;
    let key = made(&world, &project, "key").await;
    for (is_off, is_gone_after) in [(true, 0), (false, 10)] {
        let reader = viewer(&world, &project).await;
        granted(&world, &project, &reader, 60).await;
        let (id, stop) = (reader.id.clone(), world.now().plus_seconds(10));
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    let which = access_keys::Selector::Id(id);
                    let locked = access_keys::lock(tx, &everything(), &which).await?;
                    let (mut key, _) = locked.expect("the access key is there");
                    if is_off {
                        key.is_active = false;
                    } else {
                        key.stops_at = Some(stop);
                    }
                    let kind = claviger_domain::event::EventKind::AccessKeyUpdated;
                    let data = serde_json::Value::Null;
                    access_keys::save(tx, &change, &mut key, kind, data).await
                })
            })
            .await;
        let is_read = !read(&world, &reader, &[&key]).await.is_empty();
        assert_eq!(is_read, is_gone_after > 0);
        world.clock.advance(is_gone_after);
        assert!(read(&world, &reader, &[&key]).await.is_empty());
    }
    let id = project.id.clone();
    let count = world
        .write(move |tx, change| {
            Box::pin(async move { reveal_grants::end(tx, &change, Ended::OfProject(&id)).await })
        })
        .await;
    assert_eq!(count, 1, "the one of the access key whose grace is over");
}

async fn a_sealed_key_of_another_row_is_found(world: World) {
    let master = MasterKey::new([1; 32]);
    let opened = secrets::open(&world.db, &master, &*world.random, world.now()).await;
    let sealing = opened.unwrap().sealing;
    let project = recoverable(&world).await;
    let seal = async |subject: &str, key: ApiKey, plain: PlainKey| {
        let text = plain.expose().as_bytes();
        let sealed = sealing.seal(Purpose::ApiKeys, subject, text, &*world.random);
        let incoming = Incoming {
            sealed: Some(sealed),
            ..incoming(key, &plain)
        };
        world
            .write(move |tx, change| {
                Box::pin(async move { store_new(tx, &[(&change, &incoming)]).await })
            })
            .await
    };
    let (key, plain) = world.draw_api_key(&project, "own");
    let own = key.id.clone();
    seal(own.as_str(), key, plain).await;
    secrets::check(&world.db, &master).await.unwrap();
    let (key, plain) = world.draw_api_key(&project, "moved");
    seal(own.as_str(), key, plain).await;
    let found = secrets::check(&world.db, &master).await;
    assert!(
        matches!(found, Err(StoreError::Unsealing("api-keys"))),
        "{found:?}"
    );
}
