//! The log of calls: read by reach and filter, the latest first.

use claviger_domain::id::Id;
use claviger_domain::rights::Reach;
use claviger_store::accounts::Account;
use claviger_store::call_log::{self, Batch, Call, Filter};
use claviger_store::projects::Project;
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

in_both_worlds![
    a_call_comes_back_as_it_was_written,
    calls_are_seen_within_the_reach,
    filters_narrow_and_parts_go_back_in_time,
    a_call_in_two_places_of_a_reach_is_listed_once,
    calls_of_many_accounts_are_those_within_the_reach,
    calls_of_a_server_are_those_within_the_reach,
];

pub(crate) fn call(
    world: &World,
    account: &Account,
    project: Option<&Project>,
    tool: &str,
) -> Call {
    Call {
        id: Id::draw(&*world.random),
        at: world.now(),
        account_id: account.id.clone(),
        root_account_id: account.root_account_id.clone(),
        project_id: project.map(|project| project.id.to_string()),
        log_type: "mcp".to_owned(),
        connected_account_id: Id::from_trusted("cac_one"),
        mcp_server_id: Some("mcp_one".to_owned()),
        tool_name: tool.to_owned(),
        resource: "api_keys".to_owned(),
        method: "list".to_owned(),
        client_name: Some("kettle".to_owned()),
        client_version: None,
        status: 200,
        upstream_status: Some(200),
        duration_us: 1_500,
        upstream_duration_us: Some(1_000),
        request_id: "req_one".to_owned(),
        argument_names: r#"["limit"]"#.to_owned(),
        arguments_digest: vec![0, 255, 7],
        is_dry_run: false,
    }
}

pub(crate) async fn logged(world: &World, call: &Call) {
    let batch = Batch::from_iter([&call.into()]);
    call_log::append(&world.db, &batch).await.unwrap();
}

pub(crate) async fn tools(world: &World, reach: &Reach, filter: &Filter) -> Vec<String> {
    let calls = call_log::list(&world.db, reach, filter, None, 100)
        .await
        .unwrap();
    calls.into_iter().map(|call| call.tool_name).collect()
}

async fn a_call_comes_back_as_it_was_written(world: World) {
    let mine = world.account("mine").await;
    let full = call(&world, &mine, None, "full");
    logged(&world, &full).await;
    world.clock.advance(1);
    let bare = Call {
        mcp_server_id: None,
        client_name: None,
        upstream_status: None,
        upstream_duration_us: None,
        is_dry_run: true,
        ..call(&world, &mine, None, "bare")
    };
    logged(&world, &bare).await;
    let read = call_log::list(&world.db, &whole(&mine), &Filter::default(), None, 9).await;
    assert_eq!(read.unwrap(), [bare, full.clone()]);
    assert_eq!(full.account(), mine.reference());
}

async fn calls_are_seen_within_the_reach(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let project = world.project(&mine, "project").await;
    for (account, project, tool) in [
        (&mine, None, "whole"),
        (&mine, Some(&project), "own"),
        (&child, None, "below"),
        (&foreign, None, "theirs"),
    ] {
        logged(&world, &call(&world, account, project, tool)).await;
        world.clock.advance(1);
    }
    let seen = async |reach: &Reach| tools(&world, reach, &Filter::default()).await;
    assert_eq!(seen(&whole(&mine)).await, ["below", "own", "whole"]);
    assert_eq!(seen(&whole(&child)).await, ["below"]);
    assert_eq!(seen(&only(&[&project])).await, ["own"]);
    assert_eq!(seen(&everything()).await.len(), 4);
    assert!(seen(&Reach::default()).await.is_empty());
}

async fn filters_narrow_and_parts_go_back_in_time(world: World) {
    let mine = world.account("mine").await;
    let begin = world.now();
    for number in 0..6 {
        let base = call(
            &world,
            &mine,
            None,
            if number % 2 == 0 { "even" } else { "odd" },
        );
        let status = if number == 5 { 404 } else { 200 };
        let server = (number > 0).then(|| "mcp_two".to_owned());
        logged(
            &world,
            &Call {
                status,
                mcp_server_id: server,
                ..base
            },
        )
        .await;
        // Two at each instant, so that ids decide as well.
        world.clock.advance(i64::from(number % 2));
    }
    let reach = whole(&mine);
    let count = async |filter: Filter| tools(&world, &reach, &filter).await.len();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        count(Filter {
            tool_name: text("even"),
            ..Filter::default()
        })
        .await,
        3
    );
    assert_eq!(
        count(Filter {
            status: Some(404),
            ..Filter::default()
        })
        .await,
        1
    );
    assert_eq!(
        count(Filter {
            mcp_server_id: text("mcp_two"),
            ..Filter::default()
        })
        .await,
        5
    );
    assert_eq!(
        count(Filter {
            log_type: text("proxy"),
            ..Filter::default()
        })
        .await,
        0
    );
    assert_eq!(
        count(Filter {
            after: Some(begin),
            ..Filter::default()
        })
        .await,
        4
    );
    let before = Filter {
        before: Some(begin.plus_seconds(1)),
        ..Filter::default()
    };
    assert_eq!(count(before).await, 2);

    let filter = Filter::default();
    let all = call_log::list(&world.db, &reach, &filter, None, 9)
        .await
        .unwrap();
    let mut parts = Vec::new();
    let mut from = None;
    loop {
        let part = call_log::list(&world.db, &reach, &filter, from.as_ref(), 2)
            .await
            .unwrap();
        let Some(last) = part.last() else { break };
        from = Some((last.at, last.id.to_string()));
        parts.extend(part);
    }
    assert_eq!(parts, all);
    assert!(
        all.is_sorted_by(|one, other| (one.at, one.id.as_str()) > (other.at, other.id.as_str()))
    );
}

async fn a_call_in_two_places_of_a_reach_is_listed_once(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let other = world.account("other").await;
    let project = world.project(&other, "project").await;
    let own = only(&[&project]);
    for number in 0..3 {
        for (account, project) in [(&mine, None), (&child, None), (&other, Some(&project))] {
            let tool = format!("{}-{number}", account.name);
            logged(&world, &call(&world, account, project, &tool)).await;
            world.clock.advance(1);
        }
    }
    let reach = Reach {
        accounts: vec![mine.reference(), child.reference()],
        ..own
    };
    let latest = call_log::list(&world.db, &reach, &Filter::default(), None, 4).await;
    let latest: Vec<_> = latest.unwrap().into_iter().map(|it| it.tool_name).collect();
    assert_eq!(latest, ["other-2", "child-2", "mine-2", "other-1"]);
    assert_eq!(tools(&world, &reach, &Filter::default()).await.len(), 9);
}

async fn calls_of_a_server_are_those_within_the_reach(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    for (account, tool) in [(&mine, "own"), (&foreign, "theirs")] {
        logged(&world, &call(&world, account, None, tool)).await;
    }
    let filter = Filter {
        mcp_server_id: Some("mcp_one".to_owned()),
        ..Filter::default()
    };
    assert_eq!(tools(&world, &whole(&mine), &filter).await, ["own"]);
    assert_eq!(tools(&world, &everything(), &filter).await.len(), 2);
    assert!(tools(&world, &Reach::default(), &filter).await.is_empty());
}

async fn calls_of_many_accounts_are_those_within_the_reach(world: World) {
    let foreign = world.account("foreign").await;
    let mut mine = Vec::new();
    for name in "a b c d e f g h i j k l m n o p q r s t".split(' ') {
        let account = world.account(name).await;
        logged(&world, &call(&world, &account, None, &account.name)).await;
        logged(&world, &call(&world, &foreign, None, "theirs")).await;
        world.clock.advance(1);
        mine.push(account);
    }
    for count in [3, 20] {
        let reach = Reach {
            accounts: mine[..count].iter().map(Account::reference).collect(),
            ..Reach::default()
        };
        let expected = mine[..count].iter().rev().map(|one| one.name.clone());
        let seen = tools(&world, &reach, &Filter::default()).await;
        assert_eq!(seen, expected.collect::<Vec<_>>());
    }
}
