//! What is counted: each answered check once, each first use once.

use claviger_domain::decision::Verdict;
use claviger_domain::key_string::PlainKey;
use claviger_domain::limit::RateLimit;
use claviger_domain::usage::UsageCounts;
use claviger_store::api_keys::{self, ApiKey, Selector};
use claviger_store::{events, usage};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};
use claviger_verify::{Brought, Counting};
use futures::future::join_all;

use crate::{Gate, ask, start};

in_both_worlds![
    usage_is_what_was_answered,
    looks_and_unknown_keys_are_not_counted,
    a_flush_that_fails_keeps_what_was_counted,
    a_flush_whose_first_uses_fail_counts_nothing_twice,
    a_flush_that_is_given_up_loses_nothing,
    hours_are_kept_apart_also_when_the_clock_goes_back,
    a_first_use_is_told_once_of_many_at_once_and_after_a_restart,
    two_nodes_tell_a_first_use_once,
    what_is_counted_of_many_keys_is_safe_at_once_and_becomes_rows,
];

async fn totals(gate: &Gate, key: &ApiKey) -> UsageCounts {
    usage::totals(&gate.world.db, &key.id).await.unwrap()
}

async fn first_uses(gate: &Gate) -> usize {
    let trail = events::of_account(&gate.world.db, &gate.account.id, 1000)
        .await
        .unwrap();
    trail
        .iter()
        .filter(|event| event.kind == "api-key.firstUsed")
        .count()
}

async fn stored(gate: &Gate, key: &ApiKey) -> ApiKey {
    let which = Selector::Id(key.id.clone());
    api_keys::find(&gate.world.db, &everything(), &which)
        .await
        .unwrap()
        .unwrap()
}

/// Checks a key from many tasks at once, and gives the verdicts.
async fn hammer(gate: &Gate, plain: &PlainKey, tasks: usize, times: usize) -> Vec<Verdict> {
    let tasks = (0..tasks).map(|_| {
        let (verifier, reach, plain) = (gate.verifier.clone(), gate.reach(), plain.clone());
        tokio::spawn(async move {
            let mut verdicts = Vec::new();
            for _ in 0..times {
                let checked = ask(&verifier, &reach, &plain, 1, Counting::Counts).await;
                verdicts.push(checked.verdict);
            }
            verdicts
        })
    });
    join_all(tasks)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect()
}

async fn usage_is_what_was_answered(world: World) {
    let gate = Gate::new(world).await;
    let (limited, limited_plain) = gate
        .key(|key| key.rate_limit = RateLimit::new(700, 60))
        .await;
    let (revoked, revoked_plain) = gate.key(|_| {}).await;
    gate.revoke(&revoked).await;
    let flushes = (0..8).map(|_| {
        let verifier = gate.verifier.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                verifier.flush().await.unwrap();
            }
        })
    });
    let flushes: Vec<_> = flushes.collect();
    let (verdicts, refused) = tokio::join!(
        hammer(&gate, &limited_plain, 32, 40),
        hammer(&gate, &revoked_plain, 8, 40)
    );
    for flush in flushes {
        flush.await.unwrap();
    }
    gate.verifier.flush().await.unwrap();

    let count = |wanted| {
        verdicts
            .iter()
            .filter(|verdict| **verdict == wanted)
            .count() as u64
    };
    let answered = UsageCounts {
        successful: count(Verdict::Valid),
        failed: 0,
        rate_limited: count(Verdict::RateLimited),
    };
    assert_eq!(answered.total(), 1280);
    assert_eq!(answered.successful, 700);
    assert_eq!(totals(&gate, &limited).await, answered);
    let failed = UsageCounts {
        failed: refused.len() as u64,
        ..UsageCounts::default()
    };
    assert_eq!(totals(&gate, &revoked).await, failed);
    assert_eq!(first_uses(&gate).await, 1);
    assert_eq!(stored(&gate, &revoked).await.last_used_at, None);
}

async fn looks_and_unknown_keys_are_not_counted(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    gate.ask(&plain, 1, Counting::Looks).await;
    gate.check(&PlainKey::new("custom-key-of-nobody")).await;
    gate.verifier.flush().await.unwrap();
    assert_eq!(totals(&gate, &key).await.total(), 0);
    assert_eq!(first_uses(&gate).await, 0);
    let rows = gate.world.raw(true, "SELECT key_id FROM usage_hours").await;
    assert!(rows.is_empty());
}

async fn a_flush_that_fails_keeps_what_was_counted(world: World) {
    let mut gate = Gate::new(world).await;
    let (key, plain) = gate
        .key(|key| key.rate_limit = RateLimit::new(6, 3600))
        .await;
    gate.check(&plain).await;
    gate.world
        .raw(true, "ALTER TABLE allowances RENAME TO away")
        .await;
    for _ in 0..2 {
        assert!(gate.verifier.flush().await.is_err());
        gate.verifier.sweep().await;
        // In the same hour, and in the next one: its window is over then.
        gate.check(&plain).await;
        gate.world.clock.advance(60);
        gate.check(&plain).await;
    }
    assert_eq!(totals(&gate, &key).await.total(), 0);
    gate.world
        .raw(true, "ALTER TABLE away RENAME TO allowances")
        .await;
    let last = gate.world.now();
    gate.verifier.flush().await.unwrap();
    gate.verifier.flush().await.unwrap();
    assert_eq!(totals(&gate, &key).await.successful, 5);
    assert_eq!(stored(&gate, &key).await.last_used_at, Some(last));
    assert_eq!(first_uses(&gate).await, 1);
    gate.restart().await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    assert_eq!(gate.check(&plain).await, Verdict::RateLimited);
}

async fn a_flush_whose_first_uses_fail_counts_nothing_twice(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    let first = gate.world.now();
    gate.check(&plain).await;
    gate.world
        .raw(false, "ALTER TABLE events RENAME TO away")
        .await;
    assert!(gate.verifier.flush().await.is_err());
    gate.verifier.sweep().await;
    gate.world.clock.advance(5);
    gate.check(&plain).await;
    assert!(gate.verifier.flush().await.is_err());
    gate.world
        .raw(false, "ALTER TABLE away RENAME TO events")
        .await;
    gate.verifier.flush().await.unwrap();
    assert_eq!(totals(&gate, &key).await.successful, 2);
    assert_eq!(first_uses(&gate).await, 1);
    assert_eq!(stored(&gate, &key).await.first_used_at, Some(first));
}

async fn a_flush_that_is_given_up_loses_nothing(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    for patience in 0..40 {
        gate.check(&plain).await;
        let waiting = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            flushed = gate.verifier.flush() => flushed.unwrap(),
            () = waiting => {}
        }
    }
    gate.verifier.flush().await.unwrap();
    assert_eq!(totals(&gate, &key).await.successful, 40);
    assert_eq!(first_uses(&gate).await, 1);
}

async fn hours_are_kept_apart_also_when_the_clock_goes_back(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    for step in [0, 3_600, -3_600, 3_600, 0] {
        gate.world.clock.advance(step);
        gate.check(&plain).await;
    }
    gate.verifier.flush().await.unwrap();
    assert_eq!(totals(&gate, &key).await.successful, 5);
    let hours = "SELECT CAST(successful AS TEXT) FROM usage_hours ORDER BY hour";
    assert_eq!(gate.world.raw(true, hours).await, ["2", "3"]);
}

async fn a_first_use_is_told_once_of_many_at_once_and_after_a_restart(world: World) {
    let mut gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    let at = gate.world.now();
    for _ in 0..2 {
        let verdicts = hammer(&gate, &plain, 64, 1).await;
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Valid));
        assert!(gate.verifier.activity(&key.id).last_used_at.is_some());
        gate.verifier.flush().await.unwrap();
        assert_eq!(first_uses(&gate).await, 1);
        let stored = stored(&gate, &key).await;
        assert_eq!(stored.first_used_at, Some(at));
        assert_eq!(stored.last_used_at, Some(gate.world.now()));
        gate.world.clock.advance(60);
        gate.restart().await;
    }
}

async fn two_nodes_tell_a_first_use_once(world: World) {
    let gate = Gate::new(world).await;
    let other = start(&gate.world).await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(gate.key(|_| {}).await.1);
    }
    for plain in &keys {
        gate.check(plain).await;
    }
    for plain in keys.iter().rev() {
        ask(&other, &gate.reach(), plain, 1, Counting::Counts).await;
    }
    let (one, two) = tokio::join!(gate.verifier.flush(), other.flush());
    one.unwrap();
    two.unwrap();
    assert_eq!(first_uses(&gate).await, 20);
}

async fn what_is_counted_of_many_keys_is_safe_at_once_and_becomes_rows(world: World) {
    const KEYS: usize = 1_100;
    let mut gate = Gate::new(world).await;
    let drawn = (0..KEYS).map(|_| {
        let (mut key, plain) = gate.world.draw_api_key(&gate.project, "key");
        key.rate_limit = RateLimit::new(2, 3600);
        (key, plain)
    });
    let keys: Vec<_> = drawn.collect();
    let brought = keys
        .iter()
        .map(|(key, plain)| (key.clone(), Brought::Plain(plain.clone())));
    let change = gate.world.change();
    let imported = gate
        .verifier
        .import_api_keys(&change, &gate.project, brought.collect())
        .await;
    assert_eq!(imported.unwrap().len(), KEYS);
    for (_, plain) in &keys {
        assert_eq!(gate.check(plain).await, Verdict::Valid);
    }
    gate.verifier.flush().await.unwrap();
    let counted = "SELECT CAST(COUNT(*) AS TEXT) FROM usage_hours";
    assert_eq!(gate.world.raw(true, counted).await, ["0"]);

    // A process that was killed leaves the journal to the next one, limits included.
    gate.restart().await;
    assert_eq!(gate.world.raw(true, counted).await, [KEYS.to_string()]);
    for (expected, total) in [(Verdict::Valid, 2), (Verdict::RateLimited, 3)] {
        for (_, plain) in &keys {
            assert_eq!(gate.check(plain).await, expected);
        }
        gate.verifier.flush().await.unwrap();
        // A part each second: its rows are paid off before the next part.
        for _ in 0..5 {
            gate.world.clock.advance(1);
            gate.verifier.fold().await.unwrap();
        }
        let checks = "SELECT CAST(SUM(successful + rate_limited) AS TEXT) FROM usage_hours";
        let checks = gate.world.raw(true, checks).await;
        assert_eq!(checks, [(total * KEYS).to_string()]);
    }
    let waiting = "SELECT CAST(COUNT(*) AS TEXT) FROM usage_journal";
    assert_eq!(gate.world.raw(true, waiting).await, ["0"]);
}
