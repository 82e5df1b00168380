//! API keys: every column there and back, digests, changes under the lock, first uses.

use claviger_domain::address::parse_network;
use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::limit::{GREATEST_LIMIT, Period, Quota, RateLimit};
use claviger_domain::origin::DomainPattern;
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use claviger_store::api_keys::{self, ApiKey, Selector, Status};
use claviger_store::{events, usage};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

use crate::{changed, digest, found, made, store};

in_both_worlds![
    a_key_is_read_as_it_was_made,
    a_change_is_read_as_it_was_saved,
    a_key_is_reached_by_its_project_its_account_and_its_root,
    a_key_string_of_two_families_is_nobody_s_for_whoever_reaches_both,
    a_key_string_is_unique_in_a_family_of_accounts,
    a_purged_key_is_gone_and_its_string_free,
    a_rekeyed_key_answers_to_the_new_string_alone,
    a_lock_finds_what_a_look_would,
    a_first_use_is_noted_once,
    the_last_use_is_what_was_flushed,
];

/// A key with every column filled.
fn full(key: ApiKey) -> ApiKey {
    ApiKey {
        name: "Größe 'x\" — 🔑".to_owned(),
        metadata: r#"{"plan":"pro","nested":[1,null,"ü"]}"#.to_owned(),
        custom_account_id: Some("customer".to_owned()),
        custom_user_id: Some(String::new()),
        rate_limit: RateLimit::new(GREATEST_LIMIT, 2_678_400),
        quota: Some(Quota {
            limit: GREATEST_LIMIT,
            period: Period::Month,
        }),
        expires_at: Some(Timestamp::from_micros(-1)),
        client_ip: Some("2001:db8::1".to_owned()),
        client_user_agent: Some("curl/8".to_owned()),
        allowed_domains: vec![DomainPattern::parse("*.Example.com").unwrap()],
        allowed_ips: vec![
            parse_network("10.0.0.0/8").unwrap(),
            parse_network("2001:db8::/32").unwrap(),
        ],
        scopes: vec!["read:\"all\"".to_owned(), "write".to_owned()],
        rotated_from: Some(Id::from_suffix("aaaaaaaaaaaaaaaa")),
        lineage: Id::from_suffix("bbbbbbbbbbbbbbbb"),
        ..key
    }
}

async fn purge(world: &World, key: &ApiKey) {
    let key = key.clone();
    world
        .write(move |tx, change| Box::pin(async move { api_keys::purge(tx, &change, &key).await }))
        .await;
}

async fn note(world: &World, uses: Vec<(Id<id::ApiKey>, Timestamp)>) -> Vec<Id<id::ApiKey>> {
    world
        .write(move |tx, change| {
            Box::pin(async move { api_keys::note_first_uses(tx, &change, &uses).await })
        })
        .await
}

async fn a_key_is_read_as_it_was_made(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let (plain_row, plain) = world.draw_api_key(&project, "bare");
    assert!(store(&world, &plain_row, &plain).await);
    assert_eq!(
        found(&world, &plain_row.id).await.as_ref(),
        Some(&plain_row)
    );

    let (key, plain) = world.custom_api_key(&project, "custom-key-of-mine");
    let key = full(key);
    assert!(store(&world, &key, &plain).await);
    let presented = api_keys::find_presented(&world.db, &key.account.root, &digest(&plain)).await;
    assert_eq!(presented.unwrap(), Some(key));
}

async fn a_change_is_read_as_it_was_saved(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let bare = made(&world, &project, "bare").await;
    let other = made(&world, &project, "other").await;
    world.clock.advance(60);
    let now = world.now();
    let saved = changed(&world, &bare.id, move |key| {
        let lineage = key.lineage.clone();
        *key = ApiKey {
            lineage,
            rotated_from: None,
            status: Status::Suspended,
            reason: Some("billing".to_owned()),
            revoked_at: Some(now),
            revoked_by: Some("ack_1".to_owned()),
            stops_at: Some(now.plus_seconds(5)),
            rotated_to: Some(Id::from_suffix("cccccccccccccccc")),
            ..full(key.clone())
        };
    })
    .await;
    assert_eq!(saved.base.updated_at, now);
    assert_eq!(saved.base.created_at, bare.base.created_at);
    assert_eq!(found(&world, &bare.id).await, Some(saved));
    assert_eq!(found(&world, &other.id).await, Some(other));

    // And everything can be cleared again.
    let cleared = changed(&world, &bare.id, |key| {
        key.rate_limit = None;
        key.quota = None;
        key.expires_at = None;
        key.custom_account_id = None;
        key.allowed_ips.clear();
        key.reason = None;
        key.revoked_at = None;
    })
    .await;
    assert_eq!(found(&world, &bare.id).await, Some(cleared));
}

async fn a_key_is_reached_by_its_project_its_account_and_its_root(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let project = world.project(&child, "project").await;
    let beside = world.project(&child, "beside").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    store(&world, &key, &plain).await;

    let near = [everything(), whole(&mine), whole(&child), only(&[&project])];
    let far = [Reach::default(), whole(&foreign), only(&[&beside])];
    for which in [
        Selector::Id(key.id.clone()),
        Selector::Digest(digest(&plain)),
    ] {
        for reach in &near {
            let read = api_keys::find(&world.db, reach, &which).await.unwrap();
            assert_eq!(read.as_ref(), Some(&key), "{reach:?}");
        }
        for reach in &far {
            let read = api_keys::find(&world.db, reach, &which).await.unwrap();
            assert_eq!(read, None, "{reach:?}");
        }
    }
    for (root, expected) in [(&mine, Some(&key)), (&child, None), (&foreign, None)] {
        let read = api_keys::find_presented(&world.db, &root.id, &digest(&plain)).await;
        assert_eq!(read.unwrap().as_ref(), expected);
    }
}

async fn a_key_string_of_two_families_is_nobody_s_for_whoever_reaches_both(world: World) {
    let mine = world.project(&world.account("mine").await, "mine").await;
    let theirs = world
        .project(&world.account("theirs").await, "theirs")
        .await;
    let (one, plain) = world.custom_api_key(&mine, "custom-key-of-both");
    let (other, _) = world.custom_api_key(&theirs, "custom-key-of-both");
    assert!(store(&world, &one, &plain).await);
    assert!(store(&world, &other, &plain).await);

    let which = Selector::Digest(digest(&plain));
    let reaches = [
        (everything(), None),
        (only(&[&mine]), Some(&one)),
        (only(&[&theirs]), Some(&other)),
        (only(&[&mine, &theirs]), None),
    ];
    for (reach, expected) in reaches {
        let read = api_keys::find(&world.db, &reach, &which).await.unwrap();
        assert_eq!(read.as_ref(), expected);
        let which = which.clone();
        let locked = world
            .write(move |tx, _| Box::pin(async move { api_keys::lock(tx, &reach, &which).await }))
            .await;
        assert_eq!(locked.map(|(key, _)| key).as_ref(), expected);
    }
}

async fn a_key_string_is_unique_in_a_family_of_accounts(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let text = "custom-key-of-mine";
    let (first, plain) = world.custom_api_key(&world.project(&mine, "one").await, text);
    let (second, _) = world.custom_api_key(&world.project(&child, "two").await, text);
    let stranger = world.project(&world.account("theirs").await, "three").await;
    let (third, _) = world.custom_api_key(&stranger, text);
    assert!(store(&world, &first, &plain).await);
    assert!(!store(&world, &second, &plain).await);
    assert!(store(&world, &third, &plain).await);
    assert_eq!(found(&world, &second.id).await, None);
    // A revoked key still has its string.
    changed(&world, &first.id, |key| key.status = Status::Inactive).await;
    assert!(!store(&world, &second, &plain).await);
}

async fn a_purged_key_is_gone_and_its_string_free(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let (key, plain) = world.custom_api_key(&project, "custom-key-of-mine");
    let (again, _) = world.custom_api_key(&project, "custom-key-of-mine");
    store(&world, &key, &plain).await;
    let beside = made(&world, &project, "beside").await;
    purge(&world, &key).await;
    assert_eq!(found(&world, &key.id).await, None);
    assert!(found(&world, &beside.id).await.is_some());
    assert!(store(&world, &again, &plain).await);
    let trail = events::of_account(&world.db, &mine.id, 100).await.unwrap();
    let purged: Vec<_> = trail
        .iter()
        .filter(|event| event.kind == EventKind::ApiKeyPurged.as_str())
        .map(|event| event.target.as_str())
        .collect();
    assert_eq!(purged, [key.id.as_str()]);
}

async fn a_rekeyed_key_answers_to_the_new_string_alone(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let (key, old) = world.custom_api_key(&project, "custom-key-of-old");
    let (taken, taken_plain) = world.custom_api_key(&project, "custom-key-of-another");
    let (_, new) = world.custom_api_key(&project, "custom-key-of-new");
    store(&world, &key, &old).await;
    store(&world, &taken, &taken_plain).await;
    let rekey = async |plain| {
        let (key, digest) = (key.clone(), digest(plain));
        world
            .write(move |tx, _| Box::pin(async move { api_keys::rekey(tx, &key, &digest).await }))
            .await
    };
    assert!(!rekey(&taken_plain).await);
    assert!(rekey(&old).await, "its own string is not taken by another");
    assert!(rekey(&new).await);
    for (plain, expected) in [
        (&old, None),
        (&new, Some(&key)),
        (&taken_plain, Some(&taken)),
    ] {
        let read = api_keys::find_presented(&world.db, &mine.id, &digest(plain)).await;
        assert_eq!(read.unwrap().as_ref(), expected);
    }
}

async fn a_lock_finds_what_a_look_would(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let beside = world.project(&mine, "beside").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    store(&world, &key, &plain).await;
    let lock = async |reach: Reach, which: Selector| {
        world
            .write(move |tx, _| Box::pin(async move { api_keys::lock(tx, &reach, &which).await }))
            .await
    };
    let by_id = Selector::Id(key.id.clone());
    let by_digest = Selector::Digest(digest(&plain));
    for which in [&by_id, &by_digest] {
        let locked = lock(only(&[&project]), which.clone()).await;
        assert_eq!(locked, Some((key.clone(), digest(&plain))));
        assert_eq!(lock(only(&[&beside]), which.clone()).await, None);
    }
    purge(&world, &key).await;
    assert_eq!(lock(everything(), by_id).await, None);
}

async fn a_first_use_is_noted_once(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let one = made(&world, &project, "one").await;
    let two = made(&world, &project, "two").await;
    let purged = made(&world, &project, "purged").await;
    purge(&world, &purged).await;
    let at = world.now();
    let later = at.plus_seconds(60);

    assert_eq!(
        note(&world, vec![(one.id.clone(), at)]).await,
        [one.id.clone()]
    );
    let uses = vec![
        (one.id.clone(), later),
        (two.id.clone(), later),
        (purged.id.clone(), later),
    ];
    assert_eq!(note(&world, uses).await, [two.id.clone()]);

    assert_eq!(
        found(&world, &one.id).await.unwrap().first_used_at,
        Some(at)
    );
    assert_eq!(
        found(&world, &two.id).await.unwrap().first_used_at,
        Some(later)
    );
    let trail = events::of_account(&world.db, &mine.id, 100).await.unwrap();
    let told = trail
        .iter()
        .filter(|event| event.kind == "api-key.firstUsed");
    let told: Vec<_> = told.map(|event| event.target.as_str()).collect();
    assert_eq!(told, [one.id.as_str(), two.id.as_str()]);
    // Using a key does not change it.
    assert_eq!(found(&world, &one.id).await.unwrap().base, one.base);
    // And a change does not take the first use away.
    changed(&world, &one.id, |key| key.first_used_at = None).await;
    assert_eq!(
        found(&world, &one.id).await.unwrap().first_used_at,
        Some(at)
    );
}

async fn the_last_use_is_what_was_flushed(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let key = made(&world, &project, "key").await;
    let at = world.now();
    let used = async |at: Timestamp| {
        let flush = usage::Flush {
            hours: vec![usage::UsageHour {
                key: &key.id,
                project: &key.project_id,
                hour: at.as_hour(),
                counts: UsageCounts::default(),
                last_used_at: Some(at),
            }],
            ..usage::Flush::at(at)
        };
        usage::add(&world.db, &flush).await.unwrap();
        let shown = found(&world, &key.id).await.unwrap().last_used_at;
        assert_eq!(usage::last_use(&world.db, &key.id).await.unwrap(), shown);
        shown
    };
    assert_eq!(used(at).await, Some(at));
    assert_eq!(used(at.plus_seconds(9)).await, Some(at.plus_seconds(9)));
    // What another node flushes late does not turn it back.
    assert_eq!(used(at.plus_seconds(3)).await, Some(at.plus_seconds(9)));
    assert_eq!(
        used(at.plus_seconds(-7_200)).await,
        Some(at.plus_seconds(9))
    );
    assert_eq!(
        used(at.plus_seconds(7_200)).await,
        Some(at.plus_seconds(7_200))
    );
}
