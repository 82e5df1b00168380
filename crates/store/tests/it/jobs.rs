//! Jobs that several programs could do: one does, and when it is due.

use claviger_domain::time::Timestamp;
use claviger_store::StoreError;
use claviger_store::jobs::{self, Claim};
use claviger_store::usage_exports::{self, Progress};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;

in_both_worlds![
    a_job_is_one_programs_until_it_is_done_or_its_lease_is_over,
    who_lost_a_job_notes_nothing,
    a_clock_that_was_ahead_keeps_nobody_from_a_job,
    a_clock_that_is_somewhat_ahead_is_believed,
    who_lost_a_job_does_not_keep_it,
];

fn claim(holder: &str) -> Claim {
    Claim {
        name: "tidying",
        holder: holder.to_owned(),
        lease_seconds: 60,
        every_seconds: 3_600,
    }
}

async fn claimed(world: &World, holder: &str) -> Option<i64> {
    let claim = claim(holder);
    jobs::claim(&world.db, &claim, world.now()).await.unwrap()
}

async fn finished(world: &World, holder: &str, position: i64) {
    let claim = claim(holder);
    let finished = jobs::finish(&world.db, &claim, position, world.now());
    finished.await.unwrap();
}

async fn a_job_is_one_programs_until_it_is_done_or_its_lease_is_over(world: World) {
    assert_eq!(claimed(&world, "one").await, Some(0));
    assert_eq!(claimed(&world, "two").await, None);
    world.clock.advance(59);
    assert_eq!(claimed(&world, "one").await, Some(0), "it goes on");
    world.clock.advance(59);
    assert_eq!(claimed(&world, "two").await, None);
    world.clock.advance(1);
    assert_eq!(claimed(&world, "two").await, Some(0));
    finished(&world, "two", 7).await;
    assert_eq!(claimed(&world, "one").await, None, "it is not due");
    let done = vec![("tidying".to_owned(), world.now())];
    assert_eq!(jobs::last_done(&world.db).await.unwrap(), done);
    world.clock.advance(3_600);
    assert_eq!(claimed(&world, "one").await, Some(7));
}

async fn who_lost_a_job_notes_nothing(world: World) {
    assert_eq!(claimed(&world, "one").await, Some(0));
    world.clock.advance(60);
    assert_eq!(claimed(&world, "two").await, Some(0));
    finished(&world, "one", 9).await;
    assert!(jobs::last_done(&world.db).await.unwrap().is_empty());
    assert_eq!(claimed(&world, "two").await, Some(0));
}

async fn a_clock_that_was_ahead_keeps_nobody_from_a_job(world: World) {
    world.clock.advance(1_000_000);
    assert_eq!(claimed(&world, "ahead").await, Some(0));
    finished(&world, "ahead", 7).await;
    assert_eq!(claimed(&world, "ahead").await, None);
    world.clock.advance(-1_000_000);
    assert_eq!(claimed(&world, "right").await, Some(7));
}

async fn a_clock_that_is_somewhat_ahead_is_believed(world: World) {
    let now = world.now();
    let ahead = Timestamp::from_micros(now.as_micros() + 300_000);
    let claimed = async |holder, now| jobs::claim(&world.db, &claim(holder), now).await.unwrap();
    assert_eq!(claimed("ahead", ahead).await, Some(0));
    assert_eq!(claimed("behind", now).await, None, "it is done already");
    let of_ahead = claim("ahead");
    let done = jobs::finish(&world.db, &of_ahead, 7, ahead);
    done.await.unwrap();
    assert_eq!(claimed("behind", now).await, None, "it is not due");
    world.clock.advance(3_601);
    assert_eq!(claimed("behind", world.now()).await, Some(7));
}

async fn who_lost_a_job_does_not_keep_it(world: World) {
    let now = world.now();
    let kept = async |holder: &str| {
        let claim = claim(holder);
        let kept = world.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { jobs::keep(tx, &claim, now).await })
        });
        kept.await.unwrap()
    };
    assert_eq!(claimed(&world, "one").await, Some(0));
    assert!(kept("one").await);
    assert!(!kept("two").await);
    world.clock.advance(60);
    assert_eq!(claimed(&world, "two").await, Some(0));
    assert!(!kept("one").await);
    let progress = Progress::default();
    for (holder, is_noted) in [("one", false), ("two", true)] {
        let claim = claim(holder);
        let noted = usage_exports::note(&world.db, &claim, "2030-01", &progress, None, now);
        assert_eq!(noted.await.unwrap(), is_noted);
        let found = usage_exports::find(&world.db, "2030-01").await.unwrap();
        assert_eq!(found.is_some(), is_noted);
    }
}
