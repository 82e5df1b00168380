//! Projects: reach, and deletion with the keys.

use claviger_domain::key_string::Environment;
use claviger_domain::rights::Reach;
use claviger_store::accounts::Account;
use claviger_store::projects::{self, Project};
use claviger_store::{Page, api_keys};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

use crate::{digest, found, made, store};

in_both_worlds![
    a_project_is_reached_by_itself_its_account_and_its_root,
    pages_go_through_equal_instants,
    renaming_is_within_the_reach,
    deleting_a_project_removes_its_keys_and_frees_their_strings,
    a_deleted_project_is_held_no_more,
];

fn renamed() -> projects::Edit {
    projects::Edit {
        name: Some("renamed".to_owned()),
        key_storage: None,
    }
}

async fn names(world: &World, reach: &Reach, accounts: &[&Account]) -> Vec<String> {
    let mut names = Vec::new();
    for account in accounts {
        let page = Page::first(100, 0);
        let (rows, total) = projects::list(&world.db, reach, &account.id, &page)
            .await
            .unwrap();
        assert_eq!(total, i64::try_from(rows.len()).unwrap());
        for row in rows {
            let one = projects::find(&world.db, reach, &row.id).await.unwrap();
            assert_eq!(one.as_ref(), Some(&row));
            names.push(row.name);
        }
    }
    names
}

async fn delete(world: &World, reach: Reach, project: &Project) -> Option<Project> {
    let id = project.id.clone();
    let deleted = world
        .write(move |tx, change| {
            Box::pin(async move { projects::delete(tx, &change, &reach, &id).await })
        })
        .await;
    deleted.map(|(project, _)| project)
}

async fn a_project_is_reached_by_itself_its_account_and_its_root(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let own = world.project(&mine, "own").await;
    world.clock.advance(1);
    let below = world.project(&child, "below").await;
    world.clock.advance(1);
    world.project(&foreign, "theirs").await;

    let all = [&mine, &child, &foreign];
    assert_eq!(names(&world, &whole(&mine), &all).await, ["own", "below"]);
    assert_eq!(names(&world, &whole(&child), &all).await, ["below"]);
    assert_eq!(names(&world, &only(&[&own]), &all).await, ["own"]);
    assert_eq!(
        names(&world, &only(&[&own, &below]), &all).await,
        ["own", "below"]
    );
    assert_eq!(
        names(&world, &everything(), &all).await,
        ["own", "below", "theirs"]
    );
    assert!(names(&world, &Reach::default(), &all).await.is_empty());
    let (of_child, total) = projects::list(&world.db, &whole(&mine), &child.id, &Page::first(9, 0))
        .await
        .unwrap();
    assert_eq!((of_child, total), (vec![below.clone()], 1));
    assert_eq!(below.account(), child.reference());
    assert_eq!(below.environment(), Environment::Live);
    let absent = projects::find(&world.db, &whole(&foreign), &own.id).await;
    assert_eq!(absent.unwrap(), None);
}

async fn pages_go_through_equal_instants(world: World) {
    let mine = world.account("mine").await;
    for name in ["a", "b", "c", "d", "e"] {
        world.project(&mine, name).await;
    }
    let reach = whole(&mine);
    let list = async |page: &Page| {
        projects::list(&world.db, &reach, &mine.id, page)
            .await
            .unwrap()
            .0
    };
    let all = list(&Page::first(9, 0)).await;
    let first = list(&Page::first(2, 0)).await;
    let end = first.last().unwrap();
    let rest = list(&Page::after(end.base.created_at, end.id.as_str(), 9)).await;
    assert_eq!([first, rest].concat(), all);
    assert_eq!(list(&Page::first(2, 3)).await, all[3..]);
    assert!(list(&Page::first(2, 5)).await.is_empty());
}

async fn renaming_is_within_the_reach(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let foreign = world
        .project(&world.account("foreign").await, "theirs")
        .await;
    let rename = async |reach: Reach| {
        let id = project.id.clone();
        world
            .write(move |tx, change| {
                Box::pin(
                    async move { projects::update(tx, &change, &reach, &id, &renamed()).await },
                )
            })
            .await
    };
    assert_eq!(rename(only(&[&foreign])).await, None);
    assert_eq!(names(&world, &whole(&mine), &[&mine]).await, ["project"]);
    assert!(rename(only(&[&project])).await.is_some());
    assert_eq!(names(&world, &whole(&mine), &[&mine]).await, ["renamed"]);
}

async fn deleting_a_project_removes_its_keys_and_frees_their_strings(world: World) {
    let mine = world.account("mine").await;
    let gone = world.project(&mine, "gone").await;
    let kept = world.project(&mine, "kept").await;
    let beside = made(&world, &kept, "beside").await;
    let (key, plain) = world.custom_api_key(&gone, "custom-key-of-mine");
    assert!(store(&world, &key, &plain).await);
    let (again, _) = world.custom_api_key(&kept, "custom-key-of-mine");
    assert!(!store(&world, &again, &plain).await);

    assert_eq!(delete(&world, only(&[&kept]), &gone).await, None);
    assert!(found(&world, &key.id).await.is_some());
    assert!(delete(&world, whole(&mine), &gone).await.is_some());
    assert_eq!(delete(&world, whole(&mine), &gone).await, None);

    assert_eq!(names(&world, &whole(&mine), &[&mine]).await, ["kept"]);
    assert_eq!(found(&world, &key.id).await, None);
    assert!(found(&world, &beside.id).await.is_some());
    assert!(store(&world, &again, &plain).await);
    let presented = api_keys::find_presented(&world.db, &mine.id, &digest(&plain)).await;
    assert_eq!(presented.unwrap().map(|key| key.id), Some(again.id));
}

async fn a_deleted_project_is_held_no_more(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let other = world.project(&mine, "other").await;
    let hold = async |reach: Reach| {
        let id = project.id.clone();
        world
            .write(move |tx, _| Box::pin(async move { projects::hold(tx, &reach, &id).await }))
            .await
    };
    assert_eq!(hold(only(&[&project])).await, Some(project.clone()));
    assert_eq!(hold(only(&[&other])).await, None);
    delete(&world, whole(&mine), &project).await;
    assert_eq!(hold(everything()).await, None);
}
