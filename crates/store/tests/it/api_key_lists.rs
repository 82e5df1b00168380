//! Lists of API keys: each filter, each reach, pages.

use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use claviger_store::Page;
use claviger_store::api_keys::{self, ApiKey, Filter, Selector, Status};
use claviger_store::projects::Project;
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

use crate::{changed, digest, made, store};

in_both_worlds![
    a_list_has_what_the_reach_has,
    each_filter_narrows_the_list,
    activity_is_judged_at_the_instant_of_the_question,
    a_filter_never_widens_the_reach,
    pages_go_through_equal_instants_without_loss,
];

/// The names in a list, after comparing it with the count.
async fn names(world: &World, reach: &Reach, filter: &Filter) -> Vec<String> {
    names_at(world, reach, filter, world.now()).await
}

async fn names_at(world: &World, reach: &Reach, filter: &Filter, now: Timestamp) -> Vec<String> {
    let keys = api_keys::list(&world.db, reach, filter, &Page::first(1000, 0), now)
        .await
        .unwrap();
    let total = api_keys::count(&world.db, reach, filter, now)
        .await
        .unwrap();
    assert_eq!(total, i64::try_from(keys.len()).unwrap());
    keys.into_iter().map(|key| key.name).collect()
}

/// A key that is made a second after the one before.
async fn next(world: &World, project: &Project, name: &str) -> ApiKey {
    world.clock.advance(1);
    made(world, project, name).await
}

async fn a_list_has_what_the_reach_has(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let one = world.project(&mine, "one").await;
    let two = world.project(&mine, "two").await;
    let below = world.project(&child, "below").await;
    let theirs = world.project(&foreign, "theirs").await;
    for (project, name) in [(&one, "a"), (&two, "b"), (&below, "c"), (&theirs, "d")] {
        next(&world, project, name).await;
    }
    let none = Filter::default();
    let cases: [(Reach, &[&str]); 8] = [
        (everything(), &["a", "b", "c", "d"]),
        (whole(&mine), &["a", "b", "c"]),
        (whole(&child), &["c"]),
        (whole(&foreign), &["d"]),
        (only(&[&two]), &["b"]),
        (only(&[&one, &theirs]), &["a", "d"]),
        (
            Reach {
                projects: vec![theirs.id.clone()],
                ..whole(&child)
            },
            &["c", "d"],
        ),
        (Reach::default(), &[]),
    ];
    for (reach, expected) in cases {
        assert_eq!(names(&world, &reach, &none).await, expected, "{reach:?}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table, a row a filter")]
async fn each_filter_narrows_the_list(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let one = world.project(&mine, "one").await;
    let below = world.project(&child, "below").await;
    world.clock.advance(1);
    let (mut alpha, plain) = world.draw_api_key(&one, "Älpha");
    alpha.custom_account_id = Some("customer".to_owned());
    alpha.custom_user_id = Some("user".to_owned());
    store(&world, &alpha, &plain).await;
    let beta = next(&world, &below, "beta").await;
    let reach = whole(&mine);
    let text = |text: &str| Some(text.to_owned());
    let owner = |text: &str| Some(Some(text.to_owned()));

    let cases: Vec<(&str, Filter, &[&str])> = vec![
        ("nothing", Filter::default(), &["Älpha", "beta"]),
        (
            "project",
            Filter {
                project: Some(one.id.clone()),
                ..Filter::default()
            },
            &["Älpha"],
        ),
        (
            "account",
            Filter {
                account: Some(child.id.clone()),
                ..Filter::default()
            },
            &["beta"],
        ),
        (
            "an account means itself",
            Filter {
                account: Some(mine.id.clone()),
                ..Filter::default()
            },
            &["Älpha"],
        ),
        (
            "name",
            Filter {
                name: text("äLPHA"),
                ..Filter::default()
            },
            &["Älpha"],
        ),
        (
            "part of a name",
            Filter {
                name: text("bet"),
                ..Filter::default()
            },
            &[],
        ),
        (
            "a pattern",
            Filter {
                name: text("bet_"),
                ..Filter::default()
            },
            &[],
        ),
        (
            "customer",
            Filter {
                custom_account_id: owner("customer"),
                ..Filter::default()
            },
            &["Älpha"],
        ),
        (
            "customer in another case",
            Filter {
                custom_account_id: owner("Customer"),
                ..Filter::default()
            },
            &[],
        ),
        (
            "no customer",
            Filter {
                custom_account_id: Some(None),
                ..Filter::default()
            },
            &["beta"],
        ),
        (
            "user",
            Filter {
                custom_user_id: owner("user"),
                ..Filter::default()
            },
            &["Älpha"],
        ),
        (
            "no user",
            Filter {
                custom_user_id: Some(None),
                ..Filter::default()
            },
            &["beta"],
        ),
        (
            "id",
            Filter {
                which: Some(Selector::Id(beta.id)),
                ..Filter::default()
            },
            &["beta"],
        ),
        (
            "key",
            Filter {
                which: Some(Selector::Digest(digest(&plain))),
                ..Filter::default()
            },
            &["Älpha"],
        ),
        (
            "two that exclude each other",
            Filter {
                name: text("beta"),
                project: Some(one.id.clone()),
                ..Filter::default()
            },
            &[],
        ),
    ];
    for (what, filter, expected) in cases {
        assert_eq!(names(&world, &reach, &filter).await, expected, "{what}");
    }
}

async fn activity_is_judged_at_the_instant_of_the_question(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    next(&world, &project, "active").await;
    let off = next(&world, &project, "off").await;
    let suspended = next(&world, &project, "suspended").await;
    let grace = next(&world, &project, "grace").await;
    let end = world.now().plus_seconds(60);
    changed(&world, &off.id, |key| key.status = Status::Inactive).await;
    changed(&world, &suspended.id, |key| key.status = Status::Suspended).await;
    changed(&world, &grace.id, move |key| key.stops_at = Some(end)).await;

    let active = Filter {
        is_active: Some(true),
        ..Filter::default()
    };
    let inactive = Filter {
        is_active: Some(false),
        ..Filter::default()
    };
    let reach = only(&[&project]);
    let before = world.now();
    assert_eq!(
        names_at(&world, &reach, &active, before).await,
        ["active", "grace"]
    );
    assert_eq!(
        names_at(&world, &reach, &inactive, before).await,
        ["off", "suspended"]
    );
    assert_eq!(names_at(&world, &reach, &active, end).await, ["active"]);
    let after = names_at(&world, &reach, &inactive, end).await;
    assert_eq!(after, ["off", "suspended", "grace"]);
}

async fn a_filter_never_widens_the_reach(world: World) {
    let mine = world.project(&world.account("mine").await, "mine").await;
    let theirs = world
        .project(&world.account("theirs").await, "theirs")
        .await;
    let (key, plain) = world.draw_api_key(&theirs, "secret");
    store(&world, &key, &plain).await;
    for filter in [
        Filter {
            project: Some(theirs.id.clone()),
            ..Filter::default()
        },
        Filter {
            account: Some(theirs.account_id.clone()),
            ..Filter::default()
        },
        Filter {
            name: Some("secret".to_owned()),
            ..Filter::default()
        },
        Filter {
            which: Some(Selector::Id(key.id.clone())),
            ..Filter::default()
        },
        Filter {
            which: Some(Selector::Digest(digest(&plain))),
            ..Filter::default()
        },
        Filter {
            is_active: Some(true),
            ..Filter::default()
        },
    ] {
        assert!(
            names(&world, &only(&[&mine]), &filter).await.is_empty(),
            "{filter:?}"
        );
        assert_eq!(names(&world, &everything(), &filter).await, ["secret"]);
    }
}

async fn pages_go_through_equal_instants_without_loss(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    for number in 0..25 {
        // Five instants, five keys each.
        world.clock.advance(i64::from(number % 5 == 0));
        made(&world, &project, &format!("key {number}")).await;
    }
    let none = Filter::default();
    let reach = whole(&mine);
    let list = async |page: Page| {
        let now = world.now();
        api_keys::list(&world.db, &reach, &none, &page, now)
            .await
            .unwrap()
    };
    let all = list(Page::first(1000, 0)).await;
    assert_eq!(all.len(), 25);
    let order = |key: &ApiKey| (key.base.created_at, key.id.clone());
    assert!(all.is_sorted_by_key(order));
    for size in [1, 3, 7, 25, 26] {
        let mut read = list(Page::first(size, 0)).await;
        while let Some(last) = read.last() {
            let page = Page::after(last.base.created_at, last.id.as_str(), size);
            let more = list(page).await;
            if more.is_empty() {
                break;
            }
            // A key that is made meanwhile comes at the end, and moves no page.
            read.extend(more);
        }
        assert_eq!(read, all, "in pages of {size}");
    }
    assert_eq!(list(Page::first(4, 3)).await, all[3..7]);
    assert!(list(Page::first(4, 25)).await.is_empty());
    assert!(list(Page::first(0, 0)).await.is_empty());
}
