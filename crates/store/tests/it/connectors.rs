//! Connectors of accounts: who has which, and what becomes of their texts.

use claviger_domain::id::Id;
use claviger_store::accounts::{self, Account};
use claviger_store::connectors::{self, StoredConnector, Texts};
use claviger_store::{Base, Page, events, retention};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, whole};

use crate::connected_accounts::connected;

in_both_worlds![
    a_name_is_of_one_connector_an_account_and_stays_with_its_texts,
    an_account_means_its_own_connector_and_else_its_parents,
    a_change_needs_what_it_was_made_of,
    a_connector_goes_with_its_account_and_leaves_no_text,
];

fn texts(word: &str) -> Texts {
    Texts {
        file: format!("{{\"slug\":\"{word}\"}}"),
        document: "{}".to_owned(),
        sealed_values: Some(word.as_bytes().to_vec()),
    }
}

pub(crate) async fn made(world: &World, account: &Account, slug: &str) -> Option<StoredConnector> {
    let row = StoredConnector {
        id: Id::draw(&*world.random),
        account: account.reference(),
        slug: slug.to_owned(),
        label: "Tea".to_owned(),
        category: None,
        digest: vec![1; 32],
        base: Base::made_by(&world.change()),
    };
    let (stored, texts) = (row.clone(), texts(slug));
    let is_new = world
        .write(move |tx, change| {
            Box::pin(async move { connectors::create(tx, &change, &stored, &texts).await })
        })
        .await;
    world.clock.advance(1);
    is_new.then_some(row)
}

async fn read(world: &World, connector: &StoredConnector) -> Option<(StoredConnector, Texts)> {
    let read = connectors::with_texts(&world.db, &connector.id).await;
    read.unwrap()
}

async fn a_name_is_of_one_connector_an_account_and_stays_with_its_texts(world: World) {
    let (mine, foreign) = (world.account("mine").await, world.account("foreign").await);
    let tea = made(&world, &mine, "tea").await.unwrap();
    assert_eq!(made(&world, &mine, "tea").await, None);
    let theirs = made(&world, &foreign, "tea").await.unwrap();
    made(&world, &mine, "cups").await.unwrap();

    let find = async |account: &Account, slug: &str| {
        let found = connectors::find(&world.db, &whole(account), slug, None).await;
        found.unwrap()
    };
    assert_eq!(find(&mine, "tea").await, Some(tea.clone()));
    assert_eq!(find(&foreign, "tea").await, Some(theirs.clone()));
    assert_eq!(find(&foreign, "cups").await, None);
    let of = connectors::find(&world.db, &everything(), "tea", Some(&foreign.id)).await;
    assert_eq!(of.unwrap(), Some(theirs));
    let (rows, total) = connectors::list(&world.db, &whole(&mine), None, &Page::first(1, 1))
        .await
        .unwrap();
    assert_eq!((rows[0].slug.as_str(), total), ("cups", 2));
    assert_eq!(read(&world, &tea).await, Some((tea.clone(), texts("tea"))));
    let events = events::of_account(&world.db, &mine.id, 9).await.unwrap();
    let event = events.iter().find(|event| event.target == tea.id.as_str());
    assert_eq!(event.unwrap().kind, "connector.created");
}

async fn an_account_means_its_own_connector_and_else_its_parents(world: World) {
    let parent = world.account("parent").await;
    let (child, other) = (
        world.child(&parent, "child").await,
        world.account("other").await,
    );
    let above = made(&world, &parent, "tea").await.unwrap();
    let meant = async |account: &Account| {
        let meant = connectors::meant_by(&world.db, &account.reference(), "tea").await;
        meant.unwrap().map(|connector| connector.id)
    };
    assert_eq!(meant(&child).await, Some(above.id.clone()));
    assert_eq!(meant(&other).await, None);
    let cups = made(&world, &parent, "cups").await.unwrap();
    made(&world, &world.child(&parent, "sibling").await, "spoons").await;
    let listed = async |account: &Account| {
        let (reach, of) = (whole(account), account.reference());
        let page = Page::first(9, 0);
        let listed = connectors::list(&world.db, &reach, Some(&of), &page).await;
        let (rows, total) = listed.unwrap();
        assert_eq!(i64::try_from(rows.len()), Ok(total));
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(&child).await, [above.id.clone(), cups.id.clone()]);
    assert_eq!(listed(&other).await, []);
    let own = made(&world, &child, "tea").await.unwrap();
    assert_eq!(meant(&child).await, Some(own.id.clone()));
    assert_eq!(meant(&parent).await, Some(above.id.clone()));
    // What it means by a name is its own from now on; whoever is above has all of them in reach.
    assert_eq!(listed(&child).await, [cups.id, own.id]);
    assert_eq!(listed(&parent).await.len(), 4);
}

async fn a_change_needs_what_it_was_made_of(world: World) {
    let mine = world.account("mine").await;
    let mut tea = made(&world, &mine, "tea").await.unwrap();
    tea.label = "More tea".to_owned();
    tea.digest = vec![2; 32];
    let update = async |before: Vec<u8>| {
        let row = tea.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    connectors::update(tx, &change, &before, &row, &texts("new")).await
                })
            })
            .await
    };
    assert!(!update(vec![9; 32]).await);
    assert!(update(vec![1; 32]).await);
    assert!(!update(vec![1; 32]).await);
    // Its texts come with the digest that is theirs.
    let (row, of_row) = read(&world, &tea).await.unwrap();
    assert_eq!((row.digest, of_row), (vec![2; 32], texts("new")));
    let found = connectors::find(&world.db, &whole(&mine), "tea", None).await;
    assert_eq!(found.unwrap().unwrap().label, "More tea");
}

async fn a_connector_goes_with_its_account_and_leaves_no_text(world: World) {
    let (mine, leaving) = (world.account("mine").await, world.account("leaving").await);
    let tea = made(&world, &mine, "theauthapi").await.unwrap();
    let gone = made(&world, &leaving, "tea").await.unwrap();
    connected(&world, &mine, None, "tenant").await;
    let row = tea.clone();
    let (uses, count, deleted) = world
        .write(move |tx, change| {
            Box::pin(async move {
                let uses = connectors::uses(tx, &row).await?;
                let count = connectors::count(tx, &row.account.id).await?;
                let deleted = connectors::delete(tx, &change, &row).await?;
                Ok((uses, count, deleted))
            })
        })
        .await;
    assert_eq!((uses, count, deleted), (1, 1, true));
    assert_eq!(read(&world, &tea).await, None);
    let texts = "SELECT file || document FROM connectors WHERE slug = 'theauthapi'";
    assert_eq!(world.raw(false, texts).await, [String::new()]);
    assert!(made(&world, &mine, "theauthapi").await.is_some());

    let id = leaving.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { accounts::delete(tx, &change, &everything(), &id).await })
        })
        .await;
    assert_eq!(read(&world, &gone).await, None);
    let later = world.now().plus_seconds(1);
    retention::remove_deleted(&world.db, later, 10)
        .await
        .unwrap();
    let left = "SELECT slug FROM connectors WHERE deleted_at IS NOT NULL";
    assert!(world.raw(false, left).await.is_empty());
}
