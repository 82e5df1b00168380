//! New keys that are written together: each comes to its own end.

use claviger_domain::id::Id;
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::Pepper;
use claviger_store::api_keys::{NewKeys, Stored, fitting, store_new};
use claviger_store::projects::Project;
use claviger_store::{Location, accounts, events, projects};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, whole};
use futures::future::join_all;

use crate::{found, incoming, made};

in_both_worlds![
    each_of_many_is_told_its_own,
    each_has_one_event_of_its_own,
    of_many_only_those_that_are_new_have_an_event,
    one_that_the_database_refuses_takes_no_other_with_it,
    a_key_string_that_was_brought_as_a_hash_is_taken,
    rows_come_back_as_they_were_brought,
    what_is_too_long_for_one_list_is_written_in_several,
];

/// Stores a drawn key of each project, all at once.
async fn store_one_of_each(world: &World, projects: &[&Project]) -> Vec<Stored> {
    let new_keys = NewKeys::of(&world.db);
    let stored = projects.iter().map(|project| {
        let (key, plain) = world.draw_api_key(project, "key");
        new_keys.store(world.change(), incoming(key, &plain))
    });
    let stored = join_all(stored).await.into_iter();
    stored.collect::<Result<_, _>>().unwrap()
}

async fn each_of_many_is_told_its_own(world: World) {
    let (mine, theirs) = (world.account("mine").await, world.account("theirs").await);
    let here = world.project(&mine, "here").await;
    let beside = world.project(&mine, "beside").await;
    let abroad = world.project(&theirs, "abroad").await;
    let gone = world.project(&mine, "gone").await;
    let (reach, id) = (whole(&mine), gone.id.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move { projects::delete(tx, &change, &reach, &id).await })
        })
        .await;
    let new_keys = NewKeys::of(&world.db);
    let custom = |project| {
        let (key, plain) = world.custom_api_key(project, "custom-key-of-many");
        (
            key.id.clone(),
            new_keys.store(world.change(), incoming(key, &plain)),
        )
    };
    let ((first, stored), (_, second)) = (custom(&here), custom(&beside));
    let ((_, third), (_, fourth), (_, fifth)) = (custom(&here), custom(&abroad), custom(&gone));
    let outcomes = join_all([stored, second, third, fourth, fifth]).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    let created = outcomes.iter().filter(|one| **one == Stored::Created);
    assert_eq!(created.count(), 2, "one in each family: {outcomes:?}");
    assert_eq!(outcomes[3], Stored::Created);
    assert_eq!(outcomes[4], Stored::NoProject);
    if outcomes[0] == Stored::Created {
        assert_eq!(outcomes[1], Stored::Taken);
        assert_eq!(outcomes[2], Stored::Exists(first));
    }
    // Drawn keys beside them are not concerned.
    assert_eq!(
        store_one_of_each(&world, &[&here, &gone, &abroad]).await,
        [Stored::Created, Stored::NoProject, Stored::Created]
    );
}

async fn each_has_one_event_of_its_own(world: World) {
    let mine = world.account("mine").await;
    let (here, beside) = (
        world.project(&mine, "here").await,
        world.project(&mine, "beside").await,
    );
    let places: Vec<_> = [&here, &beside].into_iter().cycle().take(100).collect();
    let stored = store_one_of_each(&world, &places).await;
    assert!(stored.iter().all(|one| *one == Stored::Created));
    let trail = events::of_account(&world.db, &mine.id, 1_000)
        .await
        .unwrap();
    let made: Vec<_> = trail
        .iter()
        .filter(|event| event.kind == "api-key.created")
        .collect();
    assert_eq!(made.len(), 100);
    for event in &made {
        let id = Id::from_trusted(event.target.as_str());
        let key = found(&world, &id).await.unwrap();
        assert_eq!(event.project_id.as_deref(), Some(key.project_id.as_str()));
    }
    let mut ids: Vec<_> = trail.iter().map(|event| &event.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), trail.len());
}

/// SQLite takes 64 in one statement: all of the first are new, some of the second, none of the third and
/// all of the last, which has fewer.
async fn of_many_only_those_that_are_new_have_an_event(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let keys = (0..200).map(|_| {
        let (key, plain) = world.draw_api_key(&project, "key");
        incoming(key, &plain)
    });
    let keys: Vec<_> = keys.collect();
    let is_there =
        |place: usize| (64..192).contains(&place) && (place >= 128 || place.is_multiple_of(3));
    let earlier = keys.iter().enumerate();
    let earlier: Vec<_> = earlier.filter(|(place, _)| is_there(*place)).collect();
    let earlier: Vec<_> = earlier.into_iter().map(|(_, key)| key.clone()).collect();
    for some in [earlier, keys.clone()] {
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    let keys: Vec<_> = some.iter().map(|key| (&change, key)).collect();
                    let stored = store_new(tx, &keys).await?;
                    for (place, (stored, (_, key))) in stored.iter().zip(&keys).enumerate() {
                        let expected = if keys.len() == 200 && is_there(place) {
                            Stored::Exists(key.key.id.clone())
                        } else {
                            Stored::Created
                        };
                        assert_eq!(*stored, expected, "{place}");
                    }
                    Ok(())
                })
            })
            .await;
    }
    let trail = events::of_account(&world.db, &mine.id, 1_000)
        .await
        .unwrap();
    let made = trail.iter().filter(|event| event.kind == "api-key.created");
    let mut told: Vec<_> = made.map(|event| event.target.as_str()).collect();
    told.sort_unstable();
    let mut ids: Vec<_> = keys
        .iter()
        .map(|incoming| incoming.key.id.as_str())
        .collect();
    ids.sort_unstable();
    assert_eq!(told, ids);
}

async fn one_that_the_database_refuses_takes_no_other_with_it(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let new_keys = NewKeys::of(&world.db);
    let draw = |name| world.draw_api_key(&project, name);
    let keys = [draw("first"), draw("with a \0"), draw("last")];
    let stored = join_all(
        keys.iter()
            .map(|(key, plain)| new_keys.store(world.change(), incoming(key.clone(), plain))),
    )
    .await;
    let is_refused = matches!(world.location, Location::Postgres(_));
    let stored: Vec<_> = stored.into_iter().map(Result::ok).collect();
    let odd = (!is_refused).then_some(Stored::Created);
    assert_eq!(stored, [Some(Stored::Created), odd, Some(Stored::Created)]);
    for (index, (key, _)) in keys.iter().enumerate() {
        let is_there = found(&world, &key.id).await.is_some();
        assert_eq!(is_there, stored[index].is_some());
    }
}

async fn a_key_string_that_was_brought_as_a_hash_is_taken(world: World) {
    let mine = world.account("mine").await;
    let (here, beside) = (
        world.project(&mine, "here").await,
        world.project(&mine, "beside").await,
    );
    let (key, plain) = world.custom_api_key(&here, "known-by-its-hash");
    let hashed = incoming(key.clone(), &plain);
    let of_hash = KeyHash::of(plain.expose()).digest(&Pepper::new(&[7; 32]));
    let hashed = claviger_store::api_keys::Incoming {
        digest: of_hash,
        ..hashed
    };
    let root = mine.id.clone();
    let stored = world
        .write(move |tx, change| {
            Box::pin(async move {
                accounts::note_foreign_keys(tx, &root).await?;
                store_new(tx, &[(&change, &hashed)]).await
            })
        })
        .await;
    assert_eq!(stored, [Stored::Created]);
    let new_keys = NewKeys::of(&world.db);
    for (project, expected) in [(&here, Stored::Exists(key.id)), (&beside, Stored::Taken)] {
        let (again, plain) = world.custom_api_key(project, "known-by-its-hash");
        let stored = new_keys.store(world.change(), incoming(again, &plain));
        assert_eq!(stored.await.unwrap(), expected);
    }
}

async fn rows_come_back_as_they_were_brought(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let plain = made(&world, &project, "Every \"cell\" \u{1f511}").await;
    let (mut full, string) = world.custom_api_key(&project, "a-key-with-all-set");
    full.metadata = r#"{"a":[1,2.5,"x\\y"]}"#.to_owned();
    full.custom_account_id = Some("customer".to_owned());
    full.custom_user_id = Some("null".to_owned());
    full.expires_at = Some(world.now().plus_seconds(60));
    full.client_ip = Some("192.0.2.1".to_owned());
    full.client_user_agent = Some("curl/8".to_owned());
    full.scopes = vec!["read:all".to_owned(), "a,b".to_owned()];
    full.reason = Some("none".to_owned());
    full.rotated_from = Some(plain.id.clone());
    let new_keys = NewKeys::of(&world.db);
    let stored = new_keys.store(world.change(), incoming(full.clone(), &string));
    assert_eq!(stored.await.unwrap(), Stored::Created);
    assert_eq!(found(&world, &full.id).await, Some(full));
    assert_eq!(found(&world, &plain.id).await, Some(plain));
}

async fn what_is_too_long_for_one_list_is_written_in_several(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let keys = (0..9).map(|_| {
        let (mut key, plain) = world.draw_api_key(&project, "key");
        key.scopes = vec!["a".repeat(60 * 1_024), "b".repeat(60 * 1_024)];
        incoming(key, &plain)
    });
    let keys: Vec<_> = keys.collect();
    assert_eq!(fitting(keys.iter()), 2);
    let new_keys = NewKeys::of(&world.db);
    let stored = keys.into_iter();
    let stored = stored.map(|incoming| new_keys.store(world.change(), incoming));
    for stored in join_all(stored).await {
        assert_eq!(stored.unwrap(), Stored::Created);
    }
}
