//! Exports usage when the schedule says so.

use claviger_edge::Core;
use tokio::sync::watch;
use tokio::time::Duration;

use super::{each, goes_on};
use crate::config::UsageExport;
use crate::usage_export::Exporter;

/// How often it is looked whether something is due.
const PERIOD: Duration = Duration::from_mins(1);

pub(super) async fn run(
    core: Core,
    settings: Option<UsageExport>,
    mut stopped: watch::Receiver<bool>,
) {
    let Some(settings) = settings else { return };
    let exporter = Exporter::new(core, settings);
    let mut ticks = each(PERIOD);
    let mut stop = stopped.clone();
    // A line for the first of several failures: it is tried again each minute.
    let mut is_failing = false;
    while goes_on(&mut ticks, &mut stopped).await {
        let outcome = tokio::select! {
            biased;
            // What is not done stays for the next time, and goes on where it was.
            _ = stop.wait_for(|stopped| *stopped) => return,
            outcome = exporter.turn() => outcome,
        };
        if let Err(error) = &outcome
            && !is_failing
        {
            let error = format!("{error:#}");
            tracing::error!(error, "usage is not exported, it is tried again");
        }
        is_failing = outcome.is_err();
    }
}
