//! Sending: from events to deliveries, and from those to receivers.
//!
//! One worker at a time holds a webhook, and sends a few of its deliveries at once; a slow receiver
//! holds up its own, and no connection to the database is held while a receiver thinks.

use std::sync::PoisonError;

use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{DeliveryStatus, next_attempt};
use claviger_store::StoreError;
use claviger_store::webhook_deliveries::{
    self as deliveries, Attempt, Busy, Claimed, Due, Health, LEASE, Outcome,
};
use claviger_store::webhooks::{self, Webhook};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::StatusCode;
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use crate::client::{Answer, Outgoing, Receiver, Refusal};
use crate::figures::Sent;
use crate::payload::Payload;
use crate::webhooks::Webhooks;

/// Deliveries to one receiver at once.
const AT_ONCE: i64 = 8;
/// Rounds of these before others have their turn.
const ROUNDS: usize = 16;
/// Seconds before a lease is over in which nothing is begun: longer than a request takes.
const MARGIN: i64 = 30;
/// What one transaction looks at to fan events out: each for each webhook of its account.
const LOOKED_AT: usize = 1_000;
/// Deliveries that one transaction lets go of.
const SWEPT: i64 = 500;
/// Attempts that a delivery's log has, at most: the last ones.
const LOGGED: usize = 20;
/// How long a receiver's webhook rests when what is ours went wrong with it, in seconds.
const REST: i64 = 60;
/// How long answers are waited for when the program stops: there is to be time to write them.
const LAST_ANSWERS: Duration = Duration::from_millis(600);

impl Webhooks {
    /// Makes deliveries of some of the events that wait for it, and tells whether there may be more.
    pub async fn fan_out(&self) -> Result<bool, StoreError> {
        if !deliveries::is_awaited(&self.db).await? {
            return Ok(false);
        }
        let (change, after) = (self.change(), self.after());
        let fanned = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { deliveries::fan_out(tx, &change, &after, LOOKED_AT).await })
            })
            .await?;
        *self.fanned.lock().unwrap_or_else(PoisonError::into_inner) = fanned.after;
        Ok(fanned.events > 0)
    }

    fn after(&self) -> String {
        let after = self.fanned.lock();
        after.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes hold of the webhook whose deliveries have waited longest, but for those that are busy.
    pub async fn claim(&self, busy: Busy) -> Result<Option<Claimed>, StoreError> {
        let change = self.change();
        if !deliveries::is_due(&self.db, change.now, &busy).await? {
            return Ok(None);
        }
        self.db
            .write(move |tx| Box::pin(async move { deliveries::claim(tx, &change, &busy).await }))
            .await
    }

    /// Sends what is due of a webhook that is held, for a while, and lets go of it.
    pub async fn serve(
        &self,
        claimed: Claimed,
        stopped: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let mut health = Health::default();
        let worked = self.work(&claimed, &mut health, stopped).await;
        if worked.is_err() {
            // Else it would be claimed again at once, and fail again.
            let rest = self.clock.now().plus_seconds(REST);
            health.rests_until = health.rests_until.max(Some(rest));
        }
        let change = self.change();
        let released = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { deliveries::release(tx, &change, &claimed, health).await })
            })
            .await;
        if released? {
            self.figures.disabled_one();
        }
        worked
    }

    /// Lets go of some deliveries that are older than they are kept, and tells whether there are more.
    pub async fn sweep(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let swept = self
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { deliveries::sweep(tx, now, SWEPT).await })
            })
            .await?;
        Ok(swept == SWEPT.unsigned_abs())
    }

    /// Looks how much waits.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (waiting, oldest) = deliveries::backlog(&self.db, now).await?;
        let late = oldest.map_or(0, |due| now.micros_since(due).max(0));
        self.figures
            .measured(waiting.unsigned_abs(), late.unsigned_abs());
        Ok(())
    }

    async fn work(
        &self,
        claimed: &Claimed,
        health: &mut Health,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let until = self.clock.now().plus_seconds(LEASE - MARGIN);
        let mut known: Option<(String, Result<Receiver, Refusal>)> = None;
        // Whoever took nothing the last time is asked with one request whether it does again.
        let mut at_once = if claimed.failed_holds > 0 { 1 } else { AT_ONCE };
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let ends = health.is_gone
                || health.gave_up
                || health.rests_until.is_some()
                || *stopped.borrow();
            if ends || now >= until {
                break;
            }
            // Looked at anew each time: it may be paused, changed or deleted meanwhile.
            let Some(webhook) = webhooks::held(&self.db, &claimed.id, &claimed.lease).await? else {
                break;
            };
            let due = deliveries::due(&self.db, &claimed.id, now, at_once).await?;
            if due.is_empty() {
                break;
            }
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
            let mut round = Health::default();
            self.send_all(&webhook, receiver.as_ref(), due, &mut round, &mut stopped)
                .await?;
            health.add(round);
            at_once = AT_ONCE;
            known = Some((webhook.url, receiver));
        }
        Ok(())
    }

    async fn receiver(&self, url: &str) -> Result<Receiver, Refusal> {
        let target = self.client.target(url).map_err(|_| Refusal::Blocked)?;
        self.client.receiver(&target).await
    }

    /// Sends deliveries at once, and writes what becomes of each as soon as that is known.
    async fn send_all(
        &self,
        webhook: &Webhook,
        receiver: Result<&Receiver, &Refusal>,
        due: Vec<Due>,
        health: &mut Health,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let attempts: FuturesUnordered<_> = due
            .into_iter()
            .map(|due| self.attempt(webhook, receiver, due))
            .collect();
        let mut attempts = attempts.ready_chunks(usize::try_from(AT_ONCE).unwrap_or(1));
        let last_answers = async {
            // An error says that the sender is gone, which is a stop, too.
            drop(stopped.wait_for(|stopped| *stopped).await);
            sleep(LAST_ANSWERS).await;
        };
        tokio::pin!(last_answers);
        loop {
            let answered = tokio::select! {
                biased;
                answered = attempts.next() => answered,
                () = &mut last_answers => None,
            };
            let Some(answered) = answered else {
                return Ok(());
            };
            let now = self.clock.now();
            let mut outcomes = Vec::new();
            for attempted in answered {
                let (due, attempt, answer) = attempted?;
                outcomes.push(self.outcome(due, attempt, answer, health, now));
            }
            self.db
                .write::<_, StoreError, _>(move |tx| {
                    Box::pin(async move { deliveries::record(tx, &outcomes).await })
                })
                .await?;
        }
    }

    async fn attempt(
        &self,
        webhook: &Webhook,
        receiver: Result<&Receiver, &Refusal>,
        due: Due,
    ) -> Result<(Due, Attempt, Result<Answer, Refusal>), StoreError> {
        let now = self.clock.now();
        let body = Payload::of(&due).body(webhook.format);
        let outgoing = Outgoing {
            method: webhook.method,
            headers: self.headers(webhook, &due.event_id, now, &body)?,
            body,
        };
        let answer = match receiver {
            Ok(receiver) => receiver.send(outgoing, now).await,
            Err(refusal) => Err(*refusal),
        };
        self.figures.sent(Sent::of(
            answer
                .as_ref()
                .map(|answer| answer.status)
                .map_err(|it| *it),
        ));
        let attempt = Attempt {
            at: now.as_micros(),
            status_code: answer.as_ref().ok().map(|answer| answer.status.as_u16()),
            duration_ms: self.clock.now().micros_since(now) / 1_000,
            error: answer.as_ref().err().map(ToString::to_string),
            excerpt: answer
                .as_ref()
                .ok()
                .map(|answer| answer.excerpt.clone())
                .filter(|excerpt| !excerpt.is_empty()),
        };
        Ok((due, attempt, answer))
    }

    fn outcome(
        &self,
        due: Due,
        attempt: Attempt,
        answer: Result<Answer, Refusal>,
        health: &mut Health,
        now: Timestamp,
    ) -> Outcome {
        let mut attempts: Vec<Attempt> = serde_json::from_str(&due.attempts).unwrap_or_default();
        attempts.push(attempt);
        let first = attempts.len().saturating_sub(LOGGED);
        let (status, next_at) = match answer {
            Ok(answer) if answer.status.is_success() => {
                health.took_some = true;
                (DeliveryStatus::Delivered, None)
            }
            answer => {
                health.failed_some = true;
                let answer = answer.ok();
                let gone = |answer: &Answer| answer.status == StatusCode::GONE;
                health.is_gone |= answer.as_ref().is_some_and(gone);
                let retry_at = answer.and_then(|answer| answer.retry_at);
                health.rests_until = health.rests_until.max(retry_at);
                let failures = u32::try_from(due.failures + 1).unwrap_or(u32::MAX);
                match next_attempt(failures, now, &*self.random) {
                    Some(next) => (DeliveryStatus::Waiting, Some(next).max(retry_at)),
                    None => (DeliveryStatus::Failed, None),
                }
            }
        };
        Outcome {
            id: due.id,
            failures_before: due.failures,
            status,
            next_at,
            attempts: serde_json::to_string(&attempts[first..]).expect("texts are JSON"),
        }
    }
}
