//! Sends mails that are due, each second. Of several programs over one database each mail is one's, by
//! lease.

use std::error::Error;
use std::sync::Arc;

use claviger_outbound::mail::Post;
use claviger_store::StoreError;
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use super::{each, goes_on};

/// How soon a mail is sent.
const PERIOD: Duration = Duration::from_secs(1);
/// Periods from one look at how much waits to the next.
const MEASURED_EACH: u32 = 10;

/// How long a stop waits for what is being sent: what it does not wait for is sent again, by whoever is
/// there when the lease is over.
const LAST: Duration = Duration::from_secs(3);

pub(super) async fn run(post: Arc<Post>, mut stopped: watch::Receiver<bool>) {
    let sending = send(post, stopped.clone());
    let last = async {
        // An error says that the sender is gone, which is a stop, too.
        drop(stopped.wait_for(|stopped| *stopped).await);
        sleep(LAST).await;
    };
    tokio::select! {
        () = sending => {}
        () = last => {
            tracing::warn!("mails were being sent, they may be sent again in two minutes");
        }
    }
}

async fn send(post: Arc<Post>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = each(PERIOD);
    let mut periods: u32 = 0;
    // A line for the first failure is all there is to say: what is not sent waits.
    let mut is_failing = false;
    while goes_on(&mut ticks, &mut stopped).await {
        let turn = async {
            while !*stopped.borrow() && post.deliver().await? > 0 {}
            if periods.is_multiple_of(MEASURED_EACH) {
                post.measure().await?;
            }
            Ok::<_, StoreError>(())
        };
        let done = turn.await;
        if let Err(error) = &done
            && !is_failing
        {
            let error = error as &dyn Error;
            tracing::error!(error, "mails are not sent, they wait");
        }
        is_failing = done.is_err();
        periods = periods.wrapping_add(1);
    }
}
