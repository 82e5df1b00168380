//! Exports usage when the schedule says so.

use std::sync::Arc;

use claviger_edge::Core;
use tokio::sync::watch;
use tokio::time::Duration;

use super::job::Regular;
use super::{JobFigures, each, goes_on};
use crate::config::UsageExport;
use crate::usage_export::Exporter;

/// How often it is looked whether something is due.
const PERIOD: Duration = Duration::from_mins(1);

pub(super) async fn run(
    core: Core,
    settings: Option<UsageExport>,
    figures: Arc<JobFigures>,
    mut stopped: watch::Receiver<bool>,
) {
    let Some(settings) = settings else { return };
    figures.turn_on(Regular::UsageExport);
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
        figures.did(Regular::UsageExport, exporter.take_rows());
        if let Err(error) = &outcome {
            figures.could_not(Regular::UsageExport);
            if !is_failing {
                let error = format!("{error:#}");
                tracing::error!(error, "usage is not exported, it is tried again");
            }
        }
        is_failing = outcome.is_err();
    }
}
