//! Tells webhooks what happens: fans events out, and has what is due sent, many receivers at once.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_outbound::Webhooks;
use claviger_store::StoreError;
use claviger_store::webhook_deliveries::{Busy, Claimed};
use tokio::sync::watch;
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use tokio::time::{Duration, Instant, Interval, sleep};

use super::{each, goes_on};

/// How soon an event is sent.
const PERIOD: Duration = Duration::from_millis(200);
/// Webhooks that are served at once; each has a few requests in flight.
const WORKERS: usize = 32;
/// Those of one family of accounts among them: whose receivers all hang leaves the others theirs.
const OF_ONE_FAMILY: usize = 8;
/// Those among them that took nothing, or long for an answer, when they were held last: most of them
/// do so again.
const TROUBLE: usize = 16;
/// From one look at how much waits to the next.
const MEASURED_EACH: Duration = Duration::from_secs(10);
/// From one look for what is older than it is kept to the next.
const SWEPT_EACH: Duration = Duration::from_mins(10);
/// How long a stop waits for webhooks, whatever holds them up: what they hold is free again when its
/// lease is over.
const LAST: Duration = Duration::from_secs(1);

/// Those that are served.
#[derive(Default)]
struct Workers {
    tasks: JoinSet<Result<(), StoreError>>,
    served: HashMap<TaskId, Served>,
}

struct Served {
    family: Id<id::Account>,
    is_trouble: bool,
}

/// When there is more to do than sending.
struct Chores {
    measure_at: Instant,
    sweep_at: Instant,
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
    let mut chores = Chores {
        measure_at: machine_time(),
        sweep_at: machine_time(),
    };
    // A line for the first failure is all there is to say: what is not sent waits.
    let mut is_failing = false;
    while workers.goes_on(&mut ticks, &mut stopped).await {
        let fanned = webhooks.fan_out().await;
        if matches!(fanned, Ok(true)) {
            // The next slice comes at once, but after claims: whoever has much to tell holds up nobody.
            ticks.reset_immediately();
        }
        let claimed = claim(&webhooks, &mut workers, &stopped).await;
        let done = fanned.map(drop).and(claimed);
        let done = done.and(chores.turn(&webhooks).await);
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

#[expect(
    clippy::disallowed_methods,
    reason = "how often something is looked at is a matter of the machine's time, as all intervals are"
)]
fn machine_time() -> Instant {
    Instant::now()
}

/// Has webhooks served whose deliveries are due, while there are workers for them.
async fn claim(
    webhooks: &Arc<Webhooks>,
    workers: &mut Workers,
    stopped: &watch::Receiver<bool>,
) -> Result<(), StoreError> {
    workers.reap();
    // No more than that a turn: receivers that are quick must not keep all else from its own.
    for _ in 0..WORKERS {
        if workers.tasks.len() >= WORKERS || *stopped.borrow() {
            break;
        }
        let Some(claimed) = webhooks.claim(workers.busy()).await? else {
            break;
        };
        workers.serve(Arc::clone(webhooks), claimed, stopped.clone());
        workers.reap();
    }
    Ok(())
}

impl Chores {
    /// Does a slice of what is to be done beside sending.
    async fn turn(&mut self, webhooks: &Webhooks) -> Result<(), StoreError> {
        let now = machine_time();
        if now >= self.measure_at {
            webhooks.measure().await?;
            self.measure_at = now + MEASURED_EACH;
        }
        if now >= self.sweep_at && !webhooks.sweep().await? {
            self.sweep_at = now + SWEPT_EACH;
        }
        Ok(())
    }
}

impl Workers {
    /// Waits for the next tick, or for a worker that may have left more to do; `false` when the
    /// program stops.
    async fn goes_on(&mut self, ticks: &mut Interval, stopped: &mut watch::Receiver<bool>) -> bool {
        tokio::select! {
            biased;
            goes_on = goes_on(ticks, stopped) => goes_on,
            Some(ended) = self.tasks.join_next_with_id() => {
                self.note(ended);
                true
            }
        }
    }

    fn serve(&mut self, webhooks: Arc<Webhooks>, claimed: Claimed, stopped: watch::Receiver<bool>) {
        let served = Served {
            family: claimed.root.clone(),
            is_trouble: claimed.is_trouble(),
        };
        let serving = async move { webhooks.serve(claimed, stopped).await };
        let task = self.tasks.spawn(serving);
        self.served.insert(task.id(), served);
    }

    /// Looks who is done.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.note(ended);
        }
    }

    fn note(&mut self, ended: Result<(TaskId, Result<(), StoreError>), JoinError>) {
        let (task, served) = match ended {
            Ok((task, served)) => (task, served),
            Err(error) => {
                tracing::error!(%error, "a webhook was not served to the end");
                (error.id(), Ok(()))
            }
        };
        self.served.remove(&task);
        if let Err(error) = &served {
            let error = error as &dyn Error;
            tracing::error!(error, "a webhook could not be served, it rests");
        }
    }

    /// Those that have as many workers as they may have.
    fn busy(&self) -> Busy {
        let mut counts: HashMap<&Id<id::Account>, usize> = HashMap::new();
        for served in self.served.values() {
            *counts.entry(&served.family).or_default() += 1;
        }
        let full = counts
            .into_iter()
            .filter(|(_, count)| *count >= OF_ONE_FAMILY);
        let trouble = self.served.values().filter(|served| served.is_trouble);
        Busy {
            families: full.map(|(family, _)| family.clone()).collect(),
            trouble: trouble.count() >= TROUBLE,
        }
    }
}
