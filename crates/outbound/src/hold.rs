//! What is done with a webhook while it is held: rounds of deliveries, a few in flight at a time.
//!
//! A slow receiver holds up its own, no connection to the database is held while a receiver thinks, and
//! answers are heard however long the database takes to write the ones before.

use std::sync::Arc;

use claviger_store::StoreError;
use claviger_store::webhook_deliveries::{
    self as deliveries, Claimed, Due, Health, LEASE, Outcome,
};
use claviger_store::webhooks::{self, Webhook};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Duration, sleep, timeout};

use crate::client::{Receiver, Refusal};
use crate::webhooks::Webhooks;

/// Requests to one receiver at once.
const AT_ONCE: usize = 8;
/// Deliveries of the first round: so many requests tell whether a receiver takes something.
const FEW: i64 = 8;
/// Deliveries of a round, at most, once a receiver has taken some.
const READ: i64 = 256;
/// Rounds before others have their turn, and seconds: whichever is over first.
const ROUNDS: usize = 16;
const HELD_FOR: i64 = 2;
/// How long a round begins requests, in microseconds: after that it is looked whether the webhook was
/// paused, changed or deleted.
const ROUND: i64 = 500_000;
/// How old a lease is, in seconds, when it is made to last anew.
const RENEWED_AFTER: i64 = 1;
/// How long it is tried to write what was answered.
const WRITING: Duration = Duration::from_secs(25);
/// From the first try to write to the second; then twice that, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Deliveries that are in flight, or whose answers are not written yet: what a program that is killed
/// sends a second time, at most.
const UNWRITTEN: usize = 32;
/// How long answers are waited for when the program stops: there is to be time to write them.
const LAST_ANSWERS: Duration = Duration::from_millis(600);

/// A lease outlasts what is begun under it: a lease that is as old as it may get, the reading of what is
/// due (5 s), a look-up (10 s), the round, the last of its requests (15 s), and writing.
const _: () = assert!(LEASE > RENEWED_AFTER + 5 + 10 + ROUND / 1_000_000 + 1 + 15 + 25);

/// What is to be written, and leave for another delivery, which comes with that.
type Heard = (Outcome, OwnedSemaphorePermit);

/// What is sent in a round, and to whom.
struct Round<'a> {
    webhook: &'a Webhook,
    receiver: Result<&'a Receiver, &'a Refusal>,
    due: Vec<Due>,
}

impl Webhooks {
    /// Sends what is due of a webhook that is held, for a while.
    pub(crate) async fn work(
        &self,
        claimed: &Claimed,
        health: &mut Health,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let began = self.clock.now();
        let mut renewed = began;
        let mut known: Option<(String, Result<Receiver, Refusal>)> = None;
        // Whoever took nothing the last time is asked with one request whether it does again, and anybody
        // with a few before there are many.
        let mut most = if claimed.failed_holds > 0 { 1 } else { FEW };
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            if health.wants_rest() || *stopped.borrow() || now >= began.plus_seconds(HELD_FOR) {
                break;
            }
            let due = deliveries::due(&self.db, &claimed.id, now, most).await?;
            if due.is_empty() {
                break;
            }
            // Looked at anew each time: it may be paused, changed or deleted meanwhile.
            let webhook = if now < renewed.plus_seconds(RENEWED_AFTER) {
                webhooks::held(&self.db, &claimed.id, &claimed.lease).await?
            } else {
                renewed = now;
                self.renew(claimed).await?
            };
            let Some(webhook) = webhook else {
                break;
            };
            let receiver = match known.take() {
                Some((url, receiver)) if url == webhook.url => receiver,
                _ => {
                    // A name may take long to be looked up, and a stop waits for nobody's.
                    tokio::select! {
                        biased;
                        _ = stopped.wait_for(|stopped| *stopped) => break,
                        receiver = self.receiver(&webhook.url) => receiver,
                    }
                }
            };
            let round = Round {
                webhook: &webhook,
                receiver: receiver.as_ref(),
                due,
            };
            health.add(self.send_all(round, &mut stopped).await?);
            most = READ;
            known = Some((webhook.url, receiver));
        }
        Ok(())
    }

    /// Makes the lease last anew; `None` where it is somebody else's by now.
    async fn renew(&self, claimed: &Claimed) -> Result<Option<Webhook>, StoreError> {
        let until = self.clock.now().plus_seconds(LEASE);
        let (id, lease) = (claimed.id.clone(), claimed.lease.clone());
        self.db
            .write(move |tx| Box::pin(async move { webhooks::renew(tx, &id, &lease, until).await }))
            .await
    }

    async fn receiver(&self, url: &str) -> Result<Receiver, Refusal> {
        let target = self.client.target(url).map_err(|_| Refusal::Blocked)?;
        self.client.receiver(&target).await
    }

    /// Sends deliveries, a few at once, and writes what becomes of each as soon as that is known.
    async fn send_all(
        &self,
        round: Round<'_>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<Health, StoreError> {
        let (tell, told) = unbounded_channel();
        // Side by side: an answer that nobody hears in time would be one that came too late.
        let (sent, written) = tokio::join!(
            self.send_each(&round, tell, stopped),
            self.write_each(&round.webhook.url, told)
        );
        let settled = written?;
        sent.map(|health| Health { settled, ..health })
    }

    /// Tells each outcome to whoever writes them, until none is in flight or that one has given up.
    async fn send_each(
        &self,
        round: &Round<'_>,
        tell: UnboundedSender<Heard>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<Health, StoreError> {
        let began = self.clock.now();
        let letterhead = self.letterhead(round.webhook, began)?;
        let mut health = Health::default();
        let mut failed_in_a_row = 0;
        let is_stopped = stopped.clone();
        let last_answers = async {
            // An error says that the sender is gone, which is a stop, too.
            drop(stopped.wait_for(|stopped| *stopped).await);
            sleep(LAST_ANSWERS).await;
        };
        tokio::pin!(last_answers);
        let letterhead = &letterhead;
        let mut due = round.due.iter();
        let mut attempts = FuturesUnordered::new();
        let leaves = Arc::new(Semaphore::new(UNWRITTEN));
        loop {
            let may_begin = failed_in_a_row < AT_ONCE
                && !health.wants_rest()
                && !*is_stopped.borrow()
                && self.clock.now().micros_since(began) < ROUND;
            while may_begin && attempts.len() < AT_ONCE && due.len() > 0 {
                let leave = match Arc::clone(&leaves).try_acquire_owned() {
                    // What comes next is an answer, or nothing before one was written.
                    Err(_) if attempts.is_empty() => Arc::clone(&leaves).acquire_owned().await.ok(),
                    leave => leave.ok(),
                };
                let Some(leave) = leave else {
                    break;
                };
                let Some(due) = due.next() else {
                    break;
                };
                let attempt = self.attempt(letterhead, round.receiver, due.clone());
                attempts.push(attempt.map(|attempted| (attempted, leave)));
            }
            let attempted = tokio::select! {
                biased;
                attempted = attempts.next() => attempted,
                () = &mut last_answers => None,
            };
            let Some((attempted, leave)) = attempted else {
                break;
            };
            attempted.add_to(&mut health);
            failed_in_a_row = if attempted.took() {
                0
            } else {
                failed_in_a_row + 1
            };
            if tell.send((attempted.outcome, leave)).is_err() {
                break;
            }
        }
        let took_nothing = health.failed_some && !health.took_some;
        health.gave_up = took_nothing || failed_in_a_row >= AT_ONCE;
        Ok(health)
    }

    async fn write_each(
        &self,
        url: &str,
        mut told: UnboundedReceiver<Heard>,
    ) -> Result<u64, StoreError> {
        let (mut heard, mut settled) = (Vec::new(), 0);
        while told.recv_many(&mut heard, UNWRITTEN).await > 0 {
            let (outcomes, leaves): (Vec<_>, Vec<_>) = heard.drain(..).unzip();
            settled += self.write_some(url, outcomes).await?;
            drop(leaves);
        }
        Ok(settled)
    }

    /// Writes what became of deliveries. A database that does not take it is asked again: what is not
    /// written is sent a second time.
    async fn write_some(&self, url: &str, outcomes: Vec<Outcome>) -> Result<u64, StoreError> {
        let outcomes: Arc<[Outcome]> = outcomes.into();
        let mut refused = None;
        let writing = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.write_once(url, &outcomes).await {
                    Ok(settled) => return settled,
                    Err(error) => refused = Some(error),
                }
                sleep(pause).await;
                pause *= 2;
            }
        };
        let done = timeout(WRITING, writing).await;
        done.map_err(|_| refused.unwrap_or(StoreError::Busy))
    }

    async fn write_once(&self, url: &str, outcomes: &Arc<[Outcome]>) -> Result<u64, StoreError> {
        let (url, outcomes) = (url.to_owned(), Arc::clone(outcomes));
        self.db
            .write(move |tx| Box::pin(async move { deliveries::record(tx, &url, &outcomes).await }))
            .await
    }
}
