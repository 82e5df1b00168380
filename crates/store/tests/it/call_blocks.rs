//! The log of calls as it is kept, in blocks: whatever was written together, each reach lists its own lines,
//! in order and once.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;
use claviger_store::call_log::{self, Call, Filter, Line};
use claviger_store::{StoreError, retention};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, whole};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use proptest::{bool, option};

use crate::call_log::{call, tools};

in_both_worlds![
    a_listing_is_what_is_found_among_all_lines,
    a_long_call_is_listed_where_it_began,
    calls_that_took_long_share_a_block,
    lines_that_were_written_twice_are_listed_once,
    a_block_of_another_tenant_is_not_even_read,
    a_line_of_a_sibling_in_the_same_block_is_not_listed,
    large_blocks_are_removed_a_few_at_a_time,
    a_block_goes_with_its_places_and_younger_ones_stay,
];

/// Families; nobody reaches anything in the last one but who reaches everything.
const FAMILIES: u8 = 4;
/// Accounts of each, of which the first is the root.
const ACCOUNTS: u8 = 7;

fn account(family: u8, number: u8) -> AccountRef {
    let id = |number| Id::from_trusted(format!("acc_{family}_{number}"));
    AccountRef {
        id: id(number),
        root: id(0),
    }
}

fn project(family: u8, number: u8, which: u8) -> Id<id::Project> {
    Id::from_trusted(format!("prj_{family}_{number}_{which}"))
}

/// Many are the same, and many are where a block has to end.
fn instant() -> impl Strategy<Value = Timestamp> {
    (0..6_i64, 0..3_i64)
        .prop_map(|(halves, micros)| Timestamp::from_micros(halves * 500_000 + micros))
}

/// One line, without its id.
fn line() -> impl Strategy<Value = Call> {
    let place = (0..FAMILIES, 0..ACCOUNTS, option::of(0..2_u8));
    let server = option::of(0..3_u8);
    let rest = (0..2_u8, bool::ANY, bool::weighted(0.1));
    (place, server, instant(), rest).prop_map(|(place, server, at, rest)| {
        let (family, number, which) = place;
        let (tool, is_fine, is_long) = rest;
        let account = account(family, number);
        Call {
            id: Id::from_trusted("cal_"),
            at,
            account_id: account.id,
            root_account_id: account.root,
            project_id: which.map(|which| project(family, number, which).to_string()),
            log_type: if server.is_some() { "mcp" } else { "proxy" }.to_owned(),
            connected_account_id: Id::from_trusted("cac_one"),
            // The first is of whoever asks, which no server is.
            mcp_server_id: server.map(|server| match server {
                0 => "mcp_all".to_owned(),
                _ => format!("mcp_{family}_{server}"),
            }),
            tool_name: format!("tool_{tool}"),
            resource: "\u{0}\"ü".to_owned(),
            method: "list".to_owned(),
            client_name: None,
            client_version: None,
            status: if is_fine { 200 } else { 404 },
            upstream_status: None,
            duration_us: 1,
            upstream_duration_us: None,
            request_id: "req_one".to_owned(),
            argument_names: if is_long { "x" } else { "" }.repeat(60_000),
            arguments_digest: vec![0, 255, 7],
            is_dry_run: !is_fine,
        }
    })
}

/// How often lines are written: once, twice, or once together and then each alone.
#[derive(Clone, Copy, Debug)]
enum Written {
    Once,
    Twice,
    AlsoAlone,
}

/// Lines that are written together.
fn batch() -> impl Strategy<Value = (Vec<Call>, Written)> {
    let often = prop_oneof![
        4 => Just(Written::Once),
        1 => Just(Written::Twice),
        1 => Just(Written::AlsoAlone),
    ];
    let lines = vec((line(), any::<u16>()), 1..60).prop_map(|lines| {
        let with_id = |(place, (call, chance)): (usize, (Call, u16))| Call {
            id: Id::from_trusted(format!("cal_{chance:05}_{place}")),
            ..call
        };
        lines.into_iter().enumerate().map(with_id).collect()
    });
    (lines, often)
}

/// A reach of little, of more accounts than are read one after the other, or of everything.
fn reach() -> impl Strategy<Value = Reach> {
    let reached = 0..FAMILIES - 1;
    let places = |least: u8| {
        let in_family = move |family| (least..ACCOUNTS).map(move |number| (family, number));
        reached.clone().flat_map(in_family).collect::<Vec<_>>()
    };
    let (all, children) = (places(0), places(1));
    let few = (
        subsequence(all.clone(), 0..=3),
        subsequence(all, 0..=3),
        0..2_u8,
    );
    let few = few.prop_map(|(accounts, in_projects, which)| Reach {
        everything: false,
        accounts: accounts.iter().map(|it| account(it.0, it.1)).collect(),
        projects: (in_projects.iter())
            .map(|it| project(it.0, it.1, which))
            .collect(),
        bare_accounts: in_projects.iter().map(|it| account(it.0, it.1)).collect(),
    });
    let many = subsequence(children, 17..=18).prop_map(|accounts| Reach {
        accounts: accounts.iter().map(|it| account(it.0, it.1)).collect(),
        ..Reach::default()
    });
    prop_oneof![6 => few, 1 => many, 1 => Just(everything())]
}

fn filter() -> impl Strategy<Value = Filter> {
    let bound = || option::weighted(0.2, instant());
    let text = |texts: &'static [&'static str]| {
        option::weighted(0.3, prop::sample::select(texts).prop_map(ToOwned::to_owned))
    };
    let status = option::weighted(0.2, prop::sample::select(&[200_i64, 404][..]));
    (
        text(&["mcp", "proxy"]),
        bound(),
        bound(),
        text(&["mcp_all", "mcp_0_1", "mcp_1_2", "mcp_3_1"]),
        text(&["tool_0"]),
        status,
    )
        .prop_map(
            |(log_type, after, before, mcp_server_id, tool_name, status)| Filter {
                log_type,
                after,
                before,
                mcp_server_id,
                tool_name,
                status,
            },
        )
}

/// What is listed, and how many lines at a time.
type Question = (Reach, Filter, usize);

fn story() -> impl Strategy<Value = (Vec<(Vec<Call>, Written)>, Vec<Question>)> {
    let batches = vec(batch(), 1..5).prop_map(|mut batches| {
        // No two lines have the same id.
        for (number, (calls, _)) in batches.iter_mut().enumerate() {
            for call in calls {
                call.id = Id::from_trusted(format!("{}_{number}", call.id));
            }
        }
        batches
    });
    (batches, vec((reach(), filter(), 1..40_usize), 1..12))
}

/// The same by looking at each line.
fn expected(lines: &[Call], reach: &Reach, filter: &Filter) -> Vec<Call> {
    let is_same = |wanted: &Option<String>, text: Option<&String>| {
        wanted.is_none() || wanted.as_ref() == text
    };
    let is_wanted = |call: &&Call| {
        let mut projects = reach.projects.iter();
        let project = call.project_id.as_deref();
        (reach.reaches_account(&call.account()) || projects.any(|it| Some(it.as_str()) == project))
            && is_same(&filter.log_type, Some(&call.log_type))
            && is_same(&filter.mcp_server_id, call.mcp_server_id.as_ref())
            && is_same(&filter.tool_name, Some(&call.tool_name))
            && filter.status.is_none_or(|status| status == call.status)
            && filter.after.is_none_or(|after| after < call.at)
            && filter.before.is_none_or(|before| call.at < before)
    };
    let mut calls: Vec<Call> = lines.iter().filter(is_wanted).cloned().collect();
    calls.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
    calls
}

async fn append(world: &World, calls: &[Call]) {
    let lines: Vec<Line> = calls.iter().map(Line::from).collect();
    let batch = lines.iter().collect();
    call_log::append(&world.db, &batch).await.unwrap();
}

/// Writes the lines of a story, and compares what is listed, part by part.
async fn check(
    world: &World,
    batches: &[(Vec<Call>, Written)],
    questions: &[Question],
) -> Result<(), TestCaseError> {
    world.raw(true, "DELETE FROM call_blocks").await;
    world.raw(true, "DELETE FROM call_block_places").await;
    for (calls, often) in batches {
        append(world, calls).await;
        match often {
            Written::Once => {}
            Written::Twice => append(world, calls).await,
            Written::AlsoAlone => {
                for call in calls {
                    append(world, std::slice::from_ref(call)).await;
                }
            }
        }
    }
    let lines: Vec<Call> = batches
        .iter()
        .flat_map(|(calls, _)| calls.clone())
        .collect();
    for (reach, filter, limit) in questions {
        let mut listed: Vec<Call> = Vec::new();
        loop {
            let before = listed.last().map(|last| (last.at, last.id.to_string()));
            let most = i64::try_from(*limit).unwrap();
            let part = call_log::list(&world.db, reach, filter, before.as_ref(), most).await;
            let part = part.unwrap();
            let is_last = part.len() < *limit;
            prop_assert!(part.len() <= *limit);
            listed.extend(part);
            if is_last {
                break;
            }
        }
        let ids = |calls: &[Call]| calls.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        let expected = expected(&lines, reach, filter);
        prop_assert_eq!(ids(&listed), ids(&expected), "{:?} {:?}", reach, filter);
        prop_assert_eq!(listed, expected);
    }
    Ok(())
}

#[test]
fn whatever_is_written_and_asked_a_listing_is_what_is_found_among_all_lines() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::on_sqlite());
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&story(), |(batches, questions)| {
            runtime.block_on(check(&world, &batches, &questions))
        })
        .unwrap();
}

async fn a_listing_is_what_is_found_among_all_lines(world: World) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..8 {
        let (batches, questions) = story().new_tree(&mut runner).unwrap().current();
        check(&world, &batches, &questions).await.unwrap();
    }
}

async fn a_long_call_is_listed_where_it_began(world: World) {
    let mine = world.account("mine").await;
    let long = call(&world, &mine, None, "long");
    world.clock.advance(30);
    let between = call(&world, &mine, None, "between");
    append(&world, &[between.clone()]).await;
    world.clock.advance(30);
    // It ends with one that has only begun.
    let late = call(&world, &mine, None, "late");
    append(&world, &[late.clone(), long.clone()]).await;
    let reach = whole(&mine);
    let all = Filter::default();
    assert_eq!(
        tools(&world, &reach, &all).await,
        ["late", "between", "long"]
    );
    for (after, before, expected) in [
        (Some(&long), None, vec!["late", "between"]),
        (None, Some(&between), vec!["long"]),
        (Some(&long), Some(&late), vec!["between"]),
    ] {
        let filter = Filter {
            after: after.map(|call| call.at),
            before: before.map(|call| call.at),
            ..Filter::default()
        };
        assert_eq!(tools(&world, &reach, &filter).await, expected);
    }
    let mut before = None;
    for expected in [late, between, long] {
        let part = call_log::list(&world.db, &reach, &all, before.as_ref(), 1).await;
        assert_eq!(part.unwrap(), [expected.clone()]);
        before = Some((expected.at, expected.id.to_string()));
    }
}

async fn calls_that_took_long_share_a_block(world: World) {
    let mine = world.account("mine").await;
    let long: Vec<Call> = (0..9).map(|_| call(&world, &mine, None, "long")).collect();
    world.clock.advance(30);
    let short: Vec<Call> = (0..9).map(|_| call(&world, &mine, None, "short")).collect();
    // As they end, one after the other.
    let ended = short.into_iter().zip(long);
    let ended: Vec<Call> = ended.flat_map(|(short, long)| [short, long]).collect();
    append(&world, &ended).await;
    assert_eq!(world.raw(true, "SELECT id FROM call_blocks").await.len(), 2);
    let listed = tools(&world, &whole(&mine), &Filter::default()).await;
    assert_eq!(listed, [["short"; 9], ["long"; 9]].concat());
}

async fn lines_that_were_written_twice_are_listed_once(world: World) {
    let mine = world.account("mine").await;
    let calls = ["a", "b", "c"].map(|tool| call(&world, &mine, None, tool));
    append(&world, &calls).await;
    append(&world, &calls).await;
    assert_eq!(world.raw(true, "SELECT id FROM call_blocks").await.len(), 1);
    append(&world, &calls[1..2]).await;
    let listed = tools(&world, &whole(&mine), &Filter::default()).await;
    assert_eq!(listed.len(), 3);
}

async fn a_block_of_another_tenant_is_not_even_read(world: World) {
    let foreign = world.account("foreign").await;
    let mut reach = Reach::default();
    for name in "a b c d e f g h i j k l m n o p q".split(' ') {
        let account = world.account(name).await;
        append(&world, &[call(&world, &account, None, "own")]).await;
        append(&world, &[call(&world, &foreign, None, "theirs")]).await;
        world.clock.advance(1);
        reach.accounts.push(account.reference());
    }
    let broken = "UPDATE call_blocks SET lines = '' WHERE lines LIKE '%theirs%'";
    world.raw(true, broken).await;
    let of_server = Filter {
        mcp_server_id: Some("mcp_one".to_owned()),
        ..Filter::default()
    };
    for filter in [Filter::default(), of_server] {
        assert_eq!(tools(&world, &reach, &filter).await, ["own"; 17]);
        for reach in [whole(&foreign), everything()] {
            let read = call_log::list(&world.db, &reach, &filter, None, 9).await;
            assert!(matches!(read, Err(StoreError::Row { .. })), "{read:?}");
        }
    }
}

async fn a_line_of_a_sibling_in_the_same_block_is_not_listed(world: World) {
    let mine = world.account("mine").await;
    let (one, other) = (
        world.child(&mine, "one").await,
        world.child(&mine, "other").await,
    );
    let calls = [
        call(&world, &mine, None, "above"),
        call(&world, &one, None, "one"),
        call(&world, &other, None, "other"),
    ];
    append(&world, &calls).await;
    assert_eq!(world.raw(true, "SELECT id FROM call_blocks").await.len(), 1);
    let of_server = Filter {
        mcp_server_id: Some("mcp_one".to_owned()),
        ..Filter::default()
    };
    for filter in [Filter::default(), of_server] {
        assert_eq!(tools(&world, &whole(&one), &filter).await, ["one"]);
        assert_eq!(tools(&world, &whole(&other), &filter).await, ["other"]);
        assert_eq!(tools(&world, &whole(&mine), &filter).await.len(), 3);
    }
}

async fn a_block_goes_with_its_places_and_younger_ones_stay(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let old = [
        call(&world, &mine, None, "old"),
        call(&world, &child, None, "old"),
    ];
    append(&world, &old).await;
    world.clock.advance(60);
    let before = world.now();
    let young = [
        call(&world, &mine, None, "young"),
        call(&world, &child, None, "young"),
    ];
    append(&world, &young).await;
    let places = async || {
        let places = world.raw(true, "SELECT place FROM call_block_places").await;
        places.len()
    };
    assert_eq!(places().await, 6);
    let remove = || retention::remove_calls(&world.db, before, 9);
    assert_eq!(remove().await.unwrap(), 1);
    assert_eq!(places().await, 3);
    for reach in [whole(&child), whole(&mine), everything()] {
        let listed = tools(&world, &reach, &Filter::default()).await;
        assert!(listed.iter().all(|tool| tool == "young"), "{listed:?}");
        assert!(!listed.is_empty());
    }
    assert_eq!(remove().await.unwrap(), 0);
}

async fn large_blocks_are_removed_a_few_at_a_time(world: World) {
    let mine = world.account("mine").await;
    for _ in 0..10 {
        let large = Call {
            client_name: Some("x".repeat(1024 * 1024)),
            ..call(&world, &mine, None, "large")
        };
        append(&world, &[large]).await;
    }
    let before = world.now().plus_seconds(1);
    for removed in [8, 2, 0] {
        let some = retention::remove_calls(&world.db, before, 100).await;
        assert_eq!(some.unwrap(), removed);
    }
}
