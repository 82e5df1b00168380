//! Counters.

use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Allowance, GREATEST_LIMIT, Period, Quota, RateLimit};
use claviger_domain::usage::UsageCounts;
use claviger_store::usage::{self, Flush, UsageMinute};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;

in_both_worlds![
    what_is_added_twice_is_counted_twice,
    a_flush_is_written_whole_or_not_at_all,
    nothing_is_a_flush_too,
    an_allowance_is_resumed_as_it_was_left,
    a_large_flush_is_one_statement,
];

fn key(number: usize) -> Id<id::ApiKey> {
    Id::from_suffix(&format!("{number:016}"))
}

fn minute(key: &Id<id::ApiKey>, minute: i64, successful: u64) -> UsageMinute {
    UsageMinute {
        key: key.clone(),
        project: Id::from_suffix("project"),
        minute,
        counts: UsageCounts {
            successful,
            failed: 10 * successful,
            rate_limited: 100 * successful,
        },
    }
}

async fn what_is_added_twice_is_counted_twice(world: World) {
    let (one, two) = (key(1), key(2));
    let first = Flush {
        minutes: vec![minute(&one, 7, 1), minute(&one, 8, 2), minute(&two, 7, 4)],
        ..Flush::default()
    };
    let second = Flush {
        minutes: vec![minute(&one, 7, 8)],
        ..Flush::default()
    };
    usage::add(&world.db, &first).await.unwrap();
    usage::add(&world.db, &second).await.unwrap();
    for (key, expected) in [(&one, 11), (&two, 4), (&key(3), 0)] {
        let totals = usage::totals(&world.db, key).await.unwrap();
        assert_eq!(totals, minute(key, 0, expected).counts);
    }
    let rows = "SELECT CAST(minute AS TEXT) FROM usage_minutes \
                WHERE key_id = 'key_0000000000000001' ORDER BY minute";
    assert_eq!(world.raw(true, rows).await, ["7", "8"]);
}

async fn a_flush_is_written_whole_or_not_at_all(world: World) {
    let flush = Flush {
        minutes: vec![minute(&key(1), 7, 1)],
        last_uses: vec![(key(1), world.now())],
        ..Flush::default()
    };
    world
        .raw(true, "ALTER TABLE key_activity RENAME TO away")
        .await;
    assert!(usage::add(&world.db, &flush).await.is_err());
    let totals = usage::totals(&world.db, &key(1)).await.unwrap();
    assert_eq!(totals, UsageCounts::default());
    world
        .raw(true, "ALTER TABLE away RENAME TO key_activity")
        .await;
    usage::add(&world.db, &flush).await.unwrap();
    let totals = usage::totals(&world.db, &key(1)).await.unwrap();
    assert_eq!(totals.successful, 1);
}

async fn nothing_is_a_flush_too(world: World) {
    assert!(Flush::default().is_empty());
    usage::add(&world.db, &Flush::default()).await.unwrap();
}

async fn an_allowance_is_resumed_as_it_was_left(world: World) {
    assert_eq!(usage::allowance(&world.db, &key(1)).await.unwrap(), None);
    let limit = RateLimit::new(GREATEST_LIMIT, 3600);
    let quota = Some(Quota {
        limit: GREATEST_LIMIT,
        period: Period::Month,
    });
    let mut allowance = Allowance::default();
    // Empty, with a window, with both, as it grows: the last one stands.
    for (limit, quota, cost) in [
        (None, None, 0),
        (limit, None, 3),
        (limit, quota, 5),
        (limit, quota, GREATEST_LIMIT - 8),
    ] {
        allowance.take(limit, quota, cost, world.now());
        let flush = Flush {
            allowances: vec![(key(1), allowance)],
            ..Flush::default()
        };
        usage::add(&world.db, &flush).await.unwrap();
        let read = usage::allowance(&world.db, &key(1)).await.unwrap();
        assert_eq!(read, Some(allowance));
    }
    assert_eq!(usage::allowance(&world.db, &key(2)).await.unwrap(), None);
}

async fn a_large_flush_is_one_statement(world: World) {
    let flush = Flush {
        minutes: (0..5_000)
            .map(|number| minute(&key(number), 1, 1))
            .collect(),
        last_uses: (0..5_000)
            .map(|number| (key(number), world.now()))
            .collect(),
        ..Flush::default()
    };
    usage::add(&world.db, &flush).await.unwrap();
    let rows = world
        .raw(true, "SELECT CAST(COUNT(*) AS TEXT) FROM usage_minutes")
        .await;
    assert_eq!(rows, ["5000"]);
}
