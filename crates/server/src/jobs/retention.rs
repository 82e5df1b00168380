//! Removes what is past its time. Of several programs over one database one does it, by lease.
//!
//! Each job goes through some rows, lets others have their turn, and goes on. One that is cut short
//! begins anew: what is removed is removed.

use std::error::Error;
use std::sync::Arc;

use anyhow::Result;
use claviger_domain::base62;
use claviger_domain::time::{Clock, Timestamp};
use claviger_edge::Core;
use claviger_store::idempotency::REMEMBERED_SECONDS;
use claviger_store::jobs::{self, Claim};
use claviger_store::{Db, StoreError, retention as rows, usage};
use tokio::sync::watch;
use tokio::time::Duration;

use super::figures::JobFigures;
use super::job::Job;
use super::{each, goes_on};
use crate::config::{ExportEvery, KeptFor, Retention};
use crate::usage_export;

/// How often it is looked whether a job is due.
const PERIOD: Duration = Duration::from_mins(1);
/// How long a job is nobody else's: some times as long as its slowest part takes.
const LEASE_SECONDS: i64 = 600;
/// Rows that are removed in one go: some milliseconds.
const ROWS: i64 = 500;
/// Keys whose usage is looked at in one go.
const KEYS: i64 = 100;
/// How long others have their turn.
const REST: Duration = Duration::from_millis(20);
/// What is counted may be written that many hours late, at most.
const LATE_HOURS: i64 = 72;
const DAY_SECONDS: i64 = 86_400;

/// Who removes what is old.
struct Sweeper {
    db: Db,
    clock: Arc<dyn Clock>,
    retention: Retention,
    /// Of what usage is exported, which stays until it is, with what names its keys.
    exports: Option<ExportEvery>,
    figures: Arc<JobFigures>,
    /// What this program is called where jobs are claimed.
    holder: String,
    rest: Duration,
}

pub(super) async fn run(
    core: Core,
    retention: Retention,
    exports: Option<ExportEvery>,
    figures: Arc<JobFigures>,
    mut stopped: watch::Receiver<bool>,
) {
    let sweeper = Sweeper {
        holder: base62::random_text(&*core.random, 20),
        db: core.db.clone(),
        clock: Arc::clone(&core.clock),
        retention,
        exports,
        figures,
        rest: REST,
    };
    let mut ticks = each(PERIOD);
    let mut stop = stopped.clone();
    // The first tick is at once, when there is enough to do.
    goes_on(&mut ticks, &mut stopped).await;
    let mut failing = [false; Job::ALL.len()];
    while goes_on(&mut ticks, &mut stopped).await {
        tokio::select! {
            biased;
            // What is not done stays for the next time.
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = sweeper.turn(&mut failing) => {}
        }
    }
}

impl Sweeper {
    /// Does each job that is due; a line for the first of several failures.
    async fn turn(&self, failing: &mut [bool]) {
        for (job, is_failing) in Job::ALL.into_iter().zip(failing) {
            let name = job.name();
            let done = self.run_if_due(job).await;
            match &done {
                Ok(0) => {}
                Ok(rows) => tracing::info!(job = name, rows, "what was past its time is removed"),
                Err(error) => {
                    self.figures.failed(job);
                    if !*is_failing {
                        let error: &dyn Error = error.as_ref();
                        tracing::error!(job = name, error, "what is past its time stays for now");
                    }
                }
            }
            *is_failing = done.is_err();
        }
        // What others did counts too. Where it cannot be read, the last that is known stands.
        for (name, at) in jobs::last_done(&self.db).await.unwrap_or_default() {
            self.figures.done_by_name(&name, at);
        }
        if let Ok(bytes) = usage::journal_bytes(&self.db).await {
            self.figures.journal_has(bytes);
        }
    }

    /// What is before that instant, unless usage of that time is still to be exported.
    async fn unless_waiting(
        &self,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let (Some(before), Some(every)) = (before, self.exports) else {
            return Ok(before);
        };
        let waits_from = usage_export::waits_from(&self.db, every, now).await?;
        Ok(Some(before.min(waits_from)))
    }

    /// Does a job if it is due and nobody else does it; gives how many rows went.
    async fn run_if_due(&self, job: Job) -> Result<u64> {
        let now = self.clock.now();
        let claim = Claim {
            name: job.name(),
            holder: self.holder.clone(),
            lease_seconds: LEASE_SECONDS,
            every_seconds: job.every_seconds(),
        };
        let Some(position) = jobs::claim(&self.db, &claim, now).await? else {
            return Ok(0);
        };
        let mut run = Run {
            sweeper: self,
            job,
            claim,
            claimed_at: now,
            removed: 0,
        };
        let (db, kept) = (&self.db, &self.retention);
        let mut position = position;
        match job {
            Job::Calls => {
                let before = days_before(kept.calls, now);
                run.remove(before, |at| rows::remove_calls(db, at, ROWS))
                    .await?;
            }
            Job::Requests => {
                let before = Some(now.plus_seconds(-REMEMBERED_SECONDS));
                run.remove(before, |at| rows::remove_requests(db, at, ROWS))
                    .await?;
            }
            Job::Events => {
                let before = days_before(kept.events, now);
                run.remove(before, |at| rows::remove_events(db, at, ROWS))
                    .await?;
            }
            Job::Deleted => {
                let before = self.unless_waiting(days_before(kept.deleted, now), now);
                let before = before.await?;
                run.remove(before, |at| rows::remove_deleted(db, at, ROWS))
                    .await?;
            }
            Job::Usage => position = run.remove_usage(position, now).await?,
        }
        jobs::finish(&self.db, &run.claim, position, self.clock.now()).await?;
        Ok(run.removed)
    }
}

/// A job that is being done.
struct Run<'a> {
    sweeper: &'a Sweeper,
    job: Job,
    claim: Claim,
    claimed_at: Timestamp,
    removed: u64,
}

impl Run<'_> {
    /// Removes rows of before an instant, some at a time, until there are none.
    async fn remove<F: Future<Output = Result<u64, StoreError>>>(
        &mut self,
        before: Option<Timestamp>,
        some: impl Fn(Timestamp) -> F,
    ) -> Result<(), StoreError> {
        let Some(before) = before else { return Ok(()) };
        while self.note(some(before).await?) > 0 {
            self.rest().await?;
        }
        Ok(())
    }

    /// Removes hours, whose counts stay in their days, and days, for some keys at a time. `position` is
    /// the hour before which there are none any more, and so is what it gives.
    async fn remove_usage(&mut self, position: i64, now: Timestamp) -> Result<i64> {
        let (db, kept) = (&self.sweeper.db, &self.sweeper.retention);
        let fold_before = days_before(kept.usage_by_hour, now).map(first_hour);
        let remove_before = days_before(kept.usage, now);
        let remove_before = self.sweeper.unless_waiting(remove_before, now).await?;
        let remove_before = remove_before.map(first_hour);
        // An hour goes with its day at the latest.
        let hours_before = fold_before.max(remove_before);
        let mut last = String::new();
        while let Some(hour) = hours_before {
            let keys = rows::keys_with_hours(db, &last, KEYS).await?;
            let Some(key) = keys.last() else { break };
            last.clone_from(key);
            while self.note(rows::remove_hours(db, &keys, hour, ROWS).await?) > 0 {
                self.rest().await?;
            }
            self.rest().await?;
        }
        last.clear();
        while let Some(hour) = remove_before {
            let keys = rows::keys_with_days(db, &last, KEYS).await?;
            let Some(key) = keys.last() else { break };
            last.clone_from(key);
            while self.note(rows::remove_days(db, &keys, hour / 24, ROWS).await?) > 0 {
                self.rest().await?;
            }
            self.rest().await?;
        }
        if hours_before.is_none() {
            return Ok(position);
        }
        self.remove_usage_of_projects(position, fold_before, remove_before)
            .await?;
        // Hours that went do not come back where they are kept for longer from now on.
        let gone = if position <= now.as_hour() {
            position
        } else {
            0
        };
        Ok(hours_before.map_or(position, |hour| hour.max(gone)))
    }

    /// The same with the sums of projects.
    async fn remove_usage_of_projects(
        &mut self,
        position: i64,
        fold_before: Option<i64>,
        remove_before: Option<i64>,
    ) -> Result<(), StoreError> {
        let db = &self.sweeper.db;
        let mut last = String::new();
        loop {
            let projects = rows::projects_with_usage(db, &last, KEYS).await?;
            let Some(project) = projects.last() else {
                return Ok(());
            };
            last.clone_from(project);
            if let Some(hour) = remove_before {
                while rows::remove_project_days(db, &projects, hour, ROWS).await? > 0 {
                    self.rest().await?;
                }
            }
            if let Some(hour) = fold_before {
                let hours = (position - LATE_HOURS).max(0)..hour;
                while rows::fold_project_days(db, &projects, hours.clone(), ROWS).await? > 0 {
                    self.rest().await?;
                }
            }
            self.rest().await?;
        }
    }

    fn note(&mut self, removed: u64) -> u64 {
        self.sweeper.figures.removed(self.job, removed);
        self.removed += removed;
        removed
    }

    /// Lets others have their turn, and claims the job anew in time. Where another program has it
    /// meanwhile, which takes a pause of minutes, both go on: nothing is removed twice.
    async fn rest(&mut self) -> Result<(), StoreError> {
        let Sweeper {
            db, clock, rest, ..
        } = self.sweeper;
        tokio::time::sleep(*rest).await;
        let now = clock.now();
        if now.micros_since(self.claimed_at) > LEASE_SECONDS * 1_000_000 / 2 {
            jobs::claim(db, &self.claim, now).await?;
            self.claimed_at = now;
        }
        Ok(())
    }
}

/// The instant of before which nothing is kept; none where all is.
fn days_before(kept: KeptFor, now: Timestamp) -> Option<Timestamp> {
    match kept {
        KeptFor::Days(days) => Some(now.plus_seconds(-DAY_SECONDS * i64::from(days))),
        KeptFor::Forever => None,
    }
}

/// The first hour of the day of an instant, UTC.
fn first_hour(at: Timestamp) -> i64 {
    at.as_hour().div_euclid(24) * 24
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use claviger_domain::id::Id;
    use claviger_domain::usage::UsageCounts;
    use claviger_store::events;
    use claviger_store::usage::{Flush, UsageHour};
    use claviger_testkit::in_both_worlds;
    use claviger_testkit::world::World;

    use super::*;

    in_both_worlds![
        what_is_past_its_time_goes_and_nothing_before,
        hours_go_and_days_stay,
        days_go_although_their_hours_are_gone,
        what_is_not_exported_yet_stays,
        one_of_two_programs_does_a_job,
        a_job_that_fails_is_counted_and_done_later,
    ];

    fn sweeper(world: &World, holder: &str, retention: Retention) -> Sweeper {
        Sweeper {
            db: world.db.clone(),
            clock: world.clock.clone(),
            retention,
            exports: None,
            figures: Arc::default(),
            holder: holder.to_owned(),
            rest: Duration::ZERO,
        }
    }

    fn figure(sweeper: &Sweeper, job: Job) -> (u64, u64, Timestamp) {
        let mut all = sweeper.figures.all();
        let figure = all.find(|figure| figure.name == job.name()).unwrap();
        (figure.rows, figure.failures, figure.done_at)
    }

    async fn what_is_past_its_time_goes_and_nothing_before(world: World) {
        let mine = world.account("mine").await;
        world.clock.advance(DAY_SECONDS);
        world.project(&mine, "later").await;
        let kept = Retention {
            events: KeptFor::Days(90),
            ..Retention::default()
        };
        let sweeper = sweeper(&world, "one", kept);
        let trail = async || {
            let trail = events::of_account(&world.db, &mine.id, 9).await.unwrap();
            trail.len()
        };
        world.clock.advance(89 * DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(trail().await, 2);
        world.clock.advance(3_600);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(trail().await, 1);
        assert_eq!(figure(&sweeper, Job::Events), (1, 0, world.now()));
        assert_eq!(figure(&sweeper, Job::Calls), (0, 0, world.now()));
    }

    async fn hours_go_and_days_stay(world: World) {
        let project = Id::from_suffix("project");
        let keys: Vec<_> = (0..250)
            .map(|number| Id::from_suffix(&format!("{number:016}")))
            .collect();
        let today = first_hour(world.now());
        let counts = UsageCounts {
            successful: 3,
            failed: 2,
            rate_limited: 1,
        };
        let hours = keys.iter().flat_map(|key| {
            [-60 * 24, -31 * 24 + 5, -31 * 24 + 7, -30 * 24 + 7].map(|hour| UsageHour {
                key,
                project: &project,
                hour: today + hour,
                counts,
                last_used_at: None,
            })
        });
        let flush = Flush {
            hours: hours.collect(),
            ..Flush::at(world.now())
        };
        usage::add(&world.db, &flush).await.unwrap();
        let kept = Retention {
            usage_by_hour: KeptFor::Days(30),
            ..Retention::default()
        };
        let sweeper = sweeper(&world, "one", kept);
        let rows = async |sql| {
            let rows = world.raw(true, sql).await;
            let mut sums = BTreeMap::<i64, i64>::new();
            for row in rows {
                let (at, count) = row.split_once(' ').unwrap();
                let at: i64 = at.parse().unwrap();
                *sums.entry(at).or_default() += count.parse::<i64>().unwrap();
            }
            sums
        };
        let of = |relative: &[(i64, i64)], start: i64| {
            let rows = relative.iter().map(|(at, count)| (start + at, *count));
            rows.collect::<BTreeMap<_, _>>()
        };
        let hours = "SELECT CAST(hour AS TEXT) || ' ' || CAST(successful AS TEXT) FROM usage_hours";
        let days = "SELECT CAST(day AS TEXT) || ' ' || CAST(successful AS TEXT) FROM usage_days";
        let in_days = of(&[(-60, 750), (-31, 1_500), (-30, 750)], today / 24);
        let sums = "SELECT CAST(hour AS TEXT) FROM usage_projects ORDER BY hour";
        assert_eq!(world.raw(true, sums).await.len(), 4);
        assert_eq!(rows(hours).await.len(), 4);
        assert_eq!(rows(days).await, in_days);
        sweeper.turn(&mut [false; 5]).await;
        let sums_in_days = [-60 * 24, -31 * 24, -30 * 24 + 7];
        let sums_in_days = sums_in_days.map(|hour| (today + hour).to_string());
        assert_eq!(world.raw(true, sums).await, sums_in_days);
        assert_eq!(rows(hours).await, of(&[(-30 * 24 + 7, 750)], today));
        assert_eq!(rows(days).await, in_days);
        assert_eq!(figure(&sweeper, Job::Usage).0, 750);
        // The next day goes on where this one ended.
        world.clock.advance(DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert!(rows(hours).await.is_empty());
        assert_eq!(rows(days).await, in_days);
        assert_eq!(figure(&sweeper, Job::Usage).0, 1_000);
    }

    async fn days_go_although_their_hours_are_gone(world: World) {
        let (key, project) = (Id::from_suffix("key"), Id::from_suffix("project"));
        let counts = UsageCounts {
            failed: 1,
            ..UsageCounts::default()
        };
        let hour = |hour| UsageHour {
            key: &key,
            project: &project,
            hour,
            counts,
            last_used_at: None,
        };
        let today = first_hour(world.now());
        let flush = Flush {
            hours: vec![hour(today - 1), hour(today)],
            ..Flush::at(world.now())
        };
        usage::add(&world.db, &flush).await.unwrap();
        let kept = Retention {
            usage_by_hour: KeptFor::Days(30),
            usage: KeptFor::Days(60),
            ..Retention::default()
        };
        let sweeper = sweeper(&world, "one", kept);
        let days = async || world.raw(true, "SELECT key_id FROM usage_days").await.len();
        world.clock.advance(40 * DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(days().await, 2);
        world.clock.advance(20 * DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(days().await, 1);
        world.clock.advance(DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(days().await, 0);
    }

    async fn what_is_not_exported_yet_stays(world: World) {
        let account = world.account("mine").await;
        let project = world.project(&account, "project").await;
        let key = Id::from_suffix("key");
        let counted = UsageHour {
            key: &key,
            project: &project.id,
            hour: first_hour(world.now()),
            counts: UsageCounts {
                failed: 1,
                ..UsageCounts::default()
            },
            last_used_at: None,
        };
        let flush = Flush {
            hours: vec![counted],
            ..Flush::at(world.now())
        };
        usage::add(&world.db, &flush).await.unwrap();
        world
            .raw(false, "UPDATE projects SET deleted_at = updated_at")
            .await;
        let kept = Retention {
            usage: KeptFor::Days(7),
            deleted: KeptFor::Days(7),
            ..Retention::default()
        };
        let sweeper = Sweeper {
            exports: Some(ExportEvery::Month),
            ..sweeper(&world, "one", kept)
        };
        let left = async || {
            let days = world.raw(true, "SELECT key_id FROM usage_days").await;
            let names = world.raw(false, "SELECT name FROM projects").await;
            (days.len(), names[0].clone())
        };
        // In February that January is not exported yet.
        world.clock.advance(25 * DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(left().await, (1, "project".to_owned()));
        world
            .raw(
                false,
                "INSERT INTO usage_exports VALUES ('2026-01', 1, 1, '', 1, 1, NULL)",
            )
            .await;
        world.clock.advance(DAY_SECONDS);
        sweeper.turn(&mut [false; 5]).await;
        assert_eq!(left().await, (0, String::new()));
    }

    async fn one_of_two_programs_does_a_job(world: World) {
        let one = sweeper(&world, "one", Retention::default());
        let two = sweeper(&world, "two", Retention::default());
        one.turn(&mut [false; 5]).await;
        let begun_at = world.now();
        world.clock.advance(60);
        two.turn(&mut [false; 5]).await;
        // It was not due again, and the other knows when it was done.
        assert_eq!(figure(&two, Job::Calls), (0, 0, begun_at));
        world.clock.advance(3_600);
        two.turn(&mut [false; 5]).await;
        assert_eq!(figure(&two, Job::Calls).2, world.now());
        assert_eq!(figure(&two, Job::Usage).2, begun_at);
    }

    async fn a_job_that_fails_is_counted_and_done_later(world: World) {
        let sweeper = sweeper(&world, "one", Retention::default());
        world
            .raw(true, "ALTER TABLE call_blocks RENAME TO away")
            .await;
        let mut failing = [false; 5];
        sweeper.turn(&mut failing).await;
        assert_eq!(failing, [true, false, false, false, false]);
        assert_eq!(
            figure(&sweeper, Job::Calls),
            (0, 1, Timestamp::from_micros(0))
        );
        assert_eq!(figure(&sweeper, Job::Requests).2, world.now());
        world
            .raw(true, "ALTER TABLE away RENAME TO call_blocks")
            .await;
        world.clock.advance(60);
        sweeper.turn(&mut failing).await;
        assert_eq!(failing, [false; 5]);
        assert_eq!(figure(&sweeper, Job::Calls), (0, 1, world.now()));
    }
}
