//! Hears what other programs over the same database change.

use std::error::Error;
use std::sync::Arc;

use claviger_verify::Verifier;
use tokio::sync::watch;
use tokio::time::Duration;

use super::{each, goes_on};

/// How late a change is heard of, at most, while the database answers.
const PERIOD: Duration = Duration::from_millis(50);

pub(super) async fn run(verifier: Arc<Verifier>, mut stopped: watch::Receiver<bool>) {
    if !verifier.follows() {
        return;
    }
    let mut ticks = each(PERIOD);
    // The database is asked again and again: a line for the first failure and for the end of them.
    let mut failures: u32 = 0;
    while goes_on(&mut ticks, &mut stopped).await {
        match verifier.hear().await {
            Ok(()) if failures > 0 => {
                tracing::info!(failures, "changes of other programs are known again");
                failures = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if failures == 0 {
                    let error = &error as &dyn Error;
                    tracing::error!(error, "changes of other programs are not known");
                }
                failures = failures.saturating_add(1);
            }
        }
    }
}
