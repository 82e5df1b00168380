//! MCP servers: found by token or within a reach, and gone with what they are over.

use claviger_domain::id::Id;
use claviger_domain::key_string::{KeyDigest, PlainKey};
use claviger_domain::rights::{Grant, Reach, Rights};
use claviger_domain::role::Role;
use claviger_domain::time::Timestamp;
use claviger_store::accounts::{self, Account};
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::mcp_servers::{self, Changed, Maker, McpServer};
use claviger_store::projects::{self, Project};
use claviger_store::{Base, Page, events};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

use crate::connected_accounts::{connected, drawn};
use crate::digest;

in_both_worlds![
    a_server_is_found_by_its_token_as_it_was_stored,
    a_server_is_found_within_the_reach_and_under_its_connected_account,
    deleting_is_within_the_reach_and_done_once,
    what_is_held_within_the_reach_is_changed_and_its_maker_stays,
    a_token_that_was_exchanged_is_nobodys,
    a_server_goes_with_its_account,
    a_project_that_goes_is_taken_from_what_makers_held,
    no_server_is_made_over_what_is_not_there,
    a_token_is_one_servers,
];

fn token(name: &str) -> KeyDigest {
    digest(&PlainKey::new(name))
}

fn server(world: &World, connected: &ConnectedAccount, maker: Maker) -> McpServer {
    let role = Grant::on_account(Role::Developer, connected.account.clone());
    McpServer {
        id: Id::draw(&*world.random),
        connected_account_id: connected.id.clone(),
        account: connected.account.clone(),
        project_id: connected.project.as_ref().map(ToString::to_string),
        name: "Agent".to_owned(),
        config: r#"{"methods":["read"]}"#.to_owned(),
        expires_at: Some(world.now().plus_seconds(60)),
        maker,
        maker_rights: Rights::new(vec![role]).into(),
        base: Base::made_by(&world.change()),
    }
}

async fn store(world: &World, server: &McpServer, name: &str) -> bool {
    let (row, digest) = (server.clone(), token(name));
    world
        .write(move |tx, change| {
            Box::pin(async move { mcp_servers::create(tx, &change, &row, &digest).await })
        })
        .await
}

pub(crate) async fn made(world: &World, connected: &ConnectedAccount, name: &str) -> McpServer {
    let maker = Maker::AccessKey(Id::draw(&*world.random));
    let server = server(world, connected, maker);
    assert!(store(world, &server, name).await);
    server
}

pub(crate) async fn by_token(world: &World, name: &str) -> Option<McpServer> {
    mcp_servers::find_by_token(&world.db, &token(name))
        .await
        .unwrap()
}

async fn delete(world: &World, reach: Reach, server: &McpServer) -> Option<McpServer> {
    let (connected, id) = (server.connected_account_id.clone(), server.id.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move { mcp_servers::delete(tx, &change, &reach, &connected, &id).await })
        })
        .await
}

async fn listed(world: &World, reach: &Reach, connected: &ConnectedAccount) -> Vec<McpServer> {
    let page = Page::first(9, 0);
    let (rows, total) = mcp_servers::list(&world.db, reach, &connected.id, &page)
        .await
        .unwrap();
    assert_eq!(total, i64::try_from(rows.len()).unwrap());
    rows
}

async fn account_with_tools(world: &World, name: &'static str) -> (Account, ConnectedAccount) {
    let account = world.account(name).await;
    let connected = connected(world, &account, None, name).await;
    (account, connected)
}

async fn a_server_is_found_by_its_token_as_it_was_stored(world: World) {
    let (_, connected) = account_with_tools(&world, "mine").await;
    let of_key = made(&world, &connected, "one").await;
    let operator = Maker::Operator(Id::draw(&*world.random));
    let of_operator = McpServer {
        expires_at: None,
        maker_rights: Rights::operator().into(),
        ..server(&world, &connected, operator)
    };
    assert!(store(&world, &of_operator, "two").await);
    assert_eq!(by_token(&world, "one").await, Some(of_key.clone()));
    assert_eq!(by_token(&world, "two").await, Some(of_operator.clone()));
    assert_eq!(by_token(&world, "three").await, None);
    let end = of_key.expires_at.unwrap();
    assert!(
        of_key.is_live_at(Timestamp::from_micros(end.as_micros() - 1)) && !of_key.is_live_at(end)
    );
    assert!(of_operator.is_live_at(end));
}

async fn a_server_is_found_within_the_reach_and_under_its_connected_account(world: World) {
    let (mine, connected_mine) = account_with_tools(&world, "mine").await;
    let (foreign, theirs) = account_with_tools(&world, "foreign").await;
    let project = world.project(&mine, "project").await;
    let of_project = connected(&world, &mine, Some(&project), "tenant").await;
    let one = made(&world, &connected_mine, "one").await;
    world.clock.advance(1);
    let two = made(&world, &connected_mine, "two").await;
    let own = made(&world, &of_project, "own").await;

    assert_eq!(
        listed(&world, &whole(&mine), &connected_mine).await,
        [one.clone(), two]
    );
    assert_eq!(listed(&world, &only(&[&project]), &of_project).await, [own]);
    assert!(
        listed(&world, &only(&[&project]), &connected_mine)
            .await
            .is_empty()
    );
    assert!(
        listed(&world, &whole(&foreign), &connected_mine)
            .await
            .is_empty()
    );
    let find = async |reach: &Reach, connected: &ConnectedAccount| {
        mcp_servers::find(&world.db, reach, &connected.id, &one.id)
            .await
            .unwrap()
    };
    assert_eq!(
        find(&whole(&mine), &connected_mine).await,
        Some(one.clone())
    );
    assert_eq!(find(&whole(&mine), &of_project).await, None);
    assert_eq!(find(&whole(&foreign), &connected_mine).await, None);
    assert_eq!(find(&everything(), &theirs).await, None);
}

async fn deleting_is_within_the_reach_and_done_once(world: World) {
    let (mine, connected) = account_with_tools(&world, "mine").await;
    let (foreign, _) = account_with_tools(&world, "foreign").await;
    let server = made(&world, &connected, "one").await;
    assert_eq!(delete(&world, whole(&foreign), &server).await, None);
    assert!(by_token(&world, "one").await.is_some());
    assert_eq!(
        delete(&world, whole(&mine), &server).await,
        Some(server.clone())
    );
    assert_eq!(delete(&world, whole(&mine), &server).await, None);
    assert_eq!(by_token(&world, "one").await, None);
    assert!(listed(&world, &whole(&mine), &connected).await.is_empty());
    let events = events::of_account(&world.db, &mine.id, 99).await.unwrap();
    let kinds: Vec<_> = events
        .iter()
        .filter(|event| event.target == server.id.as_str())
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(kinds, ["mcp-server.created", "mcp-server.deleted"]);
}

async fn what_is_held_within_the_reach_is_changed_and_its_maker_stays(world: World) {
    let (mine, connected) = account_with_tools(&world, "mine").await;
    let (foreign, _) = account_with_tools(&world, "foreign").await;
    let server = made(&world, &connected, "one").await;
    let (over, id) = (connected.id.clone(), server.id.clone());
    let (theirs, ours) = (whole(&foreign), whole(&mine));
    world.clock.advance(1);
    let (refused, held, changed) = world
        .write(move |tx, change| {
            Box::pin(async move {
                let refused = mcp_servers::hold(tx, &theirs, &over, &id).await?;
                let held = mcp_servers::hold(tx, &ours, &over, &id).await?;
                let changed = Changed {
                    name: "Renamed".to_owned(),
                    config: "{}".to_owned(),
                    expires_at: None,
                };
                let changed = mcp_servers::update(tx, &change, &id, &changed).await?;
                Ok((refused, held, changed))
            })
        })
        .await;
    assert_eq!((refused, held), (None, Some(server.clone())));
    let mut expected = McpServer {
        name: "Renamed".to_owned(),
        config: "{}".to_owned(),
        expires_at: None,
        ..server
    };
    expected.base.touch(&world.change());
    assert_eq!(changed, expected);
    assert_eq!(by_token(&world, "one").await, Some(expected));
}

async fn a_token_that_was_exchanged_is_nobodys(world: World) {
    let (mine, connected) = account_with_tools(&world, "mine").await;
    let server = made(&world, &connected, "one").await;
    let (id, next) = (server.id.clone(), token("two"));
    let maker = Maker::User(Id::draw(&*world.random));
    let answers = maker.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { mcp_servers::rotate(tx, &change, &id, &next, &answers).await })
        })
        .await;
    assert_eq!(by_token(&world, "one").await, None);
    let rotated = by_token(&world, "two").await.unwrap();
    assert_eq!((&rotated.id, &rotated.maker), (&server.id, &maker));
    assert_eq!(rotated.maker_rights, server.maker_rights);
    let events = events::of_account(&world.db, &mine.id, 99).await.unwrap();
    assert!(
        events
            .iter()
            .any(|event| event.kind == "mcp-server.rotated")
    );
}

async fn a_server_goes_with_its_account(world: World) {
    let (mine, connected) = account_with_tools(&world, "mine").await;
    made(&world, &connected, "one").await;
    world
        .write(move |tx, change| {
            Box::pin(async move { accounts::delete(tx, &change, &everything(), &mine.id).await })
        })
        .await;
    assert_eq!(by_token(&world, "one").await, None);
}

async fn a_project_that_goes_is_taken_from_what_makers_held(world: World) {
    let (mine, connected) = account_with_tools(&world, "mine").await;
    let mut projects = Vec::new();
    for name in ["one", "two", "three"] {
        projects.push(world.project(&mine, name).await);
    }
    // Their order in a list is that of their ids.
    projects.sort_by(|one, other| one.id.cmp(&other.id));
    let held = |projects: &[Project]| {
        let ids = projects.iter().map(|project| project.id.clone()).collect();
        Grant::on_projects(Role::Developer, mine.reference(), ids)
    };
    let whole = Grant::on_account(Role::Viewer, mine.reference());
    let stored = McpServer {
        maker_rights: Rights::new(vec![held(&projects), whole.clone(), held(&projects[2..])])
            .into(),
        ..server(
            &world,
            &connected,
            Maker::AccessKey(Id::draw(&*world.random)),
        )
    };
    assert!(store(&world, &stored, "agent").await);
    for (gone, left) in [(1, vec![0, 2]), (0, vec![2]), (2, vec![2])] {
        let id = projects[gone].id.clone();
        world
            .write(move |tx, change| {
                Box::pin(async move { projects::delete(tx, &change, &everything(), &id).await })
            })
            .await;
        let left: Vec<_> = left.iter().map(|one| projects[*one].clone()).collect();
        let expected = vec![held(&left), whole.clone(), held(&projects[2..])];
        let rights = by_token(&world, "agent").await.unwrap().maker_rights;
        assert_eq!(*rights, Rights::new(expected));
    }
}

async fn no_server_is_made_over_what_is_not_there(world: World) {
    let mine = world.account("mine").await;
    let absent = drawn(&world, &mine, None, "absent");
    let server = server(&world, &absent, Maker::AccessKey(Id::draw(&*world.random)));
    assert!(!store(&world, &server, "one").await);
    assert_eq!(by_token(&world, "one").await, None);
}

async fn a_token_is_one_servers(world: World) {
    let (_, connected) = account_with_tools(&world, "mine").await;
    made(&world, &connected, "one").await;
    let second = server(
        &world,
        &connected,
        Maker::AccessKey(Id::draw(&*world.random)),
    );
    let (digest, change) = (token("one"), world.change());
    let refused = world
        .db
        .write::<_, claviger_store::StoreError, _>(move |tx| {
            Box::pin(async move { mcp_servers::create(tx, &change, &second, &digest).await })
        })
        .await;
    assert!(refused.is_err());
}
