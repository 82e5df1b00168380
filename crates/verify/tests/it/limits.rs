//! Limits and quotas: exact, and not to be shaken off.

use claviger_domain::decision::Verdict;
use claviger_domain::limit::{Period, Quota, RateLimit};
use claviger_store::api_keys::{self, ApiKey, Selector};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use claviger_verify::{Counting, Creation, Edit};
use futures::future::join_all;

use crate::{Gate, edit};

in_both_worlds![
    a_limit_is_not_overshot_by_many_at_once,
    a_limit_follows_the_key_through_rotation_and_grace,
    a_key_in_grace_does_not_start_its_successor_s_count_anew,
    a_limit_is_not_reset_by_what_is_done_to_the_key,
    a_limit_that_is_taken_off_and_put_back_goes_on_after_a_restart,
    long_windows_and_quotas_survive_a_restart_and_short_windows_do_not,
    a_quota_starts_anew_with_its_period,
    a_quota_that_becomes_a_day_s_starts_anew_at_midnight,
    a_window_that_was_over_is_not_revived_by_a_longer_one,
    what_a_change_answers_with_is_known_before_it_commits,
    a_key_is_made_without_a_look_at_what_was_counted,
    a_cost_is_taken_whole_or_not_at_all,
];

async fn spend(gate: &Gate, plain: &claviger_domain::key_string::PlainKey, times: usize) {
    for _ in 0..times {
        assert_eq!(gate.check(plain).await, Verdict::Valid);
    }
}

async fn a_limit_is_not_overshot_by_many_at_once(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate
        .key(|key| key.rate_limit = RateLimit::new(1000, 60))
        .await;
    let tasks = (0..64).map(|_| {
        let (verifier, reach, plain) = (gate.verifier.clone(), gate.reach(), plain.clone());
        tokio::spawn(async move {
            let mut accepted = 0;
            for _ in 0..40 {
                let checked = crate::ask(&verifier, &reach, &plain, 1, Counting::Counts).await;
                match checked.verdict {
                    Verdict::Valid => accepted += 1,
                    Verdict::RateLimited => {}
                    other => panic!("{other:?}"),
                }
            }
            accepted
        })
    });
    let accepted: u32 = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(accepted, 1000);
    gate.world.clock.advance(60);
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
}

async fn a_limit_follows_the_key_through_rotation_and_grace(world: World) {
    let mut gate = Gate::new(world).await;
    let (old, old_plain) = gate
        .key(|key| key.rate_limit = RateLimit::new(5, 3600))
        .await;
    spend(&gate, &old_plain, 3).await;
    let which = Selector::Id(old.id.clone());
    let change = gate.world.change();
    let rotated = gate
        .verifier
        .rotate_api_key(change, gate.reach(), which, 600)
        .await;
    let new = rotated.unwrap().unwrap();
    spend(&gate, &old_plain, 1).await;
    spend(&gate, &new.plain, 1).await;
    gate.verifier.flush().await.unwrap();
    for _ in 0..2 {
        assert_eq!(gate.check(&new.plain).await, Verdict::RateLimited);
        assert_eq!(gate.check(&old_plain).await, Verdict::RateLimited);
        gate.restart().await;
    }
}

async fn a_key_in_grace_does_not_start_its_successor_s_count_anew(world: World) {
    let mut gate = Gate::new(world).await;
    let quota = |period| Some(Quota { limit: 2, period });
    let day = 86_400;
    let (brief, brief_plain) = gate.key(|key| key.rate_limit = RateLimit::new(2, 10)).await;
    let (daily, daily_plain) = gate.key(|key| key.quota = quota(Period::Day)).await;
    let mut successors = Vec::new();
    for key in [&brief, &daily] {
        let which = Selector::Id(key.id.clone());
        let (change, reach) = (gate.world.change(), gate.reach());
        let rotated = gate
            .verifier
            .rotate_api_key(change, reach, which, 9 * day)
            .await;
        successors.push(rotated.unwrap().unwrap());
    }
    gate.edit(&successors[0].key, move |key| {
        key.rate_limit = RateLimit::new(2, 5 * 86_400);
    })
    .await;
    gate.edit(&successors[1].key, move |key| {
        key.quota = quota(Period::Month);
    })
    .await;
    // The old one counts in its successor's window, and that is written.
    for (old, new) in [
        (&brief_plain, &successors[0]),
        (&daily_plain, &successors[1]),
    ] {
        spend(&gate, &new.plain, 1).await;
        gate.verifier.flush().await.unwrap();
        spend(&gate, old, 1).await;
    }
    gate.verifier.flush().await.unwrap();
    for seconds in [20, day] {
        gate.world.clock.advance(seconds);
        for _ in 0..2 {
            assert_eq!(gate.check(&brief_plain).await, Verdict::RateLimited);
            assert_eq!(gate.check(&successors[0].plain).await, Verdict::RateLimited);
            assert_eq!(gate.check(&daily_plain).await, Verdict::QuotaExceeded);
            assert_eq!(
                gate.check(&successors[1].plain).await,
                Verdict::QuotaExceeded
            );
        }
        gate.restart().await;
    }
}

async fn a_limit_is_not_reset_by_what_is_done_to_the_key(world: World) {
    let gate = Gate::new(world).await;
    let quota = Some(Quota {
        limit: 4,
        period: Period::Month,
    });
    let (key, plain) = gate
        .key(|key| {
            key.rate_limit = RateLimit::new(2, 30);
            key.quota = quota;
        })
        .await;
    spend(&gate, &plain, 2).await;
    assert_eq!(gate.check(&plain).await, Verdict::RateLimited);

    gate.edit(&key, |key| key.name = "renamed".to_owned()).await;
    assert_eq!(gate.check(&plain).await, Verdict::RateLimited);
    // Another limit applies to the window that runs.
    gate.edit(&key, |key| key.rate_limit = RateLimit::new(3, 30))
        .await;
    spend(&gate, &plain, 1).await;
    assert_eq!(gate.check(&plain).await, Verdict::RateLimited);
    gate.edit(&key, |key| key.rate_limit = None).await;
    spend(&gate, &plain, 1).await;
    assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);
    gate.edit(&key, |key| key.quota = None).await;
    gate.verifier.flush().await.unwrap();
    gate.verifier.sweep().await;
    gate.edit(&key, move |key| key.quota = quota).await;
    assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);

    // Deleting a project clears the caches; the counters stay.
    let other = gate.world.project(&gate.account, "other").await;
    let change = gate.world.change();
    gate.verifier
        .delete_project(change, gate.reach(), other.id)
        .await
        .unwrap();
    gate.verifier.sweep().await;
    assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);

    // Made anew, of the same lineage.
    edit(&gate.verifier, &gate.world, &key, |_| Edit::Purge)
        .await
        .unwrap();
    let (mut again, plain) = gate.world.draw_api_key(&gate.project, "again");
    again.lineage = key.lineage;
    again.quota = quota;
    assert_eq!(gate.create(&again, &plain).await, Creation::Done);
    assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);
}

async fn a_limit_that_is_taken_off_and_put_back_goes_on_after_a_restart(world: World) {
    let mut gate = Gate::new(world).await;
    let quota = |limit| {
        let period = Period::Day;
        Some(Quota { limit, period })
    };
    let limit = RateLimit::new(2, 3600);
    let (one, one_plain) = gate.key(|key| key.quota = quota(2)).await;
    let (two, two_plain) = gate
        .key(|key| {
            key.rate_limit = limit;
            key.quota = quota(9);
        })
        .await;
    for plain in [&one_plain, &two_plain] {
        spend(&gate, plain, 2).await;
    }
    gate.edit(&one, |key| key.quota = None).await;
    gate.edit(&two, |key| key.rate_limit = None).await;
    for _ in 0..2 {
        for plain in [&one_plain, &two_plain] {
            spend(&gate, plain, 1).await;
        }
        gate.verifier.flush().await.unwrap();
        gate.verifier.sweep().await;
        gate.restart().await;
    }
    gate.edit(&one, move |key| key.quota = quota(2)).await;
    gate.edit(&two, move |key| key.rate_limit = limit).await;
    assert_eq!(gate.check(&one_plain).await, Verdict::QuotaExceeded);
    assert_eq!(gate.check(&two_plain).await, Verdict::RateLimited);
}

async fn long_windows_and_quotas_survive_a_restart_and_short_windows_do_not(world: World) {
    let mut gate = Gate::new(world).await;
    let quota = |limit| {
        Some(Quota {
            limit,
            period: Period::Day,
        })
    };
    let (_, long) = gate.key(|key| key.rate_limit = RateLimit::new(1, 61)).await;
    let (_, short) = gate.key(|key| key.rate_limit = RateLimit::new(1, 60)).await;
    let (_, counted) = gate.key(|key| key.quota = quota(1)).await;
    let (_, both) = gate
        .key(|key| {
            key.rate_limit = RateLimit::new(1, 60);
            key.quota = quota(2);
        })
        .await;
    for plain in [&long, &short, &counted, &both] {
        spend(&gate, plain, 1).await;
    }
    gate.verifier.flush().await.unwrap();
    gate.restart().await;
    assert_eq!(gate.check(&long).await, Verdict::RateLimited);
    assert_eq!(gate.check(&short).await, Verdict::Valid);
    assert_eq!(gate.check(&counted).await, Verdict::QuotaExceeded);
    assert_eq!(gate.check(&both).await, Verdict::Valid);
    gate.verifier.flush().await.unwrap();
    gate.restart().await;
    assert_eq!(gate.check(&both).await, Verdict::QuotaExceeded);
    gate.world.clock.advance(61);
    assert_eq!(gate.check(&long).await, Verdict::Valid);
}

async fn a_quota_starts_anew_with_its_period(world: World) {
    let gate = Gate::new(world).await;
    let quota = |period| Some(Quota { limit: 1, period });
    let (_, daily) = gate.key(|key| key.quota = quota(Period::Day)).await;
    let (_, monthly) = gate.key(|key| key.quota = quota(Period::Month)).await;
    for plain in [&daily, &monthly] {
        spend(&gate, plain, 1).await;
        assert_eq!(gate.check(plain).await, Verdict::QuotaExceeded);
    }
    // The clock stands at noon, in the middle of January.
    gate.world.clock.advance(12 * 3600 - 1);
    assert_eq!(gate.check(&daily).await, Verdict::QuotaExceeded);
    gate.world.clock.advance(1);
    spend(&gate, &daily, 1).await;
    assert_eq!(gate.check(&monthly).await, Verdict::QuotaExceeded);
    gate.world.clock.advance(16 * 86_400);
    spend(&gate, &monthly, 1).await;
}

async fn a_cost_is_taken_whole_or_not_at_all(world: World) {
    let gate = Gate::new(world).await;
    let (_, plain) = gate
        .key(|key| {
            key.rate_limit = RateLimit::new(10, 60);
            key.quota = Some(Quota {
                limit: 8,
                period: Period::Day,
            });
        })
        .await;
    let steps = [
        (0, Verdict::Valid, 0),
        (11, Verdict::RateLimited, 0),
        (u64::MAX, Verdict::RateLimited, 0),
        (9, Verdict::QuotaExceeded, 0),
        (7, Verdict::Valid, 7),
        (2, Verdict::QuotaExceeded, 7),
        (4, Verdict::RateLimited, 7),
        (1, Verdict::Valid, 8),
        (1, Verdict::QuotaExceeded, 8),
        (0, Verdict::Valid, 8),
    ];
    for (cost, verdict, used) in steps {
        let checked = gate.ask(&plain, cost, Counting::Counts).await;
        assert_eq!(checked.verdict, verdict, "cost {cost}");
        assert_eq!(checked.rate_limit.unwrap().used, used, "cost {cost}");
        assert_eq!(checked.quota.unwrap().used, used, "cost {cost}");
    }
}

async fn a_quota_that_becomes_a_day_s_starts_anew_at_midnight(world: World) {
    let mut gate = Gate::new(world).await;
    let quota = |period| Some(Quota { limit: 1, period });
    let (key, plain) = gate.key(|key| key.quota = quota(Period::Month)).await;
    spend(&gate, &plain, 1).await;
    gate.verifier.flush().await.unwrap();
    gate.restart().await;
    gate.edit(&key, move |key| key.quota = quota(Period::Day))
        .await;
    gate.verifier.flush().await.unwrap();
    gate.restart().await;
    // The clock stands at noon, and nobody asks before midnight.
    gate.world.clock.advance(12 * 3600);
    spend(&gate, &plain, 1).await;
    assert_eq!(gate.check(&plain).await, Verdict::QuotaExceeded);
}

async fn a_window_that_was_over_is_not_revived_by_a_longer_one(world: World) {
    let mut gate = Gate::new(world).await;
    for restarts in [false, true] {
        let (key, plain) = gate
            .key(|key| key.rate_limit = RateLimit::new(1, 100))
            .await;
        spend(&gate, &plain, 1).await;
        gate.verifier.flush().await.unwrap();
        if restarts {
            gate.restart().await;
        }
        gate.world.clock.advance(110);
        gate.edit(&key, |key| key.rate_limit = RateLimit::new(1, 3600))
            .await;
        spend(&gate, &plain, 1).await;
        // It is shortened, and lengthened once it is over, with no request between.
        gate.edit(&key, |key| key.rate_limit = RateLimit::new(1, 30))
            .await;
        gate.verifier.flush().await.unwrap();
        if restarts {
            gate.restart().await;
        }
        gate.world.clock.advance(40);
        gate.edit(&key, |key| key.rate_limit = RateLimit::new(1, 3600))
            .await;
        spend(&gate, &plain, 1).await;
        assert_eq!(gate.check(&plain).await, Verdict::RateLimited);
    }
}

async fn what_a_change_answers_with_is_known_before_it_commits(world: World) {
    let mut gate = Gate::new(world).await;
    let quota = Some(Quota {
        limit: 9,
        period: Period::Day,
    });
    let (old, old_plain) = gate.key(|key| key.quota = quota).await;
    let (plain_one, _) = gate.key(|_| {}).await;
    spend(&gate, &old_plain, 2).await;
    gate.verifier.flush().await.unwrap();
    gate.restart().await;

    let (made, _) = gate.key(|key| key.quota = quota).await;
    let change = gate.world.change();
    let which = Selector::Id(old.id.clone());
    let rotated = gate
        .verifier
        .rotate_api_key(change, gate.reach(), which, 600)
        .await;
    let rotated = rotated.unwrap().unwrap().key;
    gate.edit(&plain_one, move |key| key.quota = quota).await;
    let edited = ApiKey { quota, ..plain_one };

    gate.world
        .raw(true, "ALTER TABLE allowances RENAME TO away")
        .await;
    gate.verifier.sweep().await;
    for (key, used) in [(&made, 0), (&rotated, 2), (&edited, 0)] {
        let level = gate.verifier.quota_level(key).await.unwrap().unwrap();
        assert_eq!(level.used, used);
    }

    // What cannot be loaded is not changed.
    gate.restart().await;
    let change = gate.world.change();
    let (reach, which) = (gate.reach(), Selector::Id(rotated.id.clone()));
    let refused = gate
        .verifier
        .rotate_api_key(change, reach.clone(), which.clone(), 600)
        .await;
    assert!(refused.is_err());
    let stored = api_keys::find(&gate.world.db, &reach, &which).await;
    assert_eq!(stored.unwrap().unwrap().rotated_to, None);
}

async fn a_key_is_made_without_a_look_at_what_was_counted(world: World) {
    let gate = Gate::new(world).await;
    gate.world
        .raw(true, "ALTER TABLE allowances RENAME TO away")
        .await;
    let (_, free) = gate.key(|_| {}).await;
    let (_, limited) = gate
        .key(|key| key.rate_limit = RateLimit::new(1, 3600))
        .await;
    assert_eq!(gate.check(&free).await, Verdict::Valid);
    assert_eq!(gate.check(&limited).await, Verdict::Valid);
    assert_eq!(gate.check(&limited).await, Verdict::RateLimited);
}
