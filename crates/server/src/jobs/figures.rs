//! What became of the jobs that remove what is old, and what the database is asked once a minute, for
//! `/metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use claviger_domain::time::Timestamp;

use super::job::Job;

/// The figures of all of these jobs.
#[derive(Debug, Default)]
pub struct JobFigures {
    jobs: [Figures; Job::ALL.len()],
    journal_bytes: AtomicU64,
}

/// The figures of one.
#[derive(Debug, Default)]
struct Figures {
    removed: AtomicU64,
    failures: AtomicU64,
    done_at: AtomicI64,
}

/// A job with its figures as they are now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobFigure {
    /// Its name.
    pub(crate) name: &'static str,
    /// Rows that this program removed.
    pub(crate) removed: u64,
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
        self.of(job).removed.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, job: Job) {
        self.of(job).failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn done(&self, job: Job, at: Timestamp) {
        let done_at = &self.of(job).done_at;
        done_at.store(at.as_micros(), Ordering::Relaxed);
    }

    pub(super) fn journal_has(&self, bytes: u64) {
        self.journal_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes in the journal of usage, as they were a minute ago.
    pub(crate) fn journal_bytes(&self) -> u64 {
        self.journal_bytes.load(Ordering::Relaxed)
    }

    /// Each job with its figures.
    pub(crate) fn all(&self) -> impl Iterator<Item = JobFigure> {
        Job::ALL.into_iter().zip(&self.jobs).map(|(job, figures)| {
            let done_at = figures.done_at.load(Ordering::Relaxed);
            JobFigure {
                name: job.name(),
                removed: figures.removed.load(Ordering::Relaxed),
                failures: figures.failures.load(Ordering::Relaxed),
                done_at: Timestamp::from_micros(done_at),
            }
        })
    }
}
