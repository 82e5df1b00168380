//! Writes what was counted, each second.

use std::error::Error;
use std::sync::Arc;

use claviger_verify::Verifier;
use tokio::sync::watch;
use tokio::time::Duration;

use super::{each, goes_on};

/// The most usage that a kill can lose.
const PERIOD: Duration = Duration::from_secs(1);

/// How many periods a flush that fails again and again rests, at most.
const LONGEST_REST: u32 = 8;

pub(super) async fn run(verifier: Arc<Verifier>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = each(PERIOD);
    // What was not written is kept, and written by a later flush: a line for the first failure and
    // for the end of them is all there is to say. What is too much to be kept has its own line.
    let mut failures: u32 = 0;
    while goes_on(&mut ticks, &mut stopped).await {
        match verifier.flush().await {
            Ok(()) if failures > 0 => {
                tracing::info!(failures, "usage is written again");
                failures = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if failures == 0 {
                    let error = &error as &dyn Error;
                    tracing::error!(error, "usage is not written, it is kept and tried again");
                }
                failures = failures.saturating_add(1);
                // All that waits is gone through each time: less and less often.
                let rest = PERIOD * failures.min(LONGEST_REST);
                let stop = stopped.wait_for(|stopped| *stopped);
                drop(tokio::time::timeout(rest, stop).await);
            }
        }
    }
}
