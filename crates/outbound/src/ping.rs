//! A try-out of a receiver: one request at once, and what came of it.

use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::Method;
use claviger_store::StoreError;
use claviger_store::webhooks::Webhook;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::OverBudget;
use crate::client::{Outgoing, Refusal};
use crate::payload::Payload;
use crate::target::Target;
use crate::webhooks::Webhooks;

/// What is sent, and where.
#[derive(Debug)]
pub struct Ping {
    /// Where it goes.
    pub target: Target,
    /// Its verb.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What came of it: of what is refused no more than of what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinged {
    /// The status of the answer, or why there is none.
    pub answer: Result<StatusCode, Refusal>,
    /// How long it took.
    pub duration_ms: i64,
}

/// Leave to send one ping.
#[derive(Debug)]
pub struct Leave {
    _in_flight: OwnedSemaphorePermit,
}

impl Webhooks {
    /// Takes one ping of the budget of a family of accounts, by its root.
    pub fn take_ping(&self, root: &Id<id::Account>) -> Result<Leave, OverBudget> {
        let in_flight = Arc::clone(&self.pings_at_once).try_acquire_owned();
        let in_flight = in_flight.map_err(|_| OverBudget {
            retry_after_seconds: 1,
        })?;
        self.pings.take(root, self.clock.now())?;
        Ok(Leave {
            _in_flight: in_flight,
        })
    }

    /// Takes one replay of many deliveries of the budget of a family of accounts, by its root.
    pub fn take_replay(&self, root: &Id<id::Account>) -> Result<(), OverBudget> {
        self.replays.take(root, self.clock.now())
    }

    /// Sends a ping.
    pub async fn ping(&self, ping: Ping, leave: Leave) -> Pinged {
        let outgoing = Outgoing {
            method: ping.method,
            headers: ping.headers,
            body: ping.body,
        };
        self.ping_now(&ping.target, outgoing, leave).await
    }

    /// Sends a ping to a webhook, signed and with its headers. What it says is ours: else whoever may
    /// ping could have anything signed.
    pub async fn ping_webhook(
        &self,
        webhook: &Webhook,
        leave: Leave,
    ) -> Result<Pinged, StoreError> {
        let now = self.clock.now();
        let id = Id::<id::Event>::draw_at(now, &*self.random);
        let payload = Payload {
            id: id.as_str(),
            topic: "ping",
            created_at: now,
            account_id: webhook.account.id.as_str(),
            project_id: webhook.project.as_ref().map(Id::as_str),
            data: json!({"id": webhook.id, "name": webhook.name}),
        };
        let body = payload.body(webhook.format);
        let outgoing = Outgoing {
            method: webhook.method,
            headers: self
                .letterhead(webhook, now)?
                .headers(id.as_str(), now, &body),
            body,
        };
        let Ok(target) = self.client.target(&webhook.url) else {
            // The port is one that the instance was configured for before.
            return Ok(self.pinged(Err(Refusal::Blocked), now));
        };
        Ok(self.ping_now(&target, outgoing, leave).await)
    }

    async fn ping_now(&self, target: &Target, outgoing: Outgoing, leave: Leave) -> Pinged {
        let now = self.clock.now();
        let answer = self.client.send(target, outgoing, now).await;
        drop(leave);
        self.pinged(answer.map(|answer| answer.status), now)
    }

    fn pinged(&self, answer: Result<StatusCode, Refusal>, since: Timestamp) -> Pinged {
        Pinged {
            answer,
            duration_ms: self.clock.now().micros_since(since) / 1_000,
        }
    }
}
