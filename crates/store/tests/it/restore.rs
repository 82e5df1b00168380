//! What an older copy of the files would bring back, and keeping it from coming back.

use std::collections::BTreeMap;

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_storage::KeyStorage;
use claviger_domain::role::Role;
use claviger_store::api_keys::Status;
use claviger_store::restore::{Kept, compare, settle};
use claviger_store::{Location, api_keys, copies, invitations, projects, reveal_grants};
use claviger_testkit::world::{World, everything};
use serde_json::json;

use crate::{changed, made, store_access_key};

/// Purges a key, or notes that its string was exchanged for another.
async fn purged_or_replaced(world: &World, id: &Id<id::ApiKey>, is_replaced: bool) {
    let which = api_keys::Selector::Id(id.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let locked = api_keys::lock(tx, &everything(), &which).await?;
                let (mut key, _) = locked.expect("the key is there");
                if is_replaced {
                    let data = json!({"keyString": "replaced"});
                    api_keys::save(tx, &change, &mut key, EventKind::ApiKeyUpdated, data).await
                } else {
                    api_keys::purge(tx, &change, &key).await
                }
            })
        })
        .await;
}

/// Keys that were taken when the copy was made, and what became of them since.
#[tokio::test]
async fn a_key_that_was_taken_and_is_not_any_more_is_told_and_kept_ended() {
    let world = World::on_sqlite().await;
    let Location::Folder(folder) = &world.location else {
        unreachable!("a world on SQLite is a folder");
    };
    let account = world.account("mine").await;
    let project = world.project(&account, "Project").await;
    let later = world.now().plus_seconds(3_600);
    let sooner = world.now().plus_seconds(60);
    let mut keys = BTreeMap::new();
    let names = [
        "revoked", "ended", "sooner", "purged", "replaced", "expired", "same",
    ];
    for name in names {
        let key = made(&world, &project, name).await;
        // Each is in its grace already.
        changed(&world, &key.id, move |key| {
            key.stops_at = Some(later);
        })
        .await;
        keys.insert(name, key.id);
    }
    let (mut access, plain) = world.draw_access_key(&account, None, Role::Viewer);
    access.stops_at = Some(later);
    store_access_key(&world, &access, &plain).await;
    let copy = folder.join("copy.db");
    let present = folder.join("claviger.db");
    copies::copy(&present, &copy).await.unwrap();

    let now = world.now();
    changed(&world, &keys["revoked"], |key| {
        key.status = Status::Inactive;
    })
    .await;
    changed(&world, &keys["ended"], move |key| {
        key.stops_at = Some(now);
    })
    .await;
    changed(&world, &keys["sooner"], move |key| {
        key.stops_at = Some(sooner);
    })
    .await;
    changed(&world, &keys["expired"], move |key| {
        key.expires_at = Some(now);
    })
    .await;
    purged_or_replaced(&world, &keys["purged"], false).await;
    purged_or_replaced(&world, &keys["replaced"], true).await;
    world
        .raw(
            false,
            "INSERT INTO sealed_secrets VALUES ('pepper-2', x'00', 0) RETURNING name",
        )
        .await;
    world
        .raw(false, "UPDATE access_keys SET is_active = 0 RETURNING id")
        .await;

    let difference = compare(&present, &copy, now).await.unwrap();
    let told: BTreeMap<_, _> = difference
        .undone
        .iter()
        .map(|one| (one.id.as_str(), one.ending.as_str()))
        .collect();
    let mut expected: BTreeMap<_, _> = [
        ("revoked", "revoked"),
        ("ended", "revoked"),
        ("sooner", "revoked"),
        ("purged", "purged"),
        ("replaced", "replaced"),
        ("expired", "expired"),
    ]
    .map(|(name, ending)| (keys[name].as_str(), ending))
    .into();
    expected.insert(access.id.as_str(), "revoked");
    assert_eq!(told, expected);
    assert_eq!(difference.lost_layers, 1);

    let kept = Kept {
        present: &present,
        ended: &difference.undone,
    };
    settle(&copy, Some(kept), &world.change(), json!({}))
        .await
        .unwrap();
    let again = compare(&present, &copy, now).await.unwrap();
    assert_eq!(again.undone, [], "nothing is left to be undone");
    // What went on goes on, and is not said to have been revoked.
    world.db.close().await;
    std::fs::rename(&copy, &present).unwrap();
    let restored = claviger_store::Db::open(&world.location).await.unwrap();
    for (name, is_active) in [("same", true), ("expired", true), ("replaced", false)] {
        let which = api_keys::Selector::Id(keys[name].clone());
        let key = api_keys::find(&restored, &everything(), &which)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(key.status == Status::Active, is_active, "{name}");
        assert_eq!(key.revoked_at.is_none(), is_active, "{name}");
    }
    restored.close().await;
}

/// Keys that could be read back when the copy was made, by an access key that was granted that.
#[expect(
    clippy::too_many_lines,
    reason = "one story, in the order in which it happens"
)]
#[tokio::test]
async fn what_may_not_be_read_back_any_more_is_told_and_kept_so() {
    let world = World::on_sqlite().await;
    let Location::Folder(folder) = &world.location else {
        unreachable!("a world on SQLite is a folder");
    };
    let account = world.account("mine").await;
    let [open, closed] = [
        world.project(&account, "open").await,
        world.project(&account, "closed").await,
    ];
    let (access, plain) = world.draw_access_key(&account, None, Role::Viewer);
    store_access_key(&world, &access, &plain).await;
    let stored = async |id: &Id<id::Project>, storage| {
        let id = id.clone();
        let edit = projects::Edit {
            name: None,
            key_storage: Some(storage),
        };
        world
            .write(move |tx, change| {
                Box::pin(
                    async move { projects::update(tx, &change, &everything(), &id, &edit).await },
                )
            })
            .await
            .expect("the project is there")
    };
    let mut grants = Vec::new();
    let mut keys = Vec::new();
    for project in [&open, &closed] {
        let project = stored(&project.id, KeyStorage::Recoverable).await;
        let (key, plain) = world.draw_api_key(&project, "key");
        keys.push(key.id.to_string());
        let incoming = api_keys::Incoming {
            sealed: Some(b"sealed".to_vec()),
            ..crate::incoming(key, &plain)
        };
        let (access, until) = (access.clone(), world.now().plus_seconds(60));
        let grant = world.write(move |tx, change| {
            Box::pin(async move {
                api_keys::store_new(tx, &[(&change, &incoming)]).await?;
                reveal_grants::create(
                    tx,
                    &change,
                    (&project.account_id, &project.id),
                    &access.id,
                    until,
                )
                .await
            })
        });
        grants.push(grant.await.id);
    }
    let (copy, present) = (folder.join("copy.db"), folder.join("claviger.db"));
    copies::copy(&present, &copy).await.unwrap();
    stored(&closed.id, KeyStorage::Hashed).await;
    let (project, grant) = (open.id.clone(), grants[0].clone());
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let ended = reveal_grants::Ended::One(&project, &grant);
                reveal_grants::end(tx, &change, ended).await
            })
        })
        .await;

    let difference = compare(&present, &copy, world.now()).await.unwrap();
    let mut told: Vec<_> = difference
        .undone
        .iter()
        .map(|one| (one.what.as_str(), one.id.as_str(), one.ending.as_str()))
        .collect();
    told.sort_unstable();
    let mut expected = vec![
        ("key-storage", closed.id.as_str(), "hashed"),
        ("reveal-grant", grants[0].as_str(), "deleted"),
        ("reveal-grant", grants[1].as_str(), "deleted"),
    ];
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert!(
        difference
            .undone
            .iter()
            .all(claviger_store::restore::Undone::can_be_kept)
    );
    let kept = Kept {
        present: &present,
        ended: &difference.undone,
    };
    settle(&copy, Some(kept), &world.change(), json!({}))
        .await
        .unwrap();
    world.db.close().await;
    std::fs::rename(&copy, &present).unwrap();
    for (sql, left) in [
        ("SELECT key_id FROM sealed_keys", vec![keys[0].clone()]),
        ("SELECT id FROM reveal_grants", vec![]),
        (
            "SELECT id FROM projects WHERE key_storage = 'recoverable'",
            vec![open.id.to_string()],
        ),
    ] {
        assert_eq!(world.raw(false, sql).await, left, "{sql}");
    }
}

/// Invitations that could be accepted when the copy was made.
#[tokio::test]
async fn an_invitation_that_was_accepted_is_told_of_and_none_is_good_again() {
    let world = World::on_sqlite().await;
    let Location::Folder(folder) = &world.location else {
        unreachable!("a world on SQLite is a folder");
    };
    let account = world.account("mine").await;
    let ada = crate::sessions::signed_up(&world, "ada@example.com")
        .await
        .unwrap();
    let accepted = crate::invited(&world, &account, "ada@example.com").await;
    crate::invited(&world, &account, "bob@example.com").await;
    let (copy, present) = (folder.join("copy.db"), folder.join("claviger.db"));
    copies::copy(&present, &copy).await.unwrap();
    let id = accepted.id.clone();
    let is_accepted = world.write(move |tx, change| {
        Box::pin(async move { invitations::accept(tx, &change, &id, &ada.id).await })
    });
    assert!(is_accepted.await);

    let difference = compare(&present, &copy, world.now()).await.unwrap();
    let told: Vec<_> = difference
        .undone
        .iter()
        .map(|one| (one.what.as_str(), one.id.as_str(), one.ending.as_str()))
        .collect();
    assert_eq!(told, [("invitation", accepted.id.as_str(), "accepted")]);
    settle(&copy, None, &world.change(), json!({}))
        .await
        .unwrap();
    world.db.close().await;
    std::fs::rename(&copy, &present).unwrap();
    let left = world.raw(false, "SELECT status FROM invitations").await;
    assert_eq!(left, ["cancelled", "cancelled"]);
}
