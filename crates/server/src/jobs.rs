//! What the program does by itself, at intervals, until it stops.

mod feed;
mod flush;
mod fold;
mod sweep;

use claviger_edge::Core;
use tokio::sync::watch;
use tokio::time::{Duration, Interval, MissedTickBehavior, interval};

/// Starts all jobs; the future that is returned completes when the last has ended.
pub(crate) fn start(core: &Core, stopped: &watch::Receiver<bool>) -> impl Future<Output = ()> {
    let verifier = core.verifier.clone();
    let flush = tokio::spawn(flush::run(verifier.clone(), stopped.clone()));
    let fold = tokio::spawn(fold::run(verifier.clone(), stopped.clone()));
    let sweep = tokio::spawn(sweep::run(verifier.clone(), stopped.clone()));
    let feed = tokio::spawn(feed::run(verifier, stopped.clone()));
    async {
        for (name, job) in [
            ("flush", flush),
            ("fold", fold),
            ("sweep", sweep),
            ("feed", feed),
        ] {
            if let Err(error) = job.await {
                tracing::error!(job = name, %error, "a job had failed before the program stopped");
            }
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
