//! One attempt to send a delivery, and what follows from it.

use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{DeliveryStatus, next_attempt};
use claviger_store::webhook_deliveries::{Attempt, Due, Health, Outcome};
use http::StatusCode;

use crate::client::{Answer, Outgoing, Receiver, Refusal};
use crate::figures::Sent;
use crate::letterhead::Letterhead;
use crate::payload::Payload;
use crate::webhooks::Webhooks;

/// Seconds after which an answer has taken long: so many of them would keep workers from others.
const LONG: i64 = 5;
/// Attempts that a delivery's log has, at most: the last ones.
const LOGGED: usize = 20;

/// What came of an attempt.
pub(crate) struct Attempted {
    /// For the row.
    pub(crate) outcome: Outcome,
    is_slow: bool,
    is_gone: bool,
    retry_at: Option<Timestamp>,
}

impl Attempted {
    /// Whether the receiver took it.
    pub(crate) fn took(&self) -> bool {
        self.outcome.status == DeliveryStatus::Delivered
    }

    /// Notes what it tells of the receiver.
    pub(crate) fn add_to(&self, health: &mut Health) {
        health.took_some |= self.took();
        health.failed_some |= !self.took();
        health.is_slow |= self.is_slow;
        health.is_gone |= self.is_gone;
        health.rests_until = health.rests_until.max(self.retry_at);
    }
}

impl Webhooks {
    /// Sends a delivery.
    pub(crate) async fn attempt(
        &self,
        letterhead: &Letterhead<'_>,
        receiver: Result<&Receiver, &Refusal>,
        due: Due,
    ) -> Attempted {
        let began = self.clock.now();
        let body = Payload::of(&due).body(letterhead.format());
        let outgoing = Outgoing {
            method: letterhead.method(),
            headers: letterhead.headers(&due.event_id, began, &body),
            body,
        };
        let answer = match receiver {
            Ok(receiver) => receiver.send(outgoing, began).await,
            Err(refusal) => Err(*refusal),
        };
        let status = answer.as_ref().map(|answer| answer.status);
        self.figures.sent(Sent::of(status.map_err(|it| *it)));
        let attempt = Attempt {
            at: began.as_micros(),
            status_code: status.ok().map(|status| status.as_u16()),
            duration_ms: self.clock.now().micros_since(began) / 1_000,
            error: answer.as_ref().err().map(ToString::to_string),
            excerpt: answer
                .as_ref()
                .ok()
                .map(|answer| answer.excerpt.clone())
                .filter(|excerpt| !excerpt.is_empty()),
        };
        self.conclude(due, attempt, answer)
    }

    fn conclude(&self, due: Due, attempt: Attempt, answer: Result<Answer, Refusal>) -> Attempted {
        let mut attempts: Vec<Attempt> = serde_json::from_str(&due.attempts).unwrap_or_default();
        let duration_ms = attempt.duration_ms;
        attempts.push(attempt);
        let first = attempts.len().saturating_sub(LOGGED);
        let answer = answer.ok();
        let took = answer
            .as_ref()
            .is_some_and(|answer| answer.status.is_success());
        let retry_at = answer.as_ref().and_then(|answer| answer.retry_at);
        let retry_at = retry_at.filter(|_| !took);
        let (status, next_at) = if took {
            (DeliveryStatus::Delivered, None)
        } else {
            let failures = u32::try_from(due.failures + 1).unwrap_or(u32::MAX);
            match next_attempt(failures, self.clock.now(), &*self.random) {
                Some(next) => (DeliveryStatus::Waiting, Some(next).max(retry_at)),
                None => (DeliveryStatus::Failed, None),
            }
        };
        Attempted {
            is_slow: duration_ms >= LONG * 1_000,
            is_gone: answer.is_some_and(|answer| answer.status == StatusCode::GONE),
            retry_at,
            outcome: Outcome {
                id: due.id,
                failures_before: due.failures,
                replays_before: due.replays,
                status,
                next_at,
                attempts: serde_json::to_string(&attempts[first..]).expect("texts are JSON"),
            },
        }
    }
}
