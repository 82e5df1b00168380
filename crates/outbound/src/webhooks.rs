//! Webhooks: their secrets, what they send, and a try-out of either.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use claviger_domain::event::Actor;
use claviger_domain::random::Random;
use claviger_domain::time::Clock;
use claviger_domain::webhook::may_be_sent;
use claviger_store::sealing::{Purpose, SealingKey};
use claviger_store::webhooks::Webhook;
use claviger_store::{Change, Db, StoreError};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tokio::sync::Semaphore;

use crate::budget::Budget;
use crate::client::Client;
use crate::figures::Figures;
use crate::signature;

/// What a family of accounts may have in a minute.
const PINGS: u32 = 10;
const REPLAYS: u32 = 20;
/// Pings of everybody that are in flight at once, at most.
const PINGS_AT_ONCE: usize = 32;
/// Headers that a webhook sends beside ours, at most, and characters of a value.
const MOST_HEADERS: usize = 20;
const LONGEST_VALUE: usize = 4_096;

/// What webhooks need.
#[derive(Debug)]
pub struct Settings {
    /// Where they, and what they are told, are kept.
    pub db: Db,
    /// What their secrets are sealed under.
    pub sealing: Arc<SealingKey>,
    /// By what they are sent.
    pub client: Client,
}

/// Sends webhooks, and knows their secrets.
pub struct Webhooks {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) client: Client,
    pub(crate) figures: Figures,
    /// Pings, and replays of many deliveries at once.
    pub(crate) pings: Budget,
    pub(crate) replays: Budget,
    /// Pings that may be in flight beside those that are.
    pub(crate) pings_at_once: Arc<Semaphore>,
    /// The account whose events were fanned out last.
    pub(crate) fanned: Mutex<String>,
    sealing: Arc<SealingKey>,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[webhooks]")
    }
}

/// A new secret: as its receiver gets it, and sealed.
#[derive(Debug)]
pub struct Drawn {
    /// `whsec_…`, to be shown once.
    pub shown: SecretString,
    /// For the row.
    pub sealed: Vec<u8>,
}

/// Why headers cannot be sent: the name of one, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFault {
    /// The header, as it was given; empty where it is not one alone.
    pub name: String,
    /// What is wrong with it.
    pub message: &'static str,
}

impl Webhooks {
    /// Webhooks on that clock.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            db: settings.db,
            clock,
            random,
            client: settings.client,
            figures: Figures::default(),
            pings: Budget::new(PINGS),
            replays: Budget::new(REPLAYS),
            pings_at_once: Arc::new(Semaphore::new(PINGS_AT_ONCE)),
            fanned: Mutex::default(),
            sealing: settings.sealing,
        }
    }

    /// By what they are sent.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Their numbers.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Draws a secret for what it is bound to.
    pub fn draw_secret(&self, subject: &str) -> Drawn {
        let mut secret = [0u8; 32];
        self.random.fill(&mut secret);
        Drawn {
            shown: signature::shown(&secret),
            sealed: self.seal(subject, &secret),
        }
    }

    /// Seals headers for what they are bound to; none where there are none.
    pub fn seal_headers(
        &self,
        subject: &str,
        headers: &BTreeMap<String, String>,
    ) -> Option<Vec<u8>> {
        let text = serde_json::to_vec(headers).expect("texts are JSON");
        (!headers.is_empty()).then(|| self.seal(subject, &text))
    }

    /// The headers that a webhook sends, with their values.
    pub fn open_headers(&self, webhook: &Webhook) -> Result<BTreeMap<String, String>, StoreError> {
        let Some(sealed) = &webhook.sealed.headers else {
            return Ok(BTreeMap::new());
        };
        let opened = self.open(&webhook.subject(), sealed)?;
        let broken = |_| StoreError::Row {
            table: "webhooks",
            what: "headers",
        };
        serde_json::from_slice(opened.expose_secret()).map_err(broken)
    }

    /// A change that the program itself makes now.
    pub(crate) fn change(&self) -> Change {
        Change {
            actor: Actor::System,
            now: self.clock.now(),
            random: Arc::clone(&self.random),
        }
    }

    fn seal(&self, subject: &str, plain: &[u8]) -> Vec<u8> {
        self.sealing
            .seal(Purpose::Webhooks, subject, plain, &*self.random)
    }

    pub(crate) fn open(&self, subject: &str, sealed: &[u8]) -> Result<SecretSlice<u8>, StoreError> {
        self.sealing.open(Purpose::Webhooks, subject, sealed)
    }
}

/// Reads headers that somebody wants to be sent; none of them may steer the connection or speak for
/// this program.
pub fn custom_headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, HeaderFault> {
    let fault = |name: &str, message| HeaderFault {
        name: name.to_owned(),
        message,
    };
    if given.len() > MOST_HEADERS {
        return Err(fault("", "has more than 20 headers"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let read: HeaderName = name
            .parse()
            .map_err(|_| fault(name, "is no name of a header"))?;
        if !may_be_sent(read.as_str()) {
            return Err(fault(name, "is not a header that can be set"));
        }
        let is_visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if value.is_empty() || value.len() > LONGEST_VALUE || !is_visible {
            return Err(fault(
                name,
                "must have 1 to 4096 characters, all of them visible and of ASCII",
            ));
        }
        let mut value = HeaderValue::from_str(value).expect("visible characters");
        value.set_sensitive(true);
        if headers.insert(read, value).is_some() {
            return Err(fault(name, "is there twice"));
        }
    }
    Ok(headers)
}
