//! What is told of keys over their limit, or at the end of their quota: once for a time.

use claviger_domain::decision::Verdict;
use claviger_domain::limit::{Period, Quota, RateLimit};
use claviger_store::{events, key_notices};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use claviger_verify::Counting;

use crate::{Gate, ask, start};

in_both_worlds![
    a_key_over_its_limit_is_told_of_once_an_hour,
    the_end_of_a_quota_is_told_of_once_a_period,
    a_quota_that_was_reached_is_not_told_of_in_the_next_period,
    two_nodes_tell_of_a_key_once,
    two_nodes_whose_clocks_are_apart_tell_of_a_key_once,
    what_could_not_be_told_is_told_later,
    what_was_told_is_forgotten_when_it_is_over,
];

/// The kinds of events with the key's name in them, in order.
async fn told(gate: &Gate) -> Vec<String> {
    let trail = events::of_account(&gate.world.db, &gate.account.id, 1_000);
    let trail = trail.await.unwrap().into_iter();
    let kinds = ["api-key.rateLimited", "api-key.quotaReached"];
    let told = trail.filter(|event| kinds.contains(&event.kind.as_str()));
    told.map(|event| format!("{} {}", event.target, event.data))
        .collect()
}

async fn flush(gate: &Gate) {
    gate.verifier.flush().await.unwrap();
}

async fn a_key_over_its_limit_is_told_of_once_an_hour(world: World) {
    let mut gate = Gate::new(world).await;
    let (key, plain) = gate.key(|key| key.rate_limit = RateLimit::new(1, 60)).await;
    let (_, other) = gate.key(|key| key.rate_limit = RateLimit::new(9, 60)).await;
    assert_eq!(gate.check(&other).await, Verdict::Valid);
    let over = async |gate: &Gate| {
        gate.check(&plain).await;
        assert_eq!(gate.check(&plain).await, Verdict::RateLimited);
        flush(gate).await;
    };
    over(&gate).await;
    let expected = format!(
        r#"{} {{"name":"key","customAccountId":null,"rateLimit":1,"rateLimitTtl":60}}"#,
        key.id
    );
    assert_eq!(told(&gate).await, [expected]);
    // Looking is no use, and what was told is known to the next program, too.
    gate.world.clock.advance(1_800);
    let looked = ask(&gate.verifier, &gate.reach(), &other, 10, Counting::Looks).await;
    assert_eq!(looked.verdict, Verdict::RateLimited);
    over(&gate).await;
    gate.restart().await;
    over(&gate).await;
    assert_eq!(told(&gate).await.len(), 1);
    gate.world.clock.advance(1_800);
    over(&gate).await;
    over(&gate).await;
    assert_eq!(told(&gate).await.len(), 2);
}

async fn the_end_of_a_quota_is_told_of_once_a_period(world: World) {
    let gate = Gate::new(world).await;
    let quota = Some(Quota {
        limit: 2,
        period: Period::Day,
    });
    let (_, plain) = gate.key(|key| key.quota = quota).await;
    gate.check(&plain).await;
    flush(&gate).await;
    assert!(told(&gate).await.is_empty());
    // The last one passes, and with it the quota is used up.
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    flush(&gate).await;
    let first = told(&gate).await;
    assert_eq!(first.len(), 1);
    let quota = r#""quota":{"limit":2,"period":"day","resetsAt":"2026-01-16T00:00:00.000Z"}"#;
    assert!(first[0].contains(quota), "{first:?}");
    for _ in 0..3 {
        gate.world.clock.advance(3_600);
        assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);
        flush(&gate).await;
    }
    assert_eq!(told(&gate).await.len(), 1);
    // The next day's, from its first minute on.
    gate.world.clock.advance(9 * 3_600 + 60);
    gate.check(&plain).await;
    gate.check(&plain).await;
    flush(&gate).await;
    assert_eq!(told(&gate).await.len(), 2);
}

async fn a_quota_that_was_reached_is_not_told_of_in_the_next_period(world: World) {
    let gate = Gate::new(world).await;
    let quota = Some(Quota {
        limit: 2,
        period: Period::Day,
    });
    let (_, plain) = gate.key(|key| key.quota = quota).await;
    // In the last second of a day, and written in the first of the next.
    gate.world.clock.advance(12 * 3_600 - 1);
    for _ in 0..2 {
        assert_eq!(gate.check(&plain).await, Verdict::Valid);
    }
    assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);
    gate.world.clock.advance(1);
    flush(&gate).await;
    assert!(told(&gate).await.is_empty());
    // Nothing keeps anybody from being told when that day's is reached.
    for _ in 0..2 {
        assert_eq!(gate.check(&plain).await, Verdict::Valid);
    }
    flush(&gate).await;
    let told = told(&gate).await;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains(r#""resetsAt":"2026-01-17T00:00:00.000Z""#),
        "{told:?}"
    );
}

async fn two_nodes_tell_of_a_key_once(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate.key(|key| key.rate_limit = RateLimit::new(1, 60)).await;
    let other = start(&gate.world).await;
    for verifier in [&gate.verifier, &other] {
        for _ in 0..2 {
            ask(verifier, &gate.reach(), &plain, 1, Counting::Counts).await;
        }
    }
    let (one, two) = tokio::join!(gate.verifier.flush(), other.flush());
    one.unwrap();
    two.unwrap();
    assert_eq!(told(&gate).await.len(), 1);
}

async fn two_nodes_whose_clocks_are_apart_tell_of_a_key_once(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate.key(|key| key.rate_limit = RateLimit::new(1, 60)).await;
    let other = start(&gate.world).await;
    for (verifier, seconds) in [(&gate.verifier, -1), (&other, 0)] {
        for _ in 0..2 {
            ask(verifier, &gate.reach(), &plain, 1, Counting::Counts).await;
        }
        verifier.flush().await.unwrap();
        gate.world.clock.advance(seconds);
    }
    assert_eq!(told(&gate).await.len(), 1);
}

async fn what_could_not_be_told_is_told_later(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate.key(|key| key.rate_limit = RateLimit::new(1, 60)).await;
    gate.check(&plain).await;
    gate.check(&plain).await;
    gate.world
        .raw(false, "ALTER TABLE key_notices RENAME TO away")
        .await;
    assert!(gate.verifier.flush().await.is_err());
    gate.world
        .raw(false, "ALTER TABLE away RENAME TO key_notices")
        .await;
    flush(&gate).await;
    assert_eq!(told(&gate).await.len(), 1);
    let counted = "SELECT CAST(SUM(successful + rate_limited) AS TEXT) FROM usage_hours";
    assert_eq!(gate.world.raw(true, counted).await, ["2"]);
}

async fn what_was_told_is_forgotten_when_it_is_over(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate.key(|key| key.rate_limit = RateLimit::new(1, 60)).await;
    gate.check(&plain).await;
    gate.check(&plain).await;
    flush(&gate).await;
    let db = &gate.world.db;
    let over = gate.world.now().plus_seconds(key_notices::LIMIT_TOLD_FOR);
    assert_eq!(key_notices::forget(db, over, 9).await.unwrap(), 0);
    let later = over.plus_seconds(1);
    assert_eq!(key_notices::forget(db, later, 9).await.unwrap(), 1);
    assert_eq!(key_notices::forget(db, later, 9).await.unwrap(), 0);
}
