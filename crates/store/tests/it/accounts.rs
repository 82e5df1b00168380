//! Accounts: families, reach, deletion with all that is in one.

use claviger_domain::rights::Reach;
use claviger_domain::role::Role;
use claviger_store::accounts::{self, Account, Deleted};
use claviger_store::{Page, access_keys, api_keys, projects};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

use crate::{digest, found, made, store, store_access_key};

in_both_worlds![
    an_account_reaches_itself_and_its_children_and_nothing_else,
    a_project_reaches_its_account_alone_and_nothing_beside_it,
    lists_are_filtered_by_folded_name_and_paged,
    renaming_is_within_the_reach,
    an_account_with_children_is_not_deleted,
    deleting_an_account_removes_all_that_is_in_it,
    a_deleted_account_is_held_no_more,
    marks_of_foreign_keys_are_kept_by_root,
];

async fn ids(world: &World, reach: &Reach) -> Vec<String> {
    let (accounts, total) = accounts::list(&world.db, reach, None, &Page::first(100, 0))
        .await
        .unwrap();
    assert_eq!(total, i64::try_from(accounts.len()).unwrap());
    for account in &accounts {
        let one = accounts::find(&world.db, reach, &account.id).await.unwrap();
        assert_eq!(one.as_ref(), Some(account));
    }
    accounts.iter().map(|one| one.name.clone()).collect()
}

async fn delete(world: &World, reach: Reach, account: &Account) -> Deleted {
    let id = account.id.clone();
    let (deleted, _) = world
        .write(move |tx, change| {
            Box::pin(async move { accounts::delete(tx, &change, &reach, &id).await })
        })
        .await;
    deleted
}

async fn an_account_reaches_itself_and_its_children_and_nothing_else(world: World) {
    let mine = world.account("mine").await;
    world.clock.advance(1);
    let child = world.child(&mine, "child").await;
    world.clock.advance(1);
    let foreign = world.account("foreign").await;

    assert_eq!(ids(&world, &whole(&mine)).await, ["mine", "child"]);
    assert_eq!(ids(&world, &whole(&child)).await, ["child"]);
    assert_eq!(ids(&world, &whole(&foreign)).await, ["foreign"]);
    assert_eq!(
        ids(&world, &everything()).await,
        ["mine", "child", "foreign"]
    );
    assert!(ids(&world, &Reach::default()).await.is_empty());
    let upwards = accounts::find(&world.db, &whole(&child), &mine.id).await;
    assert_eq!(upwards.unwrap(), None);
    assert_eq!(child.parent(), Some(&mine.id));
    assert_eq!(mine.parent(), None);
}

async fn a_project_reaches_its_account_alone_and_nothing_beside_it(world: World) {
    let mine = world.account("mine").await;
    world.child(&mine, "child").await;
    let project = world.project(&mine, "project").await;
    assert_eq!(ids(&world, &only(&[&project])).await, ["mine"]);
}

async fn lists_are_filtered_by_folded_name_and_paged(world: World) {
    let mine = world.account("Ärger").await;
    for name in ["one", "two", "ONE"] {
        world.child(&mine, name).await;
    }
    let reach = whole(&mine);
    for (name, expected) in [("One", 2), ("äRGER", 1), ("on", 0), ("%", 0)] {
        let (rows, total) = accounts::list(&world.db, &reach, Some(name), &Page::first(9, 0))
            .await
            .unwrap();
        assert_eq!(
            (rows.len(), total),
            (usize::try_from(expected).unwrap(), expected)
        );
    }

    // All four have one `createdAt`: the id decides, and no row is skipped or repeated.
    let (all, _) = accounts::list(&world.db, &reach, None, &Page::first(9, 0))
        .await
        .unwrap();
    let mut paged = Vec::new();
    let mut page = Page::first(1, 0);
    loop {
        let (rows, total) = accounts::list(&world.db, &reach, None, &page)
            .await
            .unwrap();
        assert_eq!(total, 4);
        let Some(row) = rows.into_iter().next() else {
            break;
        };
        page = Page::after(row.base.created_at, row.id.as_str(), 1);
        paged.push(row);
    }
    assert_eq!(paged, all);
    let (skipped, _) = accounts::list(&world.db, &reach, None, &Page::first(2, 1))
        .await
        .unwrap();
    assert_eq!(skipped, all[1..3]);
}

async fn renaming_is_within_the_reach(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    world.clock.advance(5);
    let rename = async |reach: Reach| {
        let id = mine.id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move { accounts::rename(tx, &change, &reach, &id, "Renamed").await })
            })
            .await
    };
    assert_eq!(rename(whole(&foreign)).await, None);
    let renamed = rename(whole(&mine)).await.unwrap();
    assert_eq!(renamed.base.updated_at, world.now());
    let (reach, page) = (whole(&mine), Page::first(9, 0));
    let (by_name, _) = accounts::list(&world.db, &reach, Some("renamed"), &page)
        .await
        .unwrap();
    assert_eq!(by_name, [renamed]);
}

async fn an_account_with_children_is_not_deleted(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    let child = world.child(&mine, "child").await;
    assert_eq!(
        delete(&world, whole(&mine), &mine).await,
        Deleted::HasChildren
    );
    // Whoever cannot reach it learns nothing of its children.
    assert_eq!(
        delete(&world, whole(&foreign), &mine).await,
        Deleted::Absent
    );
    assert_eq!(delete(&world, whole(&child), &mine).await, Deleted::Absent);
    assert_eq!(delete(&world, whole(&mine), &child).await, Deleted::Done);
    assert_eq!(delete(&world, whole(&mine), &mine).await, Deleted::Done);
    assert_eq!(delete(&world, whole(&mine), &mine).await, Deleted::Absent);
}

async fn deleting_an_account_removes_all_that_is_in_it(world: World) {
    let mine = world.account("mine").await;
    let other = world.account("other").await;
    let project = world.project(&mine, "project").await;
    let kept = made(&world, &world.project(&other, "kept").await, "kept").await;
    let (key, plain) = world.draw_api_key(&project, "key");
    store(&world, &key, &plain).await;
    let (access, access_plain) = world.draw_access_key(&mine, None, Role::Owner);
    store_access_key(&world, &access, &access_plain).await;

    assert_eq!(delete(&world, everything(), &mine).await, Deleted::Done);

    assert_eq!(found(&world, &key.id).await, None);
    let presented = api_keys::find_presented(&world.db, &mine.id, &digest(&plain)).await;
    assert_eq!(presented.unwrap(), None);
    let project = projects::find(&world.db, &everything(), &project.id).await;
    assert_eq!(project.unwrap(), None);
    let access = access_keys::find_by_digest(&world.db, &digest(&access_plain)).await;
    assert_eq!(access.unwrap(), None);
    assert_eq!(found(&world, &kept.id).await, Some(kept));
}

async fn a_deleted_account_is_held_no_more(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    let hold = async |reach: Reach| {
        let id = mine.id.clone();
        world
            .write(move |tx, _| Box::pin(async move { accounts::hold(tx, &reach, &id).await }))
            .await
    };
    assert!(hold(whole(&mine)).await);
    assert!(!hold(whole(&foreign)).await);
    delete(&world, whole(&mine), &mine).await;
    assert!(!hold(everything()).await);
}

async fn marks_of_foreign_keys_are_kept_by_root(world: World) {
    let mine = world.account("mine").await;
    world.account("other").await;
    assert!(
        accounts::with_foreign_keys(&world.db)
            .await
            .unwrap()
            .is_empty()
    );
    let id = mine.id.clone();
    world
        .write(move |tx, _| Box::pin(async move { accounts::note_foreign_keys(tx, &id).await }))
        .await;
    let marked = accounts::with_foreign_keys(&world.db).await.unwrap();
    assert_eq!(marked, [mine.id.clone()]);
    delete(&world, whole(&mine), &mine).await;
    assert!(
        accounts::with_foreign_keys(&world.db)
            .await
            .unwrap()
            .is_empty()
    );
}
