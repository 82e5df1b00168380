//! What the program does by itself, at intervals, until it stops.

mod expiry;
mod feed;
mod figures;
mod flush;
mod fold;
mod job;
mod mail;
mod outbox;
mod retention;
mod sweep;
mod usage_export;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use claviger_edge::Core;
use claviger_gateway::Gateway;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Interval, MissedTickBehavior, interval};

pub use self::figures::JobFigures;
use crate::config::{Retention, UsageExport};

/// Starts all jobs; the futures that are returned complete when they have ended. What webhooks do is
/// the second: nothing else waits for it.
pub(crate) fn start(
    core: &Core,
    gateway: &Arc<Gateway>,
    retention: Retention,
    outbox: PathBuf,
    exports: Option<UsageExport>,
    figures: &Arc<JobFigures>,
    stopped: &watch::Receiver<bool>,
) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
    let verifier = core.verifier.clone();
    let flush = tokio::spawn(flush::run(verifier.clone(), stopped.clone()));
    let fold = tokio::spawn(fold::run(verifier.clone(), stopped.clone()));
    let sweep = tokio::spawn(sweep::run(
        verifier.clone(),
        Arc::clone(gateway),
        stopped.clone(),
    ));
    let feed = tokio::spawn(feed::run(verifier, stopped.clone()));
    let mail = tokio::spawn(mail::run(core.people.post.clone(), stopped.clone()));
    let webhooks = tokio::spawn(webhooks::run(core.webhooks.clone(), stopped.clone()));
    let (core, figures) = (core.clone(), Arc::clone(figures));
    let outbox = outbox::run(core.clone(), outbox, retention.mails, stopped.clone());
    let outbox = tokio::spawn(outbox);
    let expiry = expiry::run(core.clone(), Arc::clone(&figures), stopped.clone());
    let expiry = tokio::spawn(expiry);
    let every = exports.as_ref().map(|exports| exports.every);
    let exports = usage_export::run(core.clone(), exports, Arc::clone(&figures), stopped.clone());
    let exports = tokio::spawn(exports);
    let retention = tokio::spawn(retention::run(
        core,
        retention,
        every,
        figures,
        stopped.clone(),
    ));
    let ours = [
        ("flush", flush),
        ("fold", fold),
        ("sweep", sweep),
        ("feed", feed),
        ("mail", mail),
        ("outbox", outbox),
        ("retention", retention),
        ("expiry", expiry),
        ("usage-export", exports),
    ];
    (ended(ours), ended([("webhooks", webhooks)]))
}

async fn ended<const COUNT: usize>(jobs: [(&'static str, JoinHandle<()>); COUNT]) {
    for (name, job) in jobs {
        if let Err(error) = job.await {
            tracing::error!(job = name, %error, "a job had failed before the program stopped");
        }
    }
}

/// Ticks; one that is late does not make the next ones come in a hurry.
fn each(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the next tick; `false` when the program stops.
async fn goes_on(ticks: &mut Interval, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => false,
        _ = ticks.tick() => true,
    }
}
