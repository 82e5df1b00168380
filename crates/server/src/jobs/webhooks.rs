//! Tells webhooks what happens: fans events out, and has what is due sent, many receivers at once.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_outbound::Webhooks;
use claviger_store::StoreError;
use tokio::sync::watch;
use tokio::task::{Id as TaskId, JoinSet};
use tokio::time::{Duration, sleep};

use super::{each, goes_on};

/// How soon an event is sent.
const PERIOD: Duration = Duration::from_millis(200);
/// Webhooks that are served at once; each has a few requests in flight.
const WORKERS: usize = 32;
/// Those of one family of accounts among them: whose receivers all hang leaves the others theirs.
const OF_ONE_FAMILY: usize = 8;
/// Periods from one look at how much waits to the next.
const MEASURED_EACH: u32 = 50;
/// Periods from one look for what is older than it is kept to the next.
const SWEPT_EACH: u32 = 3_000;
/// How long a stop waits for webhooks, whatever holds them up: what they hold is free again when its
/// lease is over.
const LAST: Duration = Duration::from_secs(1);

/// Those that are served, each with the family that it is of.
#[derive(Default)]
struct Workers {
    tasks: JoinSet<Result<(), StoreError>>,
    families: HashMap<TaskId, Id<id::Account>>,
}

pub(super) async fn run(webhooks: Arc<Webhooks>, mut stopped: watch::Receiver<bool>) {
    let telling = tell(webhooks, stopped.clone());
    let last = async {
        // An error says that the sender is gone, which is a stop, too.
        drop(stopped.wait_for(|stopped| *stopped).await);
        sleep(LAST).await;
    };
    tokio::select! {
        () = telling => {}
        () = last => {
            tracing::warn!("webhooks were in the middle of something, it is done in a minute");
        }
    }
}

async fn tell(webhooks: Arc<Webhooks>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = each(PERIOD);
    let mut workers = Workers::default();
    let mut count: u32 = 0;
    // A line for the first failure is all there is to say: what is not sent waits.
    let mut is_failing = false;
    while goes_on(&mut ticks, &mut stopped).await {
        let done = turn(&webhooks, &mut workers, &stopped, count).await;
        count = count.wrapping_add(1);
        if let Err(error) = &done
            && !is_failing
        {
            let error = error as &dyn Error;
            tracing::error!(error, "webhooks are not told for now");
        }
        is_failing = done.is_err();
    }
    // They end by themselves when the program stops, and write what has become of what they sent.
    workers.tasks.join_all().await;
}

async fn turn(
    webhooks: &Arc<Webhooks>,
    workers: &mut Workers,
    stopped: &watch::Receiver<bool>,
    count: u32,
) -> Result<(), StoreError> {
    if count.is_multiple_of(SWEPT_EACH) {
        webhooks.sweep().await?;
    }
    if count.is_multiple_of(MEASURED_EACH) {
        webhooks.measure().await?;
    }
    webhooks.fan_out().await?;
    workers.reap();
    while workers.tasks.len() < WORKERS {
        let Some(claimed) = webhooks.claim(workers.busy()).await? else {
            break;
        };
        let (webhooks, stopped) = (Arc::clone(webhooks), stopped.clone());
        let family = claimed.root.clone();
        let task = workers
            .tasks
            .spawn(async move { webhooks.serve(claimed, stopped).await });
        workers.families.insert(task.id(), family);
        workers.reap();
    }
    Ok(())
}

impl Workers {
    /// Looks who is done.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let (task, served) = match ended {
                Ok((task, served)) => (task, served),
                Err(error) => {
                    tracing::error!(%error, "a webhook was not served to the end");
                    (error.id(), Ok(()))
                }
            };
            self.families.remove(&task);
            if let Err(error) = &served {
                let error = error as &dyn Error;
                tracing::error!(error, "a webhook could not be served, it rests");
            }
        }
    }

    /// The families that have as many as one may have.
    fn busy(&self) -> BTreeSet<Id<id::Account>> {
        let mut counts: HashMap<&Id<id::Account>, usize> = HashMap::new();
        for family in self.families.values() {
            *counts.entry(family).or_default() += 1;
        }
        let full = counts
            .into_iter()
            .filter(|(_, count)| *count >= OF_ONE_FAMILY);
        full.map(|(family, _)| family.clone()).collect()
    }
}
