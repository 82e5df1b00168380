//! Access keys: reach by account and by projects, lists, changes, handing over.

use std::collections::BTreeSet;

use claviger_domain::event::EventKind;
use claviger_domain::id::Id;
use claviger_domain::limit::RateLimit;
use claviger_domain::rights::Reach;
use claviger_domain::role::Role;
use claviger_store::Page;
use claviger_store::access_keys::{self, AccessKey, Filter, Selector};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};
use serde_json::Value;

use crate::{digest, store_access_key};

in_both_worlds![
    a_key_is_read_as_it_was_made_and_saved,
    a_key_of_the_account_is_out_of_a_project_s_reach,
    a_key_of_projects_is_reached_when_all_of_them_are,
    a_key_of_no_project_is_in_nobody_s_reach_but_the_account_s,
    lists_are_filtered_and_paged,
    a_change_is_within_the_reach,
    what_a_key_made_is_handed_over_to_its_successor,
];

async fn stored(world: &World, key: &AccessKey) -> Option<AccessKey> {
    let which = Selector::Id(key.id.clone());
    access_keys::find(&world.db, &everything(), &which)
        .await
        .unwrap()
}

async fn names(world: &World, reach: &Reach, filter: &Filter) -> Vec<String> {
    let (keys, total) =
        access_keys::list(&world.db, reach, filter, &Page::first(100, 0), world.now())
            .await
            .unwrap();
    assert_eq!(total, i64::try_from(keys.len()).unwrap());
    keys.into_iter().map(|key| key.name).collect()
}

async fn changed(
    world: &World,
    reach: Reach,
    which: Selector,
    edit: impl FnOnce(&mut AccessKey) + Send + 'static,
) -> Option<AccessKey> {
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let Some((mut key, _)) = access_keys::lock(tx, &reach, &which).await? else {
                    return Ok(None);
                };
                edit(&mut key);
                let kind = EventKind::AccessKeyUpdated;
                access_keys::save(tx, &change, &mut key, kind, Value::Null).await?;
                Ok(Some(key))
            })
        })
        .await
}

async fn a_key_is_read_as_it_was_made_and_saved(world: World) {
    let mine = world.account("mine").await;
    let projects = [
        world.project(&mine, "one").await,
        world.project(&mine, "two").await,
    ];
    let both = [&projects[0], &projects[1]];
    let (mut key, plain) = world.draw_access_key(&mine, Some(&both), Role::Verifier);
    key.rate_limit = RateLimit::new(5, 1);
    key.expires_at = Some(world.now());
    key.rotated_from = Some(Id::from_suffix("aaaaaaaaaaaaaaaa"));
    store_access_key(&world, &key, &plain).await;
    let presented = access_keys::find_by_digest(&world.db, &digest(&plain)).await;
    assert_eq!(presented.unwrap().as_ref(), Some(&key));

    world.clock.advance(1);
    let now = world.now();
    let saved = changed(
        &world,
        everything(),
        Selector::Id(key.id.clone()),
        move |key| {
            key.name = "renamed".to_owned();
            key.is_active = false;
            key.rate_limit = None;
            key.expires_at = None;
            key.stops_at = Some(now);
            key.rotated_to = Some(Id::from_suffix("bbbbbbbbbbbbbbbb"));
        },
    )
    .await;
    assert_eq!(stored(&world, &key).await, saved);
    assert_eq!(saved.unwrap().projects.unwrap().len(), 2);
}

async fn a_key_of_the_account_is_out_of_a_project_s_reach(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let project = world.project(&child, "project").await;
    let (key, plain) = world.draw_access_key(&child, None, Role::Owner);
    store_access_key(&world, &key, &plain).await;
    for which in [
        Selector::Id(key.id.clone()),
        Selector::Digest(digest(&plain)),
    ] {
        for reach in [everything(), whole(&mine), whole(&child)] {
            let read = access_keys::find(&world.db, &reach, &which).await.unwrap();
            assert_eq!(read.as_ref(), Some(&key), "{reach:?}");
        }
        for reach in [Reach::default(), whole(&foreign), only(&[&project])] {
            let read = access_keys::find(&world.db, &reach, &which).await.unwrap();
            assert_eq!(read, None, "{reach:?}");
        }
    }
}

async fn a_key_of_projects_is_reached_when_all_of_them_are(world: World) {
    let mine = world.account("mine").await;
    let one = world.project(&mine, "one").await;
    let two = world.project(&mine, "two").await;
    let three = world.project(&mine, "three").await;
    let (key, plain) = world.draw_access_key(&mine, Some(&[&one, &two]), Role::Developer);
    store_access_key(&world, &key, &plain).await;
    let which = Selector::Id(key.id.clone());
    for (reach, is_reached) in [
        (only(&[&one, &two]), true),
        (only(&[&three, &two, &one]), true),
        (whole(&mine), true),
        (only(&[&one]), false),
        (only(&[&one, &three]), false),
        (only(&[]), false),
    ] {
        let read = access_keys::find(&world.db, &reach, &which).await.unwrap();
        assert_eq!(read.is_some(), is_reached, "{reach:?}");
        assert_eq!(
            names(&world, &reach, &Filter::of(mine.id.clone()))
                .await
                .len(),
            usize::from(is_reached)
        );
    }
}

async fn a_key_of_no_project_is_in_nobody_s_reach_but_the_account_s(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    let project = world.project(&foreign, "project").await;
    let (mut key, plain) = world.draw_access_key(&mine, None, Role::Developer);
    key.projects = Some(BTreeSet::new());
    store_access_key(&world, &key, &plain).await;
    let none = Filter::of(mine.id.clone());
    assert_eq!(names(&world, &whole(&mine), &none).await, ["access"]);
    for reach in [Reach::default(), whole(&foreign), only(&[&project])] {
        assert!(names(&world, &reach, &none).await.is_empty(), "{reach:?}");
    }
}

async fn lists_are_filtered_and_paged(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let one = world.project(&mine, "one").await;
    let two = world.project(&mine, "two").await;
    let make = async |account, projects: Option<&[&_]>, name: &str, is_active, stops_at| {
        world.clock.advance(1);
        let (mut key, plain) = world.draw_access_key(account, projects, Role::Developer);
        key.name = name.to_owned();
        key.is_active = is_active;
        key.stops_at = stops_at;
        store_access_key(&world, &key, &plain).await;
    };
    let later = world.now().plus_seconds(100);
    make(&mine, None, "whole", true, None).await;
    make(&mine, Some(&[&one]), "one", false, None).await;
    make(&mine, Some(&[&one, &two]), "both", true, Some(later)).await;
    make(&child, None, "below", true, None).await;

    let reach = whole(&mine);
    let active = |is_active| Filter {
        is_active: Some(is_active),
        ..Filter::of(mine.id.clone())
    };
    let of_one = Filter {
        project: Some(one.id.clone()),
        ..Filter::of(mine.id.clone())
    };
    let of_child = Filter::of(child.id.clone());
    let of_all = Filter::of(mine.id.clone());
    let all = ["whole", "one", "both"];
    assert_eq!(names(&world, &reach, &of_all).await, all);
    assert_eq!(names(&world, &reach, &of_one).await, ["one", "both"]);
    assert_eq!(names(&world, &reach, &of_child).await, ["below"]);
    assert_eq!(
        names(&world, &reach, &active(true)).await,
        ["whole", "both"]
    );
    assert_eq!(names(&world, &reach, &active(false)).await, ["one"]);
    world.clock.advance(100);
    assert_eq!(names(&world, &reach, &active(false)).await, ["one", "both"]);

    let page = async |page: Page| {
        let list = access_keys::list(&world.db, &reach, &of_all, &page, world.now());
        let (keys, total) = list.await.unwrap();
        assert_eq!(total, 3);
        keys
    };
    let first = page(Page::first(2, 0)).await;
    let last = first.last().unwrap();
    let rest = page(Page::after(last.base.created_at, last.id.as_str(), 3)).await;
    assert_eq!([first, rest].concat(), page(Page::first(9, 0)).await);
    assert_eq!(page(Page::first(1, 2)).await[0].name, "both");
}

async fn a_change_is_within_the_reach(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    let (key, plain) = world.draw_access_key(&mine, None, Role::Owner);
    store_access_key(&world, &key, &plain).await;
    let by_id = Selector::Id(key.id.clone());
    let by_digest = Selector::Digest(digest(&plain));
    let off = |key: &mut AccessKey| key.is_active = false;
    assert_eq!(changed(&world, whole(&foreign), by_id, off).await, None);
    assert_eq!(stored(&world, &key).await, Some(key.clone()));
    assert!(
        changed(&world, whole(&mine), by_digest, off)
            .await
            .is_some()
    );
    assert!(!stored(&world, &key).await.unwrap().is_active);
}

async fn what_a_key_made_is_handed_over_to_its_successor(world: World) {
    const MAKERS: &str = "SELECT id || ' by ' || maker_id FROM mcp_servers ORDER BY id";
    let mine = world.account("mine").await;
    let (key, plain) = world.draw_access_key(&mine, None, Role::Owner);
    store_access_key(&world, &key, &plain).await;
    let (other, plain) = world.draw_access_key(&mine, None, Role::Owner);
    store_access_key(&world, &other, &plain).await;
    for statement in [
        "INSERT INTO connected_accounts (id, account_id, root_account_id, integration, tenant_id, \
         authentication_method, credentials, status, created_in, created_at, updated_at) \
         SELECT 'cac', account_id, account_id, 'i', 't', 'm', digest, 's', 'api', 0, 0 \
         FROM access_keys LIMIT 1",
        "INSERT INTO mcp_servers (id, connected_account_id, account_id, root_account_id, name, \
         config, token_digest, maker_kind, maker_id, maker_rights, created_in, created_at, \
         updated_at) SELECT 'mcp of ' || id, 'cac', account_id, account_id, 'n', '{}', digest, \
         'access_key', id, '[]', 'api', 0, 0 FROM access_keys",
    ] {
        world.raw(false, statement).await;
    }
    let expected = |maker: &AccessKey| format!("mcp of {} by {}", key.id, maker.id);
    let (from, to) = (key.id.clone(), other.id.clone());
    let beside = format!("mcp of {} by {}", other.id, other.id);
    assert!(world.raw(false, MAKERS).await.contains(&expected(&key)));
    world
        .write(move |tx, _| Box::pin(async move { access_keys::hand_over(tx, &from, &to).await }))
        .await;
    let makers = world.raw(false, MAKERS).await;
    assert_eq!(makers.len(), 2);
    assert!(makers.contains(&expected(&other)) && makers.contains(&beside));
}
