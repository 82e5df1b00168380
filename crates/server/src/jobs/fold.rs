//! Writes what waits in the journal of usage where it belongs, a part each second.

use std::error::Error;
use std::sync::Arc;

use claviger_verify::Verifier;
use tokio::sync::watch;
use tokio::time::Duration;

use super::{each, goes_on};

const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(verifier: Arc<Verifier>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = each(PERIOD);
    let mut stop = stopped.clone();
    // What is in the journal is safe there: a line for the first failure is all there is to say.
    let mut is_failing = false;
    while goes_on(&mut ticks, &mut stopped).await {
        let folded = tokio::select! {
            biased;
            // A fold may be long, or wait for a database; the last flush must not.
            _ = stop.wait_for(|stopped| *stopped) => return,
            folded = verifier.fold() => folded,
        };
        if let Err(error) = &folded
            && !is_failing
        {
            let error = error as &dyn Error;
            tracing::error!(error, "usage stays in the journal for now");
        }
        is_failing = folded.is_err();
    }
}
