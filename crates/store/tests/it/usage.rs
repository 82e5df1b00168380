//! Counters.

use std::sync::LazyLock;

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, GREATEST_LIMIT, Period, Quota, RateLimit};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use claviger_store::Location;
use claviger_store::usage::by_project::{self, Step};
use claviger_store::usage::{self, Flush, UsageHour};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

in_both_worlds![
    what_is_added_twice_is_counted_twice,
    a_flush_is_written_whole_or_not_at_all,
    nothing_is_a_flush_too,
    an_allowance_is_resumed_as_it_was_left,
    what_is_counted_of_many_keys_is_folded_once,
    what_is_folded_late_does_not_replace_a_newer_allowance,
    a_fold_that_fails_leaves_the_journal,
    sums_of_projects_are_what_is_counted_of_their_keys,
    a_piece_of_before_there_were_sums_is_added_to_them,
    what_another_program_folds_is_known_to_be_left,
];

/// As ids are drawn, their first characters differ.
fn key(number: usize) -> Id<id::ApiKey> {
    let drawn = claviger_testkit::SeededRandom::new(number as u64);
    Id::draw(&drawn)
}

static PROJECT: LazyLock<Id<id::Project>> = LazyLock::new(|| Id::from_suffix("project"));

fn hour(key: &Id<id::ApiKey>, hour: i64, successful: u64) -> UsageHour<'_> {
    UsageHour {
        key,
        project: &PROJECT,
        hour,
        counts: UsageCounts {
            successful,
            failed: 10 * successful,
            rate_limited: 100 * successful,
        },
        last_used_at: None,
    }
}

async fn what_is_added_twice_is_counted_twice(world: World) {
    let (one, two) = (key(1), key(2));
    let first = Flush {
        hours: vec![hour(&one, 7, 1), hour(&one, 8, 2), hour(&two, 7, 4)],
        ..Flush::at(world.now())
    };
    let second = Flush {
        hours: vec![hour(&one, 7, 8)],
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &first).await.unwrap();
    usage::add(&world.db, &second).await.unwrap();
    for (key, expected) in [(&one, 11), (&two, 4), (&key(3), 0)] {
        let totals = usage::totals(&world.db, key).await.unwrap();
        assert_eq!(totals, hour(key, 0, expected).counts);
    }
    let rows = "SELECT key_id || ' ' || CAST(hour AS TEXT) FROM usage_hours ORDER BY key_id, hour";
    let mut expected = [(&one, 7), (&one, 8), (&two, 7)].map(|(key, hour)| format!("{key} {hour}"));
    expected.sort();
    assert_eq!(world.raw(true, rows).await, expected);
}

async fn a_flush_is_written_whole_or_not_at_all(world: World) {
    let (key, allowance) = (key(1), Allowance::default());
    let flush = Flush {
        now: world.now(),
        hours: vec![hour(&key, 7, 1)],
        allowances: vec![(&key, allowance, world.now())],
    };
    world
        .raw(true, "ALTER TABLE allowances RENAME TO away")
        .await;
    assert!(usage::add(&world.db, &flush).await.is_err());
    let totals = usage::totals(&world.db, &key).await.unwrap();
    assert_eq!(totals, UsageCounts::default());
    world
        .raw(true, "ALTER TABLE away RENAME TO allowances")
        .await;
    usage::add(&world.db, &flush).await.unwrap();
    let totals = usage::totals(&world.db, &key).await.unwrap();
    assert_eq!(totals.successful, 1);
}

async fn nothing_is_a_flush_too(world: World) {
    assert!(Flush::at(world.now()).is_empty());
    usage::add(&world.db, &Flush::at(world.now()))
        .await
        .unwrap();
}

async fn an_allowance_is_resumed_as_it_was_left(world: World) {
    assert_eq!(usage::allowance(&world.db, &key(1)).await.unwrap(), None);
    let limit = RateLimit::new(GREATEST_LIMIT, 3600);
    let quota = Some(Quota {
        limit: GREATEST_LIMIT,
        period: Period::Month,
    });
    let (one, mut allowance) = (key(1), Allowance::default());
    // Empty, with a window, with both, as it grows: the last one stands.
    for (limit, quota, cost) in [
        (None, None, 0),
        (limit, None, 3),
        (limit, quota, 5),
        (limit, quota, GREATEST_LIMIT - 8),
    ] {
        allowance.take(limit, quota, cost, world.now());
        let flush = Flush {
            allowances: vec![(&one, allowance, world.now())],
            ..Flush::at(world.now())
        };
        usage::add(&world.db, &flush).await.unwrap();
        let read = usage::allowance(&world.db, &key(1)).await.unwrap();
        assert_eq!(read, Some(allowance));
    }
    assert_eq!(usage::allowance(&world.db, &key(2)).await.unwrap(), None);
}

async fn pieces(world: &World) -> usize {
    let pieces = "SELECT CAST(COUNT(*) AS TEXT) FROM usage_journal";
    world.raw(true, pieces).await[0].parse().unwrap()
}

async fn what_is_counted_of_many_keys_is_folded_once(world: World) {
    let keys: Vec<_> = (0..1_500).map(key).collect();
    let early = Timestamp::from_micros(7 * 3_600_000_000);
    let flush = |hour_of: i64, last_used_at| Flush {
        hours: keys
            .iter()
            .map(|key| UsageHour {
                last_used_at,
                ..hour(key, hour_of, 1)
            })
            .collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush(7, Some(early.plus_seconds(2))))
        .await
        .unwrap();
    usage::add(&world.db, &flush(7, Some(early))).await.unwrap();
    usage::add(&world.db, &flush(8, None)).await.unwrap();
    // Counted, and in no row yet.
    assert_eq!(usage::totals(&world.db, &keys[0]).await.unwrap().total(), 0);
    assert!(pieces(&world).await > 3);
    assert!(usage::journal_bytes(&world.db).await.unwrap() > 3 * 1_500);

    // Two nodes that fold at once, each all of it.
    let fold = async || {
        let mut rows = 0;
        for shard in 0..usage::SHARDS {
            rows += usage::fold(&world.db, shard, world.now()).await.unwrap();
        }
        rows
    };
    let (one, other) = tokio::join!(fold(), fold());
    // Of a shard that both come to at once, each may take some pieces: those are rows twice.
    assert!(one + other >= 3_000, "{one} and {other}");
    assert_eq!(pieces(&world).await, 0);
    assert_eq!(usage::journal_bytes(&world.db).await.unwrap(), 0);
    for key in &keys {
        let totals = usage::totals(&world.db, key).await.unwrap();
        assert_eq!(totals, hour(key, 0, 3).counts);
        let last_use = usage::last_use(&world.db, key).await.unwrap();
        assert_eq!(last_use, Some(early.plus_seconds(2)));
    }
    usage::fold_all(&world.db, world.now()).await.unwrap();
    let totals = usage::totals(&world.db, &keys[7]).await.unwrap();
    assert_eq!(totals.successful, 3);
}

async fn what_is_folded_late_does_not_replace_a_newer_allowance(world: World) {
    let keys: Vec<_> = (0..1_500).map(key).collect();
    let limit = RateLimit::new(GREATEST_LIMIT, 3600);
    let mut allowance = Allowance::default();
    allowance.take(limit, None, 1, world.now());
    let journaled = allowance;
    let flush = Flush {
        allowances: keys
            .iter()
            .map(|key| (key, journaled, world.now()))
            .collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush).await.unwrap();
    world.clock.advance(1);
    allowance.take(limit, None, 1, world.now());
    let newer = Flush {
        allowances: vec![(&keys[0], allowance, world.now())],
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &newer).await.unwrap();
    usage::fold_all(&world.db, world.now()).await.unwrap();
    for (key, expected) in [(&keys[0], allowance), (&keys[1], journaled)] {
        let read = usage::allowance(&world.db, key).await.unwrap();
        assert_eq!(read, Some(expected), "{key}");
    }
}

async fn a_fold_that_fails_leaves_the_journal(world: World) {
    let keys: Vec<_> = (0..1_500).map(key).collect();
    let flush = Flush {
        hours: keys.iter().map(|key| hour(key, 7, 1)).collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush).await.unwrap();
    world
        .raw(true, "ALTER TABLE usage_hours RENAME TO away")
        .await;
    assert!(usage::fold_all(&world.db, world.now()).await.is_err());
    world
        .raw(true, "ALTER TABLE away RENAME TO usage_hours")
        .await;
    usage::fold_all(&world.db, world.now()).await.unwrap();
    let rows = "SELECT CAST(SUM(successful) AS TEXT) FROM usage_hours";
    assert_eq!(world.raw(true, rows).await, ["1500"]);
}

#[test]
fn a_shard_is_a_range_of_ids() {
    let mut keys: Vec<_> = (0..2_000).map(key).collect();
    keys.sort();
    let shards: Vec<_> = keys.iter().map(usage::shard_of).collect();
    assert!(shards.is_sorted());
    let ends = ["0", "z"].map(|character| Id::from_suffix(&character.repeat(20)));
    assert_eq!(
        ends.map(|key| usage::shard_of(&key)),
        [0, usage::SHARDS - 1]
    );
}

#[test]
fn keys_are_spread_over_the_shards() {
    let random = claviger_testkit::SeededRandom::new(1);
    let mut keys = [0; usage::SHARDS as usize];
    for _ in 0..25_600 {
        keys[usize::from(usage::shard_of(&Id::draw(&random)))] += 1;
    }
    let fewest = keys.iter().min();
    assert!(fewest > Some(&50), "{keys:?}");
}

async fn sums(world: &World) -> Vec<String> {
    let rows = "SELECT project_id || ' ' || CAST(hour AS TEXT) || ': ' || CAST(successful AS TEXT) \
                || ' ' || CAST(failed AS TEXT) || ' ' || CAST(rate_limited AS TEXT) \
                FROM usage_projects ORDER BY project_id, hour";
    world.raw(true, rows).await
}

async fn sums_of_projects_are_what_is_counted_of_their_keys(world: World) {
    let other: Id<id::Project> = Id::from_suffix("other");
    let keys: Vec<_> = (0..1_500).map(key).collect();
    let few = Flush {
        hours: vec![
            hour(&keys[0], 7, 1),
            hour(&keys[1], 7, 2),
            UsageHour {
                project: &other,
                ..hour(&keys[2], 7, 4)
            },
            // A last use alone is no check.
            UsageHour {
                counts: UsageCounts::default(),
                ..hour(&keys[3], 9, 0)
            },
        ],
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &few).await.unwrap();
    let early = ["prj_other 7: 4 40 400", "prj_project 7: 3 30 300"];
    assert_eq!(sums(&world).await, early);
    let many = Flush {
        hours: keys.iter().map(|key| hour(key, 8, 1)).collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &many).await.unwrap();
    let late = [early[0], early[1], "prj_project 8: 1500 15000 150000"];
    // As soon as it is in the journal, and no more once it is out of it.
    assert_eq!(sums(&world).await, late);
    usage::fold_all(&world.db, world.now()).await.unwrap();
    assert_eq!(sums(&world).await, late);

    let days = by_project::totals(&world.db, &PROJECT, &(0..24), Step::Day)
        .await
        .unwrap();
    assert_eq!(days, [(0, hour(&keys[0], 0, 1_503).counts)]);
    let hours = by_project::totals(&world.db, &PROJECT, &(7..8), Step::Hour)
        .await
        .unwrap();
    assert_eq!(hours, [(7, hour(&keys[0], 0, 3).counts)]);
}

async fn a_piece_of_before_there_were_sums_is_added_to_them(world: World) {
    let keys: Vec<_> = (0..1_500).map(key).collect();
    let flush = Flush {
        hours: keys.iter().map(|key| hour(key, 7, 1)).collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush).await.unwrap();
    let earlier = match world.location {
        Location::Folder(_) => {
            "UPDATE usage_journal SET body = CAST(x'01' || substr(body, 2) AS BLOB)"
        }
        Location::Postgres(_) => "UPDATE usage_journal SET body = set_byte(body, 0, 1)",
    };
    world.raw(true, earlier).await;
    world.raw(true, "DELETE FROM usage_projects").await;
    usage::fold_all(&world.db, world.now()).await.unwrap();
    assert_eq!(sums(&world).await, ["prj_project 7: 1500 15000 150000"]);
}

async fn what_another_program_folds_is_known_to_be_left(world: World) {
    let keys: Vec<_> = (0..2_000).map(key).collect();
    let flush = Flush {
        hours: keys.iter().map(|key| hour(key, 7, 1)).collect(),
        ..Flush::at(world.now())
    };
    usage::add(&world.db, &flush).await.unwrap();
    if let Location::Postgres(url) = &world.location {
        let mut other = PgConnection::connect(url).await.unwrap();
        let mut folding = other.begin().await.unwrap();
        let taken = "DELETE FROM usage_journal WHERE shard = $1";
        let taken = sqlx::query(taken).bind(i64::from(usage::shard_of(&keys[0])));
        assert_eq!(
            taken.execute(&mut *folding).await.unwrap().rows_affected(),
            1
        );
        let is_whole = usage::fold_until_now(&world.db, world.now()).await;
        assert!(!is_whole.unwrap());
        folding.rollback().await.unwrap();
    }
    assert!(usage::fold_until_now(&world.db, world.now()).await.unwrap());
    let totals = usage::totals(&world.db, &keys[0]).await.unwrap();
    assert_eq!(totals.successful, 1);
}
