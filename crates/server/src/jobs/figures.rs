//! What became of jobs, and what the database is asked once a minute, for `/metrics`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use claviger_domain::time::Timestamp;

use super::job::{Job, Regular};

/// The figures of all of these jobs.
#[derive(Debug, Default)]
pub struct JobFigures {
    jobs: [Figures; Job::ALL.len()],
    regular: [Figures; Regular::ALL.len()],
    journal_bytes: AtomicU64,
}

/// The figures of one.
#[derive(Debug, Default)]
struct Figures {
    /// Whether this program does it at all: not asked of those that each does.
    is_on: AtomicBool,
    rows: AtomicU64,
    failures: AtomicU64,
    done_at: AtomicI64,
}

impl Figures {
    fn shown(&self, name: &'static str) -> JobFigure {
        JobFigure {
            name,
            rows: self.rows.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            done_at: Timestamp::from_micros(self.done_at.load(Ordering::Relaxed)),
        }
    }
}

/// A job with its figures as they are now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobFigure {
    /// Its name.
    pub(crate) name: &'static str,
    /// Rows that this program removed, exported, or told of.
    pub(crate) rows: u64,
    /// Times that it failed here.
    pub(crate) failures: u64,
    /// When it was done last, by whichever program; 1970 when it never was.
    pub(crate) done_at: Timestamp,
}

impl JobFigures {
    fn of(&self, job: Job) -> &Figures {
        let place = Job::ALL.iter().position(|one| *one == job);
        &self.jobs[place.expect("all jobs are in the list of all")]
    }

    pub(super) fn removed(&self, job: Job, rows: u64) {
        self.of(job).rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, job: Job) {
        self.of(job).failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn done(&self, job: Job, at: Timestamp) {
        let done_at = &self.of(job).done_at;
        done_at.store(at.as_micros(), Ordering::Relaxed);
    }

    fn regular(&self, job: Regular) -> &Figures {
        let place = Regular::ALL.iter().position(|one| *one == job);
        &self.regular[place.expect("all jobs are in the list of all")]
    }

    /// Notes that this program does that job.
    pub(super) fn turn_on(&self, job: Regular) {
        self.regular(job).is_on.store(true, Ordering::Relaxed);
    }

    /// Notes what a job did here.
    pub(crate) fn did(&self, job: Regular, rows: u64) {
        self.regular(job).rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Notes that a job failed here.
    pub(crate) fn could_not(&self, job: Regular) {
        self.regular(job).failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes when a job was done last, by whichever program.
    pub(super) fn done_by_name(&self, name: &str, at: Timestamp) {
        if let Some(job) = Job::ALL.into_iter().find(|job| job.name() == name) {
            self.done(job, at);
        }
        if let Some(job) = Regular::ALL.into_iter().find(|job| job.name() == name) {
            let done_at = &self.regular(job).done_at;
            done_at.store(at.as_micros(), Ordering::Relaxed);
        }
    }

    pub(super) fn journal_has(&self, bytes: u64) {
        self.journal_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes in the journal of usage, as they were a minute ago.
    pub(crate) fn journal_bytes(&self) -> u64 {
        self.journal_bytes.load(Ordering::Relaxed)
    }

    /// Each job that removes rows, with its figures.
    pub(crate) fn all(&self) -> impl Iterator<Item = JobFigure> {
        let jobs = Job::ALL.into_iter().zip(&self.jobs);
        jobs.map(|(job, figures)| figures.shown(job.name()))
    }

    /// Each job that looks each minute, with its figures. One that this program does not do was never
    /// done: the database may know of it from another time.
    pub(crate) fn all_regular(&self) -> impl Iterator<Item = JobFigure> {
        let jobs = Regular::ALL.into_iter().zip(&self.regular);
        jobs.map(|(job, figures)| {
            let mut shown = figures.shown(job.name());
            if !figures.is_on.load(Ordering::Relaxed) {
                shown.done_at = Timestamp::from_micros(0);
            }
            shown
        })
    }
}
