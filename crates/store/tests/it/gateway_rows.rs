//! Rows of the gateway: connected accounts and the log of calls.

use claviger_domain::id::Id;
use claviger_domain::rights::Reach;
use claviger_store::accounts;
use claviger_store::call_log::{self, Call};
use claviger_store::connected_accounts::{self, ConnectedAccount, Filter};
use claviger_store::projects::Project;
use claviger_store::{Base, Page};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

in_both_worlds![
    a_connected_account_is_reached_by_its_project_its_account_and_its_root,
    a_connected_account_goes_with_its_account,
    calls_are_listed_within_the_reach_the_latest_first,
];

async fn connect(world: &World, project: &Project, is_for_it: bool) -> ConnectedAccount {
    let connected = ConnectedAccount {
        id: Id::draw(&*world.random),
        account: project.account(),
        project: is_for_it.then(|| project.id.clone()),
        integration: "claviger".to_owned(),
        tenant_id: "tenant".to_owned(),
        authentication_method: "api_key".to_owned(),
        status: "active".to_owned(),
        base: Base::made_by(&world.change()),
    };
    let row = connected.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move {
                connected_accounts::create(tx, &change, &row, b"sealed \0 bytes").await
            })
        })
        .await;
    connected
}

async fn a_connected_account_is_reached_by_its_project_its_account_and_its_root(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let project = world.project(&child, "project").await;
    let beside = world.project(&child, "beside").await;
    let of_project = connect(&world, &project, true).await;
    world.clock.advance(1);
    let of_account = connect(&world, &project, false).await;
    let both = [of_project.clone(), of_account.clone()];
    let cases = [
        (everything(), &both[..]),
        (whole(&mine), &both[..]),
        (whole(&child), &both[..]),
        (only(&[&project]), &both[..1]),
        (only(&[&beside]), &[]),
        (whole(&foreign), &[]),
        (Reach::default(), &[]),
    ];
    for (reach, expected) in cases {
        let page = Page::first(9, 0);
        let listed = connected_accounts::list(&world.db, &reach, &Filter::default(), &page).await;
        let (rows, total) = listed.unwrap();
        assert_eq!(rows, expected, "{reach:?}");
        assert_eq!(total, i64::try_from(expected.len()).unwrap());
        for one in &both {
            let found = connected_accounts::find(&world.db, &reach, &one.id)
                .await
                .unwrap();
            assert_eq!(
                found.as_ref(),
                expected.contains(one).then_some(one),
                "{reach:?}"
            );
        }
    }
    let sealed = connected_accounts::sealed_credentials(&world.db, &of_project.id).await;
    assert_eq!(sealed.unwrap().as_deref(), Some(&b"sealed \0 bytes"[..]));
}

async fn a_connected_account_goes_with_its_account(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let connected = connect(&world, &project, true).await;
    world
        .write(move |tx, change| {
            Box::pin(async move { accounts::delete(tx, &change, &everything(), &mine.id).await })
        })
        .await;
    let found = connected_accounts::find(&world.db, &everything(), &connected.id).await;
    assert_eq!(found.unwrap(), None);
    let sealed = connected_accounts::sealed_credentials(&world.db, &connected.id).await;
    assert_eq!(sealed.unwrap(), None);
}

async fn calls_are_listed_within_the_reach_the_latest_first(world: World) {
    let mine = world.account("mine").await;
    let project = world.project(&mine, "project").await;
    let beside = world.project(&mine, "beside").await;
    let foreign = world.account("foreign").await;
    let mut calls = Vec::new();
    for number in 0..6 {
        // Two calls an instant.
        world.clock.advance(i64::from(number % 2 == 0));
        let call = Call {
            id: Id::draw(&*world.random),
            at: world.now(),
            account_id: mine.id.clone(),
            root_account_id: mine.id.clone(),
            project_id: Some(project.id.to_string()),
            log_type: "mcp".to_owned(),
            connected_account_id: Id::draw(&*world.random),
            mcp_server_id: None,
            tool_name: format!("tool_{number}"),
            resource: "api-keys".to_owned(),
            method: "list".to_owned(),
            client_name: None,
            client_version: Some("1".to_owned()),
            status: 200,
            upstream_status: None,
            duration_us: 5,
            upstream_duration_us: Some(4),
            request_id: "req_1".to_owned(),
            argument_names: "[]".to_owned(),
            arguments_digest: vec![0, 255],
        };
        call_log::append(&world.db, &call).await.unwrap();
        calls.push(call);
    }
    calls.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    let list = async |reach: Reach, filter: call_log::Filter, before, limit| {
        call_log::list(&world.db, &reach, &filter, before, limit)
            .await
            .unwrap()
    };
    let none = call_log::Filter::default;
    for reach in [everything(), whole(&mine), only(&[&project])] {
        assert_eq!(list(reach, none(), None, 9).await, calls);
    }
    for reach in [Reach::default(), whole(&foreign), only(&[&beside])] {
        assert!(list(reach, none(), None, 9).await.is_empty());
    }
    let first = list(whole(&mine), none(), None, 3).await;
    let end = (first[2].at, first[2].id.to_string());
    let rest = list(whole(&mine), none(), Some(&end), 9).await;
    assert_eq!([first, rest].concat(), calls);
    let of_tool = call_log::Filter {
        tool_name: Some("tool_4".to_owned()),
        ..none()
    };
    assert_eq!(list(whole(&mine), of_tool, None, 9).await.len(), 1);
}
