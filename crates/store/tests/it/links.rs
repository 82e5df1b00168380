//! Links: taken by one browser, answered once, ended once; what accounts say of them, and as whom they ask.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{KeyDigest, PlainKey};
use claviger_domain::rights::{Grant, Rights};
use claviger_domain::role::Role;
use claviger_domain::time::Timestamp;
use claviger_store::accounts::{self, Account};
use claviger_store::link_settings::{self, LinkSettings};
use claviger_store::link_tokens::{self, LinkToken};
use claviger_store::mcp_servers::Maker;
use claviger_store::oauth_clients::{self, OAuthClient};
use claviger_store::{Page, access_keys, connected_accounts, connectors, events};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, whole};

use crate::connected_accounts::connected;
use crate::connectors::made as brought;
use crate::digest;

in_both_worlds![
    a_link_is_found_as_it_was_stored_and_forgotten_a_day_after_its_end,
    one_browser_takes_a_link_and_so_often,
    of_many_at_once_one_browser_takes_a_link,
    an_answer_is_taken_once_and_for_what_was_asked_last,
    a_link_is_ended_once,
    an_account_has_so_many_live_links_and_no_more,
    a_successor_answers_for_links,
    settings_are_the_accounts_own_or_those_above_it,
    clients_are_the_accounts_own_or_those_above_it,
    clients_go_with_their_account,
    connectors_are_the_accounts_own_or_those_above_it,
    one_program_renews_what_is_there_at_a_time,
];

fn token(name: &str) -> KeyDigest {
    digest(&PlainKey::new(name))
}

fn link(world: &World, account: &Account) -> LinkToken {
    let role = Grant::on_account(Role::Developer, account.reference());
    LinkToken {
        id: Id::draw(&*world.random),
        account: account.reference(),
        project: None,
        tenant_id: "tenant".to_owned(),
        connected: None,
        reconnects: false,
        integration: Some("tea".to_owned()),
        redirect_uri: Some("https://app.example.com/".to_owned()),
        scopes: Some(vec!["read".to_owned()]),
        page: None,
        tries: 0,
        maker: Maker::AccessKey(Id::draw(&*world.random)),
        maker_rights: Rights::new(vec![role]),
        expires_at: world.now().plus_seconds(60),
        used_at: None,
        created_at: world.now(),
    }
}

async fn made(world: &World, account: &Account, name: &str) -> LinkToken {
    let link = link(world, account);
    let (row, digest) = (link.clone(), token(name));
    world
        .write(move |tx, change| {
            Box::pin(async move { link_tokens::create(tx, &change, &row, &digest).await })
        })
        .await;
    link
}

async fn an_account_has_so_many_live_links_and_no_more(world: World) {
    let account = world.account("mine").await;
    let other = world.account("other").await;
    let mut rows: Vec<_> = (0..=link_tokens::MOST_LIVE)
        .map(|_| link(&world, &account))
        .collect();
    rows.push(link(&world, &other));
    let stored = world.write(move |tx, change| {
        Box::pin(async move {
            let mut made = Vec::new();
            for row in rows {
                let digest = token(row.id.as_str());
                made.push(link_tokens::create(tx, &change, &row, &digest).await?);
            }
            Ok(made)
        })
    });
    let stored = stored.await;
    let refused: Vec<_> = (0..stored.len()).filter(|place| !stored[*place]).collect();
    assert_eq!(refused, [1_000]);
    let page = Page::first(10, 0);
    let reach = whole(&account);
    let list = async || {
        link_tokens::list_live(&world.db, &reach, world.now(), &page)
            .await
            .unwrap()
    };
    let (listed, total) = list().await;
    assert_eq!((listed.len(), total), (10, 1_000));
    let ended = listed[0].id.clone();
    let end = async |by: &Account| {
        let (id, reach) = (ended.clone(), whole(by));
        world
            .write(move |tx, change| {
                Box::pin(async move { link_tokens::end(tx, &change, &reach, &id).await })
            })
            .await
    };
    assert!(!end(&other).await && end(&account).await && !end(&account).await);
    assert_eq!(list().await.1, 999);
    assert!(take(&world, &ended, "page").await.is_none());
    // And there is room for another one.
    made(&world, &account, "one more").await;
    assert_eq!(list().await.1, 1_000);
}

async fn take(world: &World, id: &Id<id::LinkToken>, page: &str) -> Option<LinkToken> {
    let (id, page) = (id.clone(), token(page));
    world
        .write(move |tx, change| {
            Box::pin(async move { link_tokens::take(tx, &id, &page, 3, change.now).await })
        })
        .await
}

async fn ask(world: &World, id: &Id<id::LinkToken>, state: &str, asked: &'static [u8]) {
    let (id, state) = (id.clone(), token(state));
    world
        .write(move |tx, _| Box::pin(async move { link_tokens::ask(tx, &id, &state, asked).await }))
        .await;
}

async fn answered(
    world: &World,
    id: &Id<id::LinkToken>,
    page: &str,
    state: &str,
) -> Option<Vec<u8>> {
    let (id, page, state) = (id.clone(), token(page), token(state));
    world
        .write(move |tx, change| {
            Box::pin(async move { link_tokens::answered(tx, &id, &page, &state, change.now).await })
        })
        .await
}

async fn finish(world: &World, link: &LinkToken) -> bool {
    let link = link.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { link_tokens::finish(tx, &change, &link).await })
        })
        .await
}

async fn found(world: &World, id: &Id<id::LinkToken>) -> Option<LinkToken> {
    link_tokens::find(&world.db, id).await.unwrap()
}

async fn a_link_is_found_as_it_was_stored_and_forgotten_a_day_after_its_end(world: World) {
    let account = world.account("mine").await;
    let one = made(&world, &account, "one").await;
    let by_token = link_tokens::find_by_token(&world.db, &token("one")).await;
    assert_eq!(by_token.unwrap(), Some(one.clone()));
    let unknown = link_tokens::find_by_token(&world.db, &token("two")).await;
    assert_eq!(unknown.unwrap(), None);
    let end = one.expires_at;
    let before = Timestamp::from_micros(end.as_micros() - 1);
    assert!(one.is_live_at(before) && !one.is_live_at(end));
    world.clock.advance(86_459);
    made(&world, &account, "two").await;
    assert_eq!(found(&world, &one.id).await, Some(one.clone()));
    world.clock.advance(1);
    made(&world, &account, "three").await;
    assert_eq!(found(&world, &one.id).await, None);
}

async fn one_browser_takes_a_link_and_so_often(world: World) {
    let account = world.account("mine").await;
    let one = made(&world, &account, "one").await;
    let taken = take(&world, &one.id, "page").await.unwrap();
    assert_eq!((taken.tries, taken.page), (1, Some(token("page"))));
    assert_eq!(take(&world, &one.id, "another").await, None);
    assert_eq!(take(&world, &one.id, "page").await.unwrap().tries, 2);
    assert_eq!(take(&world, &one.id, "page").await.unwrap().tries, 3);
    assert_eq!(take(&world, &one.id, "page").await, None);
    let two = made(&world, &account, "two").await;
    world.clock.advance(60);
    assert_eq!(take(&world, &two.id, "page").await, None);
}

async fn of_many_at_once_one_browser_takes_a_link(world: World) {
    let account = world.account("mine").await;
    let one = made(&world, &account, "one").await;
    let names: Vec<_> = (0..8).map(|number| format!("page {number}")).collect();
    let taking = names.iter().map(|page| take(&world, &one.id, page));
    let taken = futures::future::join_all(taking).await;
    assert_eq!(taken.into_iter().flatten().count(), 1);
}

async fn an_answer_is_taken_once_and_for_what_was_asked_last(world: World) {
    let account = world.account("mine").await;
    let one = made(&world, &account, "one").await;
    take(&world, &one.id, "page").await.unwrap();
    ask(&world, &one.id, "first", b"first").await;
    ask(&world, &one.id, "second", b"second").await;
    assert_eq!(answered(&world, &one.id, "page", "first").await, None);
    assert_eq!(answered(&world, &one.id, "another", "second").await, None);
    let other = made(&world, &account, "other").await;
    assert_eq!(answered(&world, &other.id, "page", "second").await, None);
    let first = answered(&world, &one.id, "page", "second").await;
    assert_eq!(first.as_deref(), Some(&b"second"[..]));
    assert_eq!(answered(&world, &one.id, "page", "second").await, None);
    ask(&world, &one.id, "third", b"third").await;
    world.clock.advance(60);
    assert_eq!(answered(&world, &one.id, "page", "third").await, None);
}

async fn a_link_is_ended_once(world: World) {
    let account = world.account("mine").await;
    let one = made(&world, &account, "one").await;
    let made_by_it = connected(&world, &account, None, "tenant").await;
    let (id, of_link) = (made_by_it.id.clone(), one.id.clone());
    world
        .write(move |tx, _| {
            Box::pin(async move { link_tokens::note_connected(tx, &of_link, &id).await })
        })
        .await;
    take(&world, &one.id, "page").await.unwrap();
    ask(&world, &one.id, "state", b"asked").await;
    assert!(finish(&world, &one).await && !finish(&world, &one).await);
    let ended = found(&world, &one.id).await.unwrap();
    assert_eq!(ended.used_at, Some(world.now()));
    assert_eq!(ended.connected, Some(made_by_it.id.clone()));
    assert_eq!(take(&world, &one.id, "page").await, None);
    assert_eq!(answered(&world, &one.id, "page", "state").await, None);
    let trail = events::of_account(&world.db, &account.id, 9).await.unwrap();
    let of_link: Vec<_> = trail
        .iter()
        .filter(|it| it.target == one.id.as_str())
        .collect();
    let kinds: Vec<_> = of_link.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["link-token.created", "link-token.used"]);
    assert!(of_link[1].data.contains(made_by_it.id.as_str()));
}

async fn a_successor_answers_for_links(world: World) {
    let account = world.account("mine").await;
    let one = made(&world, &account, "one").await;
    let Maker::AccessKey(from) = one.maker.clone() else {
        panic!("an access key made it");
    };
    let to = Id::draw(&*world.random);
    let successor = to.clone();
    world
        .write(move |tx, _| Box::pin(async move { access_keys::hand_over(tx, &from, &to).await }))
        .await;
    let maker = found(&world, &one.id).await.unwrap().maker;
    assert_eq!(maker, Maker::AccessKey(successor));
}

async fn settings_are_the_accounts_own_or_those_above_it(world: World) {
    let parent = world.account("parent").await;
    let child = world.child(&parent, "child").await;
    let settings = |name: &str| LinkSettings {
        redirect_uris: vec![format!("https://{name}.example.com/")],
        origins: vec![format!("https://{name}.example.com")],
    };
    let set = async |account: &Account, settings: LinkSettings| {
        let id = account.id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move { link_settings::set(tx, &change, &id, &settings).await })
            })
            .await;
    };
    let meant = async |account: &Account| {
        link_settings::meant_by(&world.db, &account.reference())
            .await
            .unwrap()
    };
    assert_eq!(meant(&child).await, LinkSettings::default());
    set(&parent, settings("first")).await;
    set(&parent, settings("parent")).await;
    assert_eq!(meant(&child).await, settings("parent"));
    set(&child, settings("child")).await;
    assert_eq!(meant(&child).await, settings("child"));
    assert_eq!(meant(&parent).await, settings("parent"));
    let foreign = world.account("foreign").await;
    assert_eq!(meant(&foreign).await, LinkSettings::default());
}

async fn set_client(world: &World, account: &Account, id: &str) -> OAuthClient {
    let client = OAuthClient {
        account: account.id.clone(),
        integration: "tea".to_owned(),
        client_id: id.to_owned(),
        sealed: b"sealed \0 bytes".to_vec(),
        updated_at: world.now(),
    };
    let stored = client.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { oauth_clients::set(tx, &change, &stored).await })
        })
        .await;
    client
}

async fn client_of(world: &World, account: &Account) -> Option<OAuthClient> {
    let account = account.reference();
    oauth_clients::meant_by(&world.db, &account, "tea")
        .await
        .unwrap()
}

async fn clients_are_the_accounts_own_or_those_above_it(world: World) {
    let parent = world.account("parent").await;
    let child = world.child(&parent, "child").await;
    set_client(&world, &parent, "first").await;
    let above = set_client(&world, &parent, "parent").await;
    assert_eq!(client_of(&world, &child).await, Some(above.clone()));
    let own = set_client(&world, &child, "child").await;
    assert_eq!(client_of(&world, &child).await, Some(own));
    let other = oauth_clients::meant_by(&world.db, &parent.reference(), "other").await;
    assert_eq!(other.unwrap(), None);
    let delete = async || {
        let id = child.id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move { oauth_clients::delete(tx, &change, &id, "tea").await })
            })
            .await
    };
    assert!(delete().await && !delete().await);
    assert_eq!(client_of(&world, &child).await, Some(above));
    let trail = events::of_account(&world.db, &child.id, 9).await.unwrap();
    let told: Vec<_> = trail
        .iter()
        .rev()
        .take(2)
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(told, ["oauth-client.deleted", "oauth-client.updated"]);
    assert!(trail.iter().all(|event| !event.data.contains("sealed")));
}

async fn clients_go_with_their_account(world: World) {
    let account = world.account("mine").await;
    set_client(&world, &account, "mine").await;
    let (id, reach) = (account.id.clone(), whole(&account));
    world
        .write(move |tx, change| {
            Box::pin(async move { accounts::delete(tx, &change, &reach, &id).await.map(drop) })
        })
        .await;
    assert_eq!(client_of(&world, &account).await, None);
}

async fn connectors_are_the_accounts_own_or_those_above_it(world: World) {
    let parent = world.account("parent").await;
    let child = world.child(&parent, "child").await;
    let foreign = world.account("foreign").await;
    for (account, slug) in [
        (&parent, "tea"),
        (&parent, "wine"),
        (&child, "tea"),
        (&foreign, "beer"),
    ] {
        brought(&world, account, slug).await.unwrap();
    }
    for account in [&child, &parent] {
        let usable = connectors::usable_by(&world.db, &account.reference(), 9)
            .await
            .unwrap();
        let usable: Vec<_> = usable.iter().map(|(slug, _)| slug.as_str()).collect();
        assert_eq!(usable, ["tea", "wine"]);
    }
    let first = connectors::usable_by(&world.db, &parent.reference(), 1)
        .await
        .unwrap();
    assert_eq!(first, [("tea".to_owned(), "Tea".to_owned())]);
}

async fn one_program_renews_what_is_there_at_a_time(world: World) {
    const BEFORE: &[u8] = b"sealed \0 bytes";
    let account = world.account("mine").await;
    let id = connected(&world, &account, None, "tenant").await.id;
    let claim = async |sealed: &'static [u8]| {
        let id = id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    let until = change.now.plus_seconds(40);
                    connected_accounts::claim_renewal(tx, &id, sealed, change.now, until).await
                })
            })
            .await
    };
    let end = async |sealed: &'static [u8], renewed: Option<&'static [u8]>| {
        let id = id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    connected_accounts::end_renewal(tx, &change, &id, sealed, renewed).await
                })
            })
            .await
    };
    let sealed = async || {
        connected_accounts::sealed_credentials(&world.db, &id)
            .await
            .unwrap()
            .unwrap()
    };
    assert!(!claim(b"others").await && claim(BEFORE).await && !claim(BEFORE).await);
    // Whoever claimed it is gone.
    world.clock.advance(40);
    assert!(claim(BEFORE).await);
    // What was fetched cannot be stored: it is kept for longer.
    world.clock.advance(39);
    let (of, until) = (id.clone(), world.now().plus_seconds(40));
    let extended = world.write(move |tx, _| {
        Box::pin(async move { connected_accounts::extend_renewal(tx, &of, BEFORE, until).await })
    });
    extended.await;
    world.clock.advance(39);
    assert!(!claim(BEFORE).await);
    let found = connected_accounts::renewable(&world.db, &id).await.unwrap();
    let found = found.unwrap();
    assert_eq!(
        (&found.sealed[..], found.claimed_until),
        (BEFORE, Some(until))
    );
    assert!(
        end(BEFORE, None).await && claim(BEFORE).await,
        "it was in vain"
    );
    assert!(end(BEFORE, Some(b"renewed")).await);
    assert_eq!(sealed().await, b"renewed");
    assert!(!end(BEFORE, Some(b"too late")).await && !claim(BEFORE).await);
    assert!(claim(b"renewed").await);
    assert_eq!(sealed().await, b"renewed");
}
