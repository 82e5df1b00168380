//! What the people of an account are told.

use claviger_domain::rights::Reach;
use claviger_store::accounts::Account;
use claviger_store::notifications::{self, Filter, News, Notification};
use claviger_store::projects::Project;
use claviger_store::{Page, retention};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

in_both_worlds![
    what_is_told_is_listed_within_the_reach_and_marked_read,
    what_is_told_once_is_not_told_again,
    what_was_read_goes_and_what_nobody_read_stays,
];

/// Tells the people of an account something.
async fn tell(
    world: &World,
    account: &Account,
    project: Option<&Project>,
    once: Option<&'static str>,
) -> bool {
    let news = News {
        account: account.reference(),
        project: project.map(|project| project.id.clone()),
        kind: "webhook.disabled",
        title: "Look here".to_owned(),
        body: "Something happened.".to_owned(),
        once: once.map(str::to_owned),
    };
    world
        .write(move |tx, change| {
            Box::pin(async move { notifications::tell(tx, &change, news).await })
        })
        .await
}

async fn listed(
    world: &World,
    reach: &Reach,
    account: &Account,
    is_read: Option<bool>,
) -> Vec<Notification> {
    let account = account.id.clone();
    let filter = Filter { account, is_read };
    let page = Page::first(10, 0);
    let (found, total) = notifications::list(&world.db, reach, &filter, &page)
        .await
        .unwrap();
    assert_eq!(i64::try_from(found.len()), Ok(total));
    found
}

async fn mark(
    world: &World,
    reach: Reach,
    one: &Notification,
    is_read: bool,
) -> Option<Notification> {
    let id = one.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { notifications::mark(tx, &change, &reach, &id, is_read).await })
        })
        .await
}

async fn what_is_told_is_listed_within_the_reach_and_marked_read(world: World) {
    let (mine, foreign) = (world.account("mine").await, world.account("foreign").await);
    let project = world.project(&mine, "project").await;
    let other = world.project(&mine, "other").await;
    tell(&world, &mine, None, None).await;
    world.clock.advance(1);
    tell(&world, &mine, Some(&project), None).await;
    assert_eq!(listed(&world, &whole(&mine), &mine, None).await.len(), 2);
    assert_eq!(listed(&world, &whole(&foreign), &mine, None).await, []);
    assert_eq!(listed(&world, &only(&[&other]), &mine, None).await, []);
    let [of_project] = &listed(&world, &only(&[&project]), &mine, None).await[..] else {
        panic!("one is of the project");
    };
    assert_eq!(mark(&world, whole(&foreign), of_project, true).await, None);
    let read_at = world.now();
    let marked = mark(&world, only(&[&project]), of_project, true).await;
    assert_eq!(marked.unwrap().read_at(), Some(read_at));
    world.clock.advance(1);
    let again = mark(&world, whole(&mine), of_project, true).await.unwrap();
    assert_eq!(again.read_at(), Some(read_at));
    let ids = |found: Vec<Notification>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();
    let read = listed(&world, &whole(&mine), &mine, Some(true)).await;
    assert_eq!(ids(read), [of_project.id.clone()]);
    let unread = listed(&world, &whole(&mine), &mine, Some(false)).await;
    assert_eq!(unread.len(), 1);
    let back = mark(&world, whole(&mine), of_project, false).await.unwrap();
    assert_eq!(back.read_at(), None);
}

async fn what_is_told_once_is_not_told_again(world: World) {
    let mine = world.account("mine").await;
    assert!(tell(&world, &mine, None, Some("a")).await);
    assert!(!tell(&world, &mine, None, Some("a")).await);
    assert!(tell(&world, &mine, None, Some("b")).await);
    assert!(tell(&world, &mine, None, None).await);
    assert_eq!(listed(&world, &everything(), &mine, None).await.len(), 3);
}

async fn what_was_read_goes_and_what_nobody_read_stays(world: World) {
    let mine = world.account("mine").await;
    for _ in 0..2 {
        tell(&world, &mine, None, None).await;
    }
    let all = listed(&world, &everything(), &mine, None).await;
    mark(&world, everything(), &all[0], true).await;
    let later = world.now().plus_seconds(1);
    let removed = retention::remove_deleted(&world.db, later, 10).await;
    assert_eq!(removed.unwrap(), 1);
    let left = listed(&world, &everything(), &mine, None).await;
    assert_eq!(left, all[1..]);
}
