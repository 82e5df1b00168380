//! Each minute lets go of counters that nothing needs any more and of what was changed since it was read,
//! and erases what was sealed for a time that is over.

use std::sync::Arc;

use claviger_gateway::Gateway;
use claviger_verify::Verifier;
use tokio::sync::watch;
use tokio::time::Duration;

use super::{each, goes_on};

const PERIOD: Duration = Duration::from_mins(1);

pub(super) async fn run(
    verifier: Arc<Verifier>,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = each(PERIOD);
    while goes_on(&mut ticks, &mut stopped).await {
        verifier.sweep().await;
        gateway.sweep();
        if let Err(error) = verifier.erase_due().await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "what was sealed for a time is not erased yet");
        }
    }
}
