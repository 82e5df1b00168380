//! Exports that the program makes by itself. Of several programs over one database one does, by lease.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use anyhow::{Context, Result};
use claviger_domain::base62;
use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;
use claviger_edge::Core;
use claviger_store::jobs::{self, Claim};
use claviger_store::notifications::{self, News};
use claviger_store::usage_exports::{self, Progress};
use claviger_store::{Db, StoreError, accounts};
use jiff::tz::TimeZone;

use super::endpoint::Endpoint;
use super::lease::Lease;
use super::period::SETTLES;
use super::{Period, prepare, rows_of_file, write_file};
use crate::config::{ExportEvery, ExportTo, Schedule, UsageExport};

/// What it is called where jobs are claimed.
pub(crate) const JOB: &str = "usage-export";
/// How long an export is nobody else's; it is claimed anew after each part.
const LEASE_SECONDS: i64 = 600;
/// Less than a minute, in which it is looked again: that must not come too early by milliseconds.
const EVERY_SECONDS: i64 = 50;
/// Seconds for which a program that could not export leaves it to others, who look each minute, too.
const RESTS_SECONDS: i64 = 59;
/// Periods that were missed, at most, that are caught up with at once.
const MOST_PERIODS: usize = 400;
/// Failures in a row, a minute apart, after which people are told: a receiver may start anew.
const TOLD_AFTER: u32 = 10;

/// Who exports.
pub(crate) struct Exporter {
    core: Core,
    settings: UsageExport,
    /// What this program is called where jobs are claimed.
    holder: String,
    /// Failures in a row.
    failures: AtomicU32,
    /// Until when others are to try it, in microseconds since 1970.
    rests_until: AtomicI64,
    /// Rows that nobody has asked for yet.
    rows: AtomicU64,
}

impl Exporter {
    /// Exports as `settings` say.
    pub(crate) fn new(core: Core, settings: UsageExport) -> Self {
        Self {
            holder: base62::random_text(&*core.random, 20),
            core,
            settings,
            failures: AtomicU32::new(0),
            rests_until: AtomicI64::new(0),
            rows: AtomicU64::new(0),
        }
    }

    /// Exports what is due, if nobody else does; gives how many periods that were. What fails is due the
    /// next time, and goes on where it was, by another program first where there is one: it may have what
    /// this one lacks.
    pub(crate) async fn turn(&self) -> Result<usize> {
        let (db, now) = (&self.core.db, self.core.now());
        let rests_until = Timestamp::from_micros(self.rests_until.load(Ordering::Relaxed));
        // A clock that was ahead keeps nobody from it.
        if now < rests_until && rests_until <= now.plus_seconds(RESTS_SECONDS) {
            return Ok(0);
        }
        let Some(position) = jobs::claim(db, &self.claim(), now).await? else {
            return Ok(0);
        };
        // The first time it is due when the schedule says so next.
        let since = match position {
            0 => now,
            position => Timestamp::from_micros(position).min(now),
        };
        if !is_due(&self.settings.schedule, since, now) {
            jobs::finish(db, &self.claim(), since.as_micros(), now).await?;
            return Ok(0);
        }
        let periods = self.waiting(now).await?;
        for period in &periods {
            if let Err(error) = self.export(period).await {
                self.failed(period).await?;
                jobs::give_back(db, &self.claim()).await?;
                let rests_until = self.core.now().plus_seconds(RESTS_SECONDS);
                self.rests_until
                    .store(rests_until.as_micros(), Ordering::Relaxed);
                return Err(error.context(format!("the usage of {period}")));
            }
            self.failures.store(0, Ordering::Relaxed);
        }
        jobs::finish(db, &self.claim(), now.as_micros(), self.core.now()).await?;
        Ok(periods.len())
    }

    /// Rows that were exported since this was asked last.
    pub(crate) fn take_rows(&self) -> u64 {
        self.rows.swap(0, Ordering::Relaxed)
    }

    fn claim(&self) -> Claim {
        Claim {
            name: JOB,
            holder: self.holder.clone(),
            lease_seconds: LEASE_SECONDS,
            every_seconds: EVERY_SECONDS,
        }
    }

    /// Periods that are over and were not exported: since the last that was, or the last one.
    async fn waiting(&self, now: Timestamp) -> Result<Vec<Period>> {
        let first = first_waiting(&self.core.db, self.settings.every, now).await?;
        let all = std::iter::successors(Some(first), |period| Some(period.next()));
        let closed = all.take_while(|period| period.is_closed(now));
        Ok(closed.take(MOST_PERIODS).collect())
    }

    async fn export(&self, period: &Period) -> Result<()> {
        let core = &self.core;
        prepare(&core.db, core.now()).await?;
        let lease = Lease {
            core,
            claim: self.claim(),
        };
        let rows = match &self.settings.to {
            ExportTo::Folder(folder) => {
                let name = format!("usage-{period}.{}", self.settings.format.as_str());
                self.write(period, &folder.join(name), &lease).await?
            }
            ExportTo::Url { url, authorization } => {
                let endpoint = Endpoint {
                    core,
                    url,
                    authorization: authorization.as_ref(),
                    format: self.settings.format,
                };
                endpoint.send(period, &lease).await?
            }
        };
        let begun = usage_exports::find(&core.db, &period.to_string()).await?;
        let progress = Progress {
            rows,
            finished_at: Some(core.now().as_micros()),
            ..begun.unwrap_or_default()
        };
        lease.note(period, &progress, None).await?;
        tracing::info!(%period, rows, "usage is exported");
        self.rows.fetch_add(rows.unsigned_abs(), Ordering::Relaxed);
        Ok(())
    }

    /// Counts a failure, and tells people of it, once a period, where there were many in a row.
    async fn failed(&self, period: &Period) -> Result<()> {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 < TOLD_AFTER {
            return Ok(());
        }
        // Whose people are to be told is not asked of them: it is the operator's matter.
        let Some(account) = accounts::first(&self.core.db).await? else {
            return Ok(());
        };
        let news = News {
            account,
            project: None,
            kind: "usage-export.failed",
            title: format!("The usage of {period} is not exported"),
            // The cause may name a place of the machine's.
            body:
                "It is tried again each minute, and nothing is lost. The server's log says why it \
                   fails, and when it succeeds."
                    .to_owned(),
            once: Some(format!("usage-export.failed {period}")),
        };
        let change = self.core.change(&Actor::System);
        let told = self.core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { notifications::tell(tx, &change, news).await })
        });
        told.await?;
        Ok(())
    }

    /// Writes a file, unless it is there: then a run was cut short just after it got its name.
    async fn write(&self, period: &Period, path: &Path, lease: &Lease<'_>) -> Result<i64> {
        let format = self.settings.format;
        if !path.exists() {
            write_file(&self.core.db, period, format, path, Some(lease)).await?;
        }
        // With those that a run wrote which was cut short.
        let rows = rows_of_file(path, format)
            .with_context(|| format!("cannot read {}", path.display()))?;
        i64::try_from(rows).context("a file has fewer rows")
    }
}

/// The first period that was not exported: the one after the last that was, or the last that is over.
pub(crate) async fn first_waiting(db: &Db, every: ExportEvery, now: Timestamp) -> Result<Period> {
    let last = Period::last(every, now);
    let length = last.to_string().len();
    let done = usage_exports::last_finished(db, length).await?;
    Ok(match done {
        Some(done) => Period::read(&done)?.next(),
        None => last,
    })
}

/// Whether the schedule named an instant since then, so long ago that what was counted before it is there.
fn is_due(schedule: &Schedule, since: Timestamp, now: Timestamp) -> bool {
    let since = jiff::Timestamp::from_microsecond(since.as_micros()).unwrap_or_default();
    let since = since.to_zoned(TimeZone::UTC);
    let next = schedule.0.find_next_occurrence(&since, false);
    next.is_ok_and(|next| {
        let next = Timestamp::from_micros(next.timestamp().as_microsecond());
        next.plus_seconds(SETTLES) <= now
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use claviger_domain::date;
    use claviger_store::Page;
    use claviger_store::notifications::Filter;
    use claviger_testkit::world::everything;
    use claviger_testkit::{Receiver, Tenant, TestApp, on_both_engines};
    use http::StatusCode;
    use serde_json::{Value, json};
    use tempfile::tempdir;

    use super::*;
    use crate::config::{ExportEvery, ExportFormat, Secret};

    fn settings(to: ExportTo) -> UsageExport {
        UsageExport {
            schedule: "0 * * * *".parse().unwrap(),
            every: ExportEvery::Day,
            format: ExportFormat::Csv,
            to,
        }
    }

    /// A key that was checked on the day on which the clock stands, at its beginning.
    async fn checked(app: &TestApp, tenant: &Tenant) -> Value {
        let key = app
            .api_key(tenant, json!({"name": "=1+1", "customAccountId": "acme"}))
            .await;
        let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
        app.request("POST", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        app.flush().await;
        key
    }

    #[test]
    fn it_is_due_some_minutes_after_the_schedule_says() {
        let at = |text| date::parse(text).unwrap();
        let schedule: Schedule = "30 0 1 * *".parse().unwrap();
        let since = at("2030-01-15");
        assert!(!is_due(&schedule, since, at("2030-02-01T00:34:59Z")));
        assert!(is_due(&schedule, since, at("2030-02-01T00:35:00Z")));
        assert!(!is_due(
            &schedule,
            at("2030-02-01T00:35:00Z"),
            at("2030-02-28")
        ));
    }

    on_both_engines!(
        each_day_is_written_once_and_missed_ones_are_caught_up_with,
        async |app| {
            let tenant = app.tenant("Acme").await;
            checked(&app, &tenant).await;
            let folder = tempdir().unwrap();
            let to = ExportTo::Folder(folder.path().to_owned());
            let exporter = Exporter::new(app.core.clone(), settings(to.clone()));
            let other = Exporter::new(app.core.clone(), settings(to));
            assert_eq!(exporter.turn().await.unwrap(), 0);
            app.advance(86_400 + 300);
            assert_eq!(exporter.turn().await.unwrap(), 1);
            app.advance(60);
            assert_eq!(other.turn().await.unwrap(), 0);
            app.advance(3_600);
            assert_eq!(other.turn().await.unwrap(), 0);
            let day = fs::read_to_string(folder.path().join("usage-2030-01-01.csv")).unwrap();
            let rows: Vec<_> = day.lines().collect();
            assert_eq!(rows.len(), 2, "{day}");
            assert!(rows[0].starts_with("period,from,to,accountId,projectId,keyId,keyName"));
            assert!(
                rows[1]
                    .starts_with("2030-01-01,2030-01-01T00:00:00.000Z,2030-01-02T00:00:00.000Z,")
            );
            assert!(rows[1].ends_with(",'=1+1,acme,,1,1,0,0"), "{day}");
            // Nothing ran for two days.
            checked(&app, &tenant).await;
            app.advance(2 * 86_400);
            assert_eq!(other.turn().await.unwrap(), 2);
            let lines = |name: &str| {
                fs::read_to_string(folder.path().join(name))
                    .unwrap()
                    .lines()
                    .count()
            };
            assert_eq!(
                (lines("usage-2030-01-02.csv"), lines("usage-2030-01-03.csv")),
                (2, 1)
            );
        }
    );

    on_both_engines!(people_are_told_once_when_it_goes_on_failing, async |app| {
        let parent = tempdir().unwrap();
        let folder = parent.path().join("usage");
        let to = ExportTo::Folder(folder.clone());
        let exporter = Exporter::new(app.core.clone(), settings(to));
        let told = async || {
            let first = accounts::first(&app.core.db).await.unwrap().unwrap();
            let filter = Filter {
                account: first.id,
                is_read: None,
            };
            let (reach, page) = (everything(), Page::first(9, 0));
            let listed = notifications::list(&app.core.db, &reach, &filter, &page);
            let (listed, _) = listed.await.unwrap();
            listed
                .into_iter()
                .map(|one| (one.kind, one.title))
                .collect::<Vec<_>>()
        };
        exporter.turn().await.unwrap();
        app.advance(86_400 + 300);
        for _ in 1..TOLD_AFTER {
            exporter.turn().await.unwrap_err();
            app.advance(60);
        }
        assert_eq!(told().await, []);
        let title = "The usage of 2030-01-01 is not exported".to_owned();
        let news = [("usage-export.failed".to_owned(), title)];
        for _ in 0..3 {
            exporter.turn().await.unwrap_err();
            app.advance(60);
            assert_eq!(told().await, news);
        }
        fs::create_dir(&folder).unwrap();
        assert_eq!(exporter.turn().await.unwrap(), 1);
        // Of another period it is told anew, and not at once.
        fs::remove_dir_all(&folder).unwrap();
        app.advance(86_400);
        exporter.turn().await.unwrap_err();
        assert_eq!(told().await, news);
    });

    on_both_engines!(what_one_program_cannot_export_another_does, async |app| {
        let folder = tempdir().unwrap();
        let to = |name| ExportTo::Folder(folder.path().join(name));
        let one = Exporter::new(app.core.clone(), settings(to("away")));
        let other = Exporter::new(app.core.clone(), settings(to("")));
        one.turn().await.unwrap();
        app.advance(86_400 + 300);
        one.turn().await.unwrap_err();
        // It leaves it to others until they have looked.
        assert_eq!(one.turn().await.unwrap(), 0);
        assert_eq!(other.turn().await.unwrap(), 1);
        assert!(folder.path().join("usage-2030-01-01.csv").exists());
    });

    on_both_engines!(who_has_lost_the_job_gives_no_file_its_name, async |app| {
        let folder = tempdir().unwrap();
        let to = ExportTo::Folder(folder.path().to_owned());
        let one = Exporter::new(app.core.clone(), settings(to.clone()));
        let other = Exporter::new(app.core.clone(), settings(to));
        let (db, now) = (&app.core.db, app.core.now());
        jobs::claim(db, &other.claim(), now).await.unwrap();
        let lease = Lease {
            core: &app.core,
            claim: one.claim(),
        };
        let period = Period::read("2029-12").unwrap();
        let path = folder.path().join("usage-2029-12.csv");
        let written = write_file(db, &period, ExportFormat::Csv, &path, Some(&lease)).await;
        let refused = written.unwrap_err().to_string();
        assert!(refused.contains("taken it over"), "{refused}");
        assert!(!path.exists());
    });

    on_both_engines!(
        an_endpoint_gets_each_part_until_it_takes_it_and_none_again,
        async |app| {
            let tenant = app.tenant("Acme").await;
            let key = checked(&app, &tenant).await;
            let is_well = Arc::new(AtomicBool::new(false));
            let answer = Arc::clone(&is_well);
            let receiver = Receiver::answering(move |_| {
                let is_well = answer.load(Ordering::SeqCst);
                async move {
                    if is_well {
                        StatusCode::OK
                    } else {
                        StatusCode::SERVICE_UNAVAILABLE
                    }
                }
            })
            .await;
            let url = format!("{}/usage", receiver.url);
            let authorization = Some(Secret::from("Bearer canary".to_owned()));
            let to = ExportTo::Url { url, authorization };
            let exporter = Exporter::new(app.core.clone(), settings(to));
            exporter.turn().await.unwrap();
            app.advance(86_400 + 300);
            let failed = exporter.turn().await.unwrap_err();
            assert!(
                format!("{failed:#}")
                    .ends_with("part 1 of 2030-01-01 was answered with 503 Service Unavailable")
            );
            is_well.store(true, Ordering::SeqCst);
            // What the key is called meanwhile does not change what was sent.
            let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
            let rename = app.request("PATCH", &path).key(tenant.owner());
            rename
                .json(json!({"name": "other"}))
                .send()
                .await
                .expect(200);
            app.advance(60);
            assert_eq!(exporter.turn().await.unwrap(), 1);
            app.advance(60);
            assert_eq!(exporter.turn().await.unwrap(), 0);
            let received = receiver.received();
            let keys: Vec<_> = received
                .iter()
                .map(|one| one.header("idempotency-key"))
                .collect();
            assert_eq!(
                keys,
                [
                    "usage-2030-01-01-1",
                    "usage-2030-01-01-1",
                    "usage-2030-01-01-end"
                ]
            );
            assert_eq!(received[1].header("authorization"), "Bearer canary");
            assert_eq!(received[0].body, received[1].body);
            let end: Value = serde_json::from_slice(&received[2].body).unwrap();
            assert_eq!(end, json!({"period": "2030-01-01", "parts": 1, "rows": 1}));
        }
    );
}
