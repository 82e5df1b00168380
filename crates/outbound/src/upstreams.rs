//! Requests to the upstreams of connectors: whole answers within bounds, over connections that are kept
//! for as long as the addresses that were checked are believed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use http::{HeaderMap, Method, StatusCode};

use crate::client::{Client, Refusal, why};
use crate::target::Target;

/// How long an upstream has for its answer as a whole.
const PATIENCE: Duration = Duration::from_mins(1);
/// The largest answer that is read.
const LARGEST: usize = 8 * 1024 * 1024;
/// Seconds for which addresses are believed.
const BELIEVED: i64 = 60;
/// How many upstreams have their connections kept; past it all are let go, since opening is cheap.
const KEPT: usize = 1_024;

/// A request to an upstream.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Its verb.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What an upstream answered, redirects too: they are not followed.
#[derive(Clone, Debug)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why there is no answer of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// There is none.
    #[error(transparent)]
    Refused(Refusal),
    /// It is larger than is read.
    #[error("too large")]
    TooLarge,
}

/// Asks upstreams through the guarded client.
#[derive(Debug)]
pub struct Upstreams {
    client: Client,
    /// Clients by the origin whose addresses they dial.
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    http: reqwest::Client,
    until: Timestamp,
}

/// A request to addresses that were checked.
#[derive(Debug)]
pub struct Prepared {
    http: reqwest::Client,
    asking: Asking,
}

impl Prepared {
    /// Sends it; whoever drops the future takes it back.
    pub async fn send(self) -> Result<Told, Unanswered> {
        let Self { http, asking } = self;
        let request = http
            .request(asking.method, asking.target.url)
            .headers(asking.headers)
            .timeout(PATIENCE)
            .body(asking.body);
        let refused = |error: reqwest::Error| Unanswered::Refused(why(&error));
        let mut response = request.send().await.map_err(refused)?;
        let is_too_large = |length: u64| !usize::try_from(length).is_ok_and(|it| it <= LARGEST);
        if response.content_length().is_some_and(is_too_large) {
            return Err(Unanswered::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(refused)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Unanswered::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Told {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: body.into(),
        })
    }
}

impl Upstreams {
    /// Those that the client may reach.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
        }
    }

    /// By what they are asked.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends one request; whoever drops the future takes it back.
    pub async fn ask(&self, asking: Asking, now: Timestamp) -> Result<Told, Unanswered> {
        self.prepare(asking, now).await?.send().await
    }

    /// Finds the way for one request, which is sent only then: looking a name up takes its time.
    pub async fn prepare(&self, asking: Asking, now: Timestamp) -> Result<Prepared, Unanswered> {
        let http = self.http(&asking.target, now).await?;
        Ok(Prepared { http, asking })
    }

    async fn http(&self, target: &Target, now: Timestamp) -> Result<reqwest::Client, Unanswered> {
        let origin = target.origin();
        if let Some(kept) = self.lock().get(&origin)
            && now < kept.until
        {
            return Ok(kept.http.clone());
        }
        let receiver = self.client.receiver(target);
        let http = receiver.await.map_err(Unanswered::Refused)?.http;
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        let fresh = Kept {
            http: http.clone(),
            until: now.plus_seconds(BELIEVED),
        };
        kept.insert(origin, fresh);
        Ok(http)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
