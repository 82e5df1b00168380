//! Writes what was counted, each second, and a part of what waits in the journal.

use std::error::Error;
use std::sync::Arc;

use claviger_verify::Verifier;
use tokio::sync::watch;
use tokio::time::Duration;

use super::{each, goes_on};

/// The most usage that a kill can lose.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(verifier: Arc<Verifier>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = each(PERIOD);
    // What was not written is kept, and written by a later flush: a line for the first failure and
    // for the end of them is all there is to say. What is too much to be kept has its own line.
    let mut failures: u32 = 0;
    while goes_on(&mut ticks, &mut stopped).await {
        let written = match verifier.flush().await {
            Ok(()) => verifier.fold().await,
            failed => failed,
        };
        match written {
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
            }
        }
    }
}
