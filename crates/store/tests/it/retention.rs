//! What is past its time goes, and nothing else.

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use claviger_store::idempotency::{self, Claim};
use claviger_store::usage::{self, Flush, UsageHour};
use claviger_store::{accounts, call_log, events, invitations, projects, retention};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};

use crate::{call_log as calls, connected_accounts, found, made, mcp_servers};

in_both_worlds![
    old_calls_go_a_few_at_a_time,
    requests_that_are_remembered_go_when_they_are_old,
    old_events_go_and_the_last_one_stays,
    what_was_deleted_goes_for_good_and_its_usage_stays,
    an_mcp_server_goes_when_its_end_is_long_past,
    an_invitation_goes_when_its_end_is_long_past,
    days_are_what_their_hours_are_and_stay_without_them,
    an_hour_goes_and_the_last_use_stays,
    keys_are_walked_through_once_each,
    sums_of_projects_become_days_and_go,
];

const DAY: i64 = 86_400;

async fn old_calls_go_a_few_at_a_time(world: World) {
    let mine = world.account("mine").await;
    for tool in ["one", "two", "three"] {
        calls::logged(&world, &calls::call(&world, &mine, None, tool)).await;
        world.clock.advance(DAY);
    }
    let before = world.now().plus_seconds(-DAY);
    let remove = || retention::remove_calls(&world.db, before, 1);
    assert_eq!(remove().await.unwrap(), 1);
    let filter = call_log::Filter::default();
    let left = calls::tools(&world, &everything(), &filter).await;
    assert_eq!(left, ["three", "two"]);
    assert_eq!(remove().await.unwrap(), 1);
    assert_eq!(remove().await.unwrap(), 0);
    let left = calls::tools(&world, &everything(), &filter).await;
    assert_eq!(left, ["three"]);
}

async fn requests_that_are_remembered_go_when_they_are_old(world: World) {
    let claim = |id: u8| idempotency::claim(&world.db, [id; 32], [0; 32], world.now());
    claim(1).await.unwrap();
    world.clock.advance(DAY);
    claim(2).await.unwrap();
    let removed = retention::remove_requests(&world.db, world.now(), 10).await;
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(claim(2).await.unwrap(), Claim::InFlight);
    assert_eq!(claim(1).await.unwrap(), Claim::First);
}

async fn old_events_go_and_the_last_one_stays(world: World) {
    let mine = world.account("mine").await;
    let kinds = async |world: &World| {
        let trail = events::of_account(&world.db, &mine.id, 100).await.unwrap();
        trail
            .into_iter()
            .map(|event| event.kind)
            .collect::<Vec<_>>()
    };
    world.clock.advance(DAY);
    world.project(&mine, "project").await;
    let remove = |at: Timestamp| retention::remove_events(&world.db, at, 10);
    assert_eq!(remove(world.now()).await.unwrap(), 1);
    assert_eq!(kinds(&world).await, ["project.created"]);
    let much_later = world.now().plus_seconds(DAY);
    assert_eq!(remove(much_later).await.unwrap(), 0);
    assert_eq!(kinds(&world).await, ["project.created"]);
}

async fn what_was_deleted_goes_for_good_and_its_usage_stays(world: World) {
    let mine = world.account("mine").await;
    let gone = world.project(&mine, "gone").await;
    let kept = world.project(&mine, "kept").await;
    let (key, other) = (
        made(&world, &gone, "key").await,
        made(&world, &kept, "other").await,
    );
    let leaving = world.account("leaving").await;
    let connected = connected_accounts::connected(&world, &leaving, None, "tools").await;
    mcp_servers::made(&world, &connected, "server").await;
    let hours = vec![UsageHour {
        key: &key.id,
        project: &gone.id,
        hour: world.now().as_hour(),
        counts: COUNTS,
        last_used_at: None,
    }];
    let flush = Flush {
        hours,
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush).await.unwrap();
    let (project, account) = (gone.id.clone(), leaving.id.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move {
                projects::delete(tx, &change, &everything(), &project).await?;
                accounts::delete(tx, &change, &everything(), &account).await
            })
        })
        .await;
    let deleted_at = world.now();
    let remove = |before: Timestamp| retention::remove_deleted(&world.db, before, 10);
    assert_eq!(remove(deleted_at).await.unwrap(), 0);
    // The key, the server with what it is over, and two names.
    assert_eq!(remove(deleted_at.plus_seconds(1)).await.unwrap(), 5);
    assert_eq!(remove(deleted_at.plus_seconds(1)).await.unwrap(), 0);
    for (table, left) in [
        ("SELECT id FROM api_keys", vec![other.id.to_string()]),
        ("SELECT id FROM connected_accounts", vec![]),
        ("SELECT id FROM mcp_servers", vec![]),
        (
            "SELECT name FROM projects ORDER BY name",
            vec![String::new(), "kept".to_owned()],
        ),
        (
            "SELECT name FROM accounts ORDER BY name",
            vec![String::new(), "mine".to_owned()],
        ),
    ] {
        assert_eq!(world.raw(false, table).await, left, "{table}");
    }
    assert_eq!(usage::totals(&world.db, &key.id).await.unwrap(), COUNTS);
    assert!(found(&world, &other.id).await.is_some());
}

async fn an_mcp_server_goes_when_its_end_is_long_past(world: World) {
    let mine = world.account("mine").await;
    let connected = connected_accounts::connected(&world, &mine, None, "tools").await;
    let server = mcp_servers::made(&world, &connected, "server").await;
    let end = server.expires_at.unwrap();
    let remove = |before: Timestamp| retention::remove_deleted(&world.db, before, 10);
    assert_eq!(remove(end).await.unwrap(), 0);
    assert!(mcp_servers::by_token(&world, "server").await.is_some());
    assert_eq!(remove(end.plus_seconds(1)).await.unwrap(), 1);
    assert!(mcp_servers::by_token(&world, "server").await.is_none());
}

const COUNTS: UsageCounts = UsageCounts {
    successful: 1,
    failed: 20,
    rate_limited: 300,
};

fn key(number: usize) -> Id<id::ApiKey> {
    Id::from_suffix(&format!("{number:016}"))
}

/// Counts one check in each of those hours; it was the last use at the hour's begin.
async fn count(world: &World, key: &Id<id::ApiKey>, hours: &[i64]) {
    let project = Id::from_suffix("project");
    let hours = hours.iter().map(|hour| UsageHour {
        key,
        project: &project,
        hour: *hour,
        counts: COUNTS,
        last_used_at: Some(Timestamp::from_micros(hour * 3_600_000_000)),
    });
    let flush = Flush {
        hours: hours.collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush).await.unwrap();
}

async fn hours(world: &World) -> Vec<String> {
    let rows = "SELECT key_id || ' ' || CAST(hour AS TEXT) || ': ' || CAST(successful AS TEXT) \
                || ' ' || CAST(failed AS TEXT) || ' ' || CAST(rate_limited AS TEXT) || ' ' \
                || CAST(last_used_at / 3600000000 AS TEXT) \
                FROM usage_hours ORDER BY key_id, hour";
    let rows = world.raw(true, rows).await;
    rows.iter()
        .map(|row| {
            row.trim_start_matches("key_0")
                .trim_start_matches('0')
                .to_owned()
        })
        .collect()
}

async fn days(world: &World) -> Vec<String> {
    let rows = "SELECT SUBSTR(key_id, 20) || ' ' || CAST(day AS TEXT) || ': ' || \
                CAST(successful AS TEXT) || ' ' || CAST(failed AS TEXT) || ' ' || \
                CAST(rate_limited AS TEXT) || ' ' || project_id FROM usage_days ORDER BY key_id, day";
    world.raw(true, rows).await
}

async fn days_are_what_their_hours_are_and_stay_without_them(world: World) {
    let (one, two) = (key(1), key(2));
    count(&world, &one, &[0, 5, 23, 24, 49, 50]).await;
    count(&world, &two, &[24]).await;
    let all = [
        "1 0: 3 60 900 prj_project",
        "1 1: 1 20 300 prj_project",
        "1 2: 2 40 600 prj_project",
        "2 1: 1 20 300 prj_project",
    ];
    assert_eq!(days(&world).await, all);
    let total = usage::totals(&world.db, &one).await.unwrap();
    // Few at a time, once more when there is nothing left, and not those of other keys.
    let keys = [one.to_string()];
    let remove = async || {
        retention::remove_hours(&world.db, &keys, 48, 3)
            .await
            .unwrap()
    };
    assert_eq!([remove().await, remove().await, remove().await], [3, 1, 0]);
    let left = [
        "1 49: 1 20 300 49",
        "1 50: 1 20 300 50",
        "2 24: 1 20 300 24",
    ];
    assert_eq!(hours(&world).await, left);
    assert_eq!(days(&world).await, all);
    // What comes late is in its day, too.
    count(&world, &one, &[5]).await;
    assert_eq!(days(&world).await[0], "1 0: 4 80 1200 prj_project");
    let remove = async |most| {
        let removed = retention::remove_days(&world.db, &keys, 2, most).await;
        removed.unwrap()
    };
    assert_eq!(
        [remove(1).await, remove(9).await, remove(9).await],
        [1, 1, 0]
    );
    assert_eq!(days(&world).await, all[2..]);
    let now = usage::totals(&world.db, &one).await.unwrap();
    assert_eq!((total.successful, now.successful), (6, 2));
}

async fn an_hour_goes_and_the_last_use_stays(world: World) {
    let (one, two) = (key(1), key(2));
    count(&world, &one, &[0, 24]).await;
    count(&world, &two, &[0, 24, 48]).await;
    let keys = [one.to_string(), two.to_string()];
    let remove = || retention::remove_hours(&world.db, &keys, 48, 100);
    // Three are removed, and the counts of one.
    assert_eq!(remove().await.unwrap(), 4);
    assert_eq!(hours(&world).await, ["1 24: 0 0 0 24", "2 48: 1 20 300 48"]);
    assert_eq!(remove().await.unwrap(), 0);
    let last = usage::last_use(&world.db, &one).await.unwrap();
    assert_eq!(last, Some(Timestamp::from_micros(24 * 3_600_000_000)));
}

async fn keys_are_walked_through_once_each(world: World) {
    for number in [3, 1, 2] {
        count(&world, &key(number), &[0, 1, 2]).await;
    }
    let (one, two, three) = (key(1).to_string(), key(2).to_string(), key(3).to_string());
    let next = async |after: &str| {
        let by_hour = retention::keys_with_hours(&world.db, after, 2).await;
        let by_day = retention::keys_with_days(&world.db, after, 2).await;
        [by_hour.unwrap(), by_day.unwrap()]
    };
    let first = vec![one, two.clone()];
    assert_eq!(next("").await, [first.clone(), first]);
    assert_eq!(next(&two).await, [vec![three.clone()], vec![three.clone()]]);
    assert_eq!(next(&three).await, [Vec::<String>::new(), Vec::new()]);
}

async fn sums_of_projects_become_days_and_go(world: World) {
    count(&world, &key(1), &[0, 5, 24, 30, 49]).await;
    let project = ["prj_project".to_owned()];
    let sums = async || {
        let rows = "SELECT CAST(hour AS TEXT) || ' ' || CAST(successful AS TEXT) \
                    FROM usage_projects ORDER BY hour";
        world.raw(true, rows).await
    };
    let found = retention::projects_with_usage(&world.db, "", 9)
        .await
        .unwrap();
    assert_eq!(found, project);
    let after = retention::projects_with_usage(&world.db, "prj_project", 9).await;
    assert!(after.unwrap().is_empty());
    let fold = async |most| {
        let folded = retention::fold_project_days(&world.db, &project, 0..48, most);
        folded.await.unwrap()
    };
    assert_eq!([fold(1).await, fold(9).await, fold(9).await], [1, 1, 0]);
    let one = COUNTS.successful;
    let days = [
        format!("0 {}", 2 * one),
        format!("24 {}", 2 * one),
        format!("49 {one}"),
    ];
    assert_eq!(sums().await, days);
    let removed = retention::remove_project_days(&world.db, &project, 24, 9).await;
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(sums().await, days[1..]);
}

async fn an_invitation_goes_when_its_end_is_long_past(world: World) {
    let account = world.account("mine").await;
    for _ in 0..2 {
        crate::invited(&world, &account, "ada@example.com").await;
        world.clock.advance(DAY);
    }
    let ends_at = world
        .now()
        .plus_seconds(invitations::VALID_SECONDS - 2 * DAY);
    let remove = async |before| {
        let removed = retention::remove_deleted(&world.db, before, 10).await;
        removed.unwrap()
    };
    assert_eq!(remove(ends_at).await, 0);
    assert_eq!(remove(ends_at.plus_seconds(1)).await, 1);
    let left = world.raw(false, "SELECT status FROM invitations").await;
    assert_eq!(left, ["pending"]);
}
