//! The public keys of an identity provider, fetched by the guarded client and kept for as long as the
//! provider says.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use claviger_domain::time::{Clock, Timestamp};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{Client, Refusal, Target};

/// Bytes of a key set, at most.
const LARGEST: usize = 65_536;
/// Seconds for which a set is kept that does not say for how long, and the bounds for those that do.
const KEPT: i64 = 3_600;
const KEPT_AT_LEAST: i64 = 60;
const KEPT_AT_MOST: i64 = 86_400;
/// Seconds from the end of one request to the next, at least, while there is a set: whoever makes ids of keys up has
/// one request in that time sent, and no more.
const ASKED_EACH: i64 = 60;
/// The same while there is none.
const TRIED_EACH: i64 = 10;

/// Why there is no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetFault {
    /// The provider does not answer.
    #[error("the keys cannot be fetched")]
    Away(#[source] Refusal),
    /// It answers with something else.
    #[error("what is fetched is no set of keys")]
    Malformed,
    /// It was asked a short while ago, in vain.
    #[error("the keys could not be fetched a short while ago")]
    Resting,
}

/// The set.
pub(crate) struct KeySet {
    client: Client,
    target: Target,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// When an answer, or none, came the last time; held while it is asked for, so that nobody else does.
    asked_at: Arc<Mutex<Option<Timestamp>>>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KeySet")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Held {
    keys: HashMap<String, Arc<DecodingKey>>,
    until: Option<Timestamp>,
}

/// A set as it is published; what is no RSA key for signatures is passed over.
#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    kid: Option<String>,
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// What is known of a key.
enum Known {
    Key(Arc<DecodingKey>),
    /// The set is fresh, and it is not in it.
    No,
    /// There is no set that is fresh.
    Nothing,
}

impl KeySet {
    /// A set that is fetched from there, once it is needed.
    pub(crate) fn new(client: Client, target: Target, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            target,
            clock,
            held: RwLock::default(),
            asked_at: Arc::default(),
        }
    }

    /// The key of that id; `None` where the provider has none.
    pub(crate) async fn key(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<Option<Arc<DecodingKey>>, KeySetFault> {
        if let Known::Key(key) = self.known(id) {
            return Ok(Some(key));
        }
        // Whoever knows their key does not wait for this.
        let mut asked_at = Arc::clone(&self.asked_at).lock_owned().await;
        // Somebody else may have asked meanwhile.
        let before = match self.known(id) {
            Known::Key(key) => return Ok(Some(key)),
            Known::No => Some(None),
            Known::Nothing => None,
        };
        let now = self.clock.now();
        let rest = if before.is_some() {
            ASKED_EACH
        } else {
            TRIED_EACH
        };
        if asked_at.is_some_and(|at| now < at.plus_seconds(rest)) {
            return before.ok_or(KeySetFault::Resting);
        }
        let set = Arc::clone(self);
        // To its end, whoever hangs up meanwhile: or whoever does so again and again would have it asked
        // for in vain, and keep others from signing in.
        let asking = tokio::spawn(async move {
            let fetched = set.fetch(now).await;
            let outcome = fetched.map(|held| set.hold(held));
            // From the end: where the provider took its time, whoever waited for that does not wait for
            // it again, each in turn.
            *asked_at = Some(set.clock.now());
            drop(asked_at);
            outcome.inspect_err(|fault| {
                let error = fault as &dyn Error;
                tracing::warn!(error, "the keys of Firebase's tokens cannot be fetched");
            })
        });
        match asking.await {
            // What is known goes on being good.
            Ok(Err(fault)) => before.ok_or(fault),
            Ok(Ok(())) => Ok(match self.known(id) {
                Known::Key(key) => Some(key),
                Known::No | Known::Nothing => None,
            }),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn hold(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
    }

    fn known(&self, id: &str) -> Known {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.until.is_none_or(|until| until <= self.clock.now()) {
            return Known::Nothing;
        }
        held.keys
            .get(id)
            .map_or(Known::No, |key| Known::Key(Arc::clone(key)))
    }

    async fn fetch(&self, now: Timestamp) -> Result<Held, KeySetFault> {
        let fetched = self.client.fetch(&self.target, LARGEST).await;
        let fetched = fetched.map_err(KeySetFault::Away)?;
        if !fetched.status.is_success() {
            return Err(KeySetFault::Malformed);
        }
        let published: Published =
            serde_json::from_slice(&fetched.body).map_err(|_| KeySetFault::Malformed)?;
        let keys: HashMap<_, _> = published.keys.into_iter().filter_map(read).collect();
        if keys.is_empty() {
            return Err(KeySetFault::Malformed);
        }
        let kept = fetched.max_age.unwrap_or(KEPT);
        let kept = kept.clamp(KEPT_AT_LEAST, KEPT_AT_MOST);
        Ok(Held {
            keys,
            until: Some(now.plus_seconds(kept)),
        })
    }
}

fn read(key: PublishedKey) -> Option<(String, Arc<DecodingKey>)> {
    let is_for_us = key.kty == "RSA"
        && key.purpose.is_none_or(|purpose| purpose == "sig")
        && key.alg.is_none_or(|alg| alg == "RS256");
    if !is_for_us {
        return None;
    }
    let read = DecodingKey::from_rsa_components(&key.n?, &key.e?).ok()?;
    Some((key.kid?, Arc::new(read)))
}
