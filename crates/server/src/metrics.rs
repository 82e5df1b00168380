//! `/metrics`: the program's numbers, as Prometheus reads them.
//!
//! The numbers are counters that lie where things happen, and are written out when somebody asks:
//! no library stands between, since the format is a line a number. Labels have few values: routes by
//! their template, verdicts, outcomes; never a key, an account or a path.

mod process;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, Core, Identity, Surface, identify};
use http::header;

use text::{Text, seconds};

use crate::jobs::JobFigures;

/// The version of the format that the text is in.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of a running program.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    core: Core,
    jobs: Arc<JobFigures>,
    started_at: Timestamp,
}

impl Metrics {
    /// The numbers of the program with that core and those jobs, which starts now.
    pub(crate) fn new(core: &Core, jobs: Arc<JobFigures>) -> Self {
        Self {
            core: core.clone(),
            jobs,
            started_at: core.now(),
        }
    }

    /// `/metrics` for whoever presents the operator key.
    pub(crate) fn guarded(self) -> Router {
        let core = self.core.clone();
        Router::new()
            .route("/metrics", get(for_the_operator))
            .with_state(Arc::new(self))
            .layer(middleware::from_fn_with_state(core, identify))
    }

    /// `/metrics` for all who reach the listener that it is served on.
    pub(crate) fn open(self) -> Surface {
        let core = self.core.clone();
        let routes = Router::new()
            .route("/metrics", get(for_everybody))
            .fallback(async || ApiError::not_found())
            .with_state(Arc::new(self));
        Surface::new(&core, routes, None)
    }

    fn write(&self) -> String {
        let mut out = Text::default();
        self.write_program(&mut out);
        self.write_requests(&mut out);
        self.write_checks(&mut out);
        self.write_feed(&mut out);
        self.write_usage(&mut out);
        self.write_tools(&mut out);
        self.write_jobs(&mut out);
        self.write_regular_jobs(&mut out);
        self.write_webhooks(&mut out);
        self.write_mails(&mut out);
        out.finish()
    }

    fn write_program(&self, out: &mut Text) {
        out.gauge("claviger_build_info", "The program's version.");
        out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        let seconds = self.started_at.as_micros() / 1_000_000;
        out.gauge("process_start_time_seconds", "When the program started.");
        out.sample(&[], seconds);
        if let Some(bytes) = process::resident_bytes() {
            let name = "process_resident_memory_bytes";
            out.gauge(name, "Memory that the program holds.");
            out.sample(&[], bytes);
        }
        if let Some(files) = process::open_files() {
            let name = "process_open_fds";
            out.gauge(name, "Files and connections that are open.");
            out.sample(&[], files);
        }
    }

    fn write_requests(&self, out: &mut Text) {
        let traffic = &self.core.traffic;
        let name = "claviger_http_requests_total";
        out.counter(name, "Requests by route, method and class of status.");
        for route in traffic.routes() {
            for (method, status, count) in route.answers() {
                let labels = [
                    ("route", route.template()),
                    ("method", method),
                    ("status", status),
                ];
                out.sample(&labels, count);
            }
        }
        let name = "claviger_http_request_duration_seconds";
        out.histogram(name, "How long requests took, by route.");
        for route in traffic.routes() {
            if route.answers().next().is_some() {
                out.durations(&[("route", route.template())], route.durations());
            }
        }
    }

    fn write_checks(&self, out: &mut Text) {
        let verifier = &self.core.verifier;
        let name = "claviger_checks_total";
        out.counter(name, "Checks of keys that counted, by what they came to.");
        for (verdict, count) in verifier.checks() {
            let verdict = verdict.as_str().to_ascii_lowercase();
            out.sample(&[("verdict", &verdict)], count);
        }
        let name = "claviger_lookups_total";
        let help = "Looks into the database for what no cache knew, by what they came to.";
        out.counter(name, help);
        for (outcome, count) in verifier.looks_for_keys() {
            out.sample(&[("of", "key"), ("outcome", outcome.as_str())], count);
        }
        for (outcome, count) in verifier.looks_for_credentials() {
            let labels = [("of", "credential"), ("outcome", outcome.as_str())];
            out.sample(&labels, count);
        }
        let name = "claviger_cache_entries";
        out.gauge(
            name,
            "What the caches hold: rows, and what is known to have none.",
        );
        for (of, size) in [
            ("key", verifier.cached_keys()),
            ("credential", verifier.cached_callers()),
        ] {
            out.sample(&[("of", of), ("kind", "present")], size.present);
            out.sample(&[("of", of), ("kind", "absent")], size.absent);
        }
        out.gauge(
            "claviger_turns",
            "Turns at the database, held and waited for.",
        );
        let db = &self.core.db;
        for (of, turns) in [("queries", db.queries()), ("changes", db.changes())] {
            out.sample(&[("of", of), ("state", "in_use")], turns.in_use);
            out.sample(&[("of", of), ("state", "waiting")], turns.waiting);
        }
    }

    fn write_feed(&self, out: &mut Text) {
        let following = self.core.verifier.following();
        let name = "claviger_feed_age_seconds";
        let help = "How long ago all changes of other programs over the database were known; 0 \
                    where there can be none.";
        out.gauge(name, help);
        out.sample(&[], seconds(following.age_us));
        let name = "claviger_feed_changes_total";
        let help = "Changes that were heard of, those of this program among them.";
        out.counter(name, help);
        out.sample(&[], following.changes);
        let name = "claviger_feed_failures_total";
        out.counter(name, "Times that nothing could be heard of changes.");
        out.sample(&[], following.failures);
        let name = "claviger_feed_resets_total";
        let help = "Times that all in memory was forgotten, since nobody could tell what changed.";
        out.counter(name, help);
        out.sample(&[], following.resets);
    }

    fn write_usage(&self, out: &mut Text) {
        let verifier = &self.core.verifier;
        let name = "claviger_usage_flush_duration_seconds";
        out.histogram(name, "How long it took to write what was counted.");
        out.durations(&[], verifier.flushes());
        let name = "claviger_usage_flush_failures_total";
        out.counter(name, "Times that what was counted could not be written.");
        out.sample(&[], verifier.flush_failures());
        let name = "claviger_usage_rows_total";
        out.counter(name, "Rows of usage and limits that were written.");
        out.sample(&[], verifier.flushed_rows());
        let name = "claviger_usage_unwritten";
        out.gauge(
            name,
            "Keys and limits with counts that are not written yet.",
        );
        out.sample(&[], verifier.unwritten());
        let name = "claviger_usage_journal_bytes";
        let help = "What is written of usage and not where it belongs yet, as of a minute ago.";
        out.gauge(name, help);
        out.sample(&[], self.jobs.journal_bytes());
    }

    fn write_tools(&self, out: &mut Text) {
        let traffic = &self.core.traffic;
        let name = "claviger_tool_calls_total";
        out.counter(name, "Calls of tools, by what became of them.");
        for (outcome, count) in traffic.tool_calls() {
            out.sample(&[("outcome", outcome.as_str())], count);
        }
        let name = "claviger_tool_call_duration_seconds";
        out.histogram(name, "How long calls of tools took.");
        out.durations(&[], traffic.tool_durations());
    }

    fn write_mails(&self, out: &mut Text) {
        let figures = self.core.people.post.figures();
        let name = "claviger_mails_total";
        out.counter(name, "Attempts to send a mail, by what became of them.");
        out.sample(&[("outcome", "sent")], figures.sent());
        out.sample(&[("outcome", "put_off")], figures.put_off());
        out.sample(&[("outcome", "failed")], figures.failed());
        let name = "claviger_mails_waiting";
        out.gauge(name, "Mails that wait, as of some seconds ago.");
        out.sample(&[], figures.waiting());
        let name = "claviger_mail_delay_seconds";
        let help = "How long the mail has waited that waits longest, as of some seconds ago.";
        out.gauge(name, help);
        out.sample(&[], seconds(figures.oldest_us()));
    }

    fn write_webhooks(&self, out: &mut Text) {
        let figures = self.core.webhooks.figures();
        let name = "claviger_webhook_attempts_total";
        out.counter(name, "Attempts to deliver an event, by what they came to.");
        for (outcome, count) in figures.attempts() {
            out.sample(&[("outcome", outcome.as_str())], count);
        }
        let name = "claviger_webhooks_disabled_total";
        let help = "Webhooks that were disabled, since their receivers failed or were gone.";
        out.counter(name, help);
        out.sample(&[], figures.disabled());
        let name = "claviger_webhook_deliveries_waiting";
        let help = "Deliveries that wait, those that are to be tried again among them.";
        out.gauge(name, help);
        out.sample(&[], figures.waiting());
        let name = "claviger_webhook_delay_seconds";
        let help =
            "For how long the delivery is due that is due longest and that nobody sends yet.";
        out.gauge(name, help);
        out.sample(&[], seconds(figures.oldest_us()));
    }
}

impl Metrics {
    /// Removing what is past its time.
    fn write_jobs(&self, out: &mut Text) {
        let name = "claviger_retention_last_done_timestamp_seconds";
        let help = "When what was past its time was removed last, by whichever program over the \
                    database; nothing where it was not yet.";
        out.gauge(name, help);
        let done = self.jobs.all().filter(|job| job.done_at.as_micros() > 0);
        for job in done {
            let done_at = seconds(job.done_at.as_micros().unsigned_abs());
            out.sample(&[("of", job.name)], done_at);
        }
        let name = "claviger_retention_removed_rows_total";
        out.counter(name, "Rows that were removed as they were past their time.");
        for job in self.jobs.all() {
            out.sample(&[("of", job.name)], job.rows);
        }
        let name = "claviger_retention_failures_total";
        let help = "Times that what was past its time could not be removed.";
        out.counter(name, help);
        for job in self.jobs.all() {
            out.sample(&[("of", job.name)], job.failures);
        }
    }
}

impl Metrics {
    /// What is looked at each minute.
    fn write_regular_jobs(&self, out: &mut Text) {
        let name = "claviger_jobs_last_done_timestamp_seconds";
        let help = "When a job that looks each minute had nothing left to do, by whichever program \
                    over the database; nothing where it was not yet.";
        out.gauge(name, help);
        let jobs = || self.jobs.all_regular();
        for job in jobs().filter(|job| job.done_at.as_micros() > 0) {
            let done_at = seconds(job.done_at.as_micros().unsigned_abs());
            out.sample(&[("of", job.name)], done_at);
        }
        let name = "claviger_jobs_rows_total";
        let help = "Keys that somebody was told of, rows of usage that were exported.";
        out.counter(name, help);
        for job in jobs() {
            out.sample(&[("of", job.name)], job.rows);
        }
        let name = "claviger_jobs_failures_total";
        out.counter(name, "Times that such a job failed.");
        for job in jobs() {
            out.sample(&[("of", job.name)], job.failures);
        }
    }
}

async fn for_the_operator(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
) -> Result<Response, ApiError> {
    match request.extensions().get::<Identity>() {
        None => Err(ApiError::unauthorized()),
        Some(identity) if matches!(identity.actor, Actor::Operator(_)) => Ok(answer(&metrics)),
        // For a verifier key, paths other than those of checks do not exist.
        Some(identity) if identity.rights.only_check_keys() => Err(ApiError::not_found()),
        Some(_) => Err(ApiError::forbidden()),
    }
}

async fn for_everybody(State(metrics): State<Arc<Metrics>>) -> Response {
    answer(&metrics)
}

fn answer(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.write()).into_response()
}
