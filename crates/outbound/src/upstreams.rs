//! Requests to the upstreams of connectors: whole answers within bounds, over connections that are kept
//! for as long as the addresses that were checked are believed.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::client::{AGENT, Client, Refusal, word};
use crate::connection::Connection;
use crate::connections::{Connections, places};
use crate::target::Target;

/// How long an upstream has for its answer as a whole.
const PATIENCE: Duration = Duration::from_mins(1);
/// The largest answer that is read.
const LARGEST: usize = 8 * 1024 * 1024;
/// Bytes for which room is made before they are there.
const ANNOUNCED: usize = 256 * 1024;
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
    /// Connections by their origin.
    kept: Mutex<HashMap<Arc<str>, Kept>>,
    /// For connections that rest.
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Kept {
    connections: Arc<Connections>,
    until: Timestamp,
}

/// A request to addresses that were checked.
#[derive(Debug)]
pub struct Prepared {
    connections: Arc<Connections>,
    asking: Asking,
}

impl Prepared {
    /// Sends it; whoever drops the future takes it back.
    pub async fn send(self) -> Result<Told, Unanswered> {
        timeout(PATIENCE, self.told())
            .await
            .unwrap_or(Err(Unanswered::Refused(Refusal::Timeout)))
    }

    async fn told(self) -> Result<Told, Unanswered> {
        let Self {
            connections,
            asking,
        } = self;
        let request = asking.into_request().ok_or(Refusal::Unreachable);
        let sent = connections
            .send(request.map_err(Unanswered::Refused)?)
            .await;
        let (response, mut connection) = sent.map_err(Unanswered::Refused)?;
        let (head, body) = response.into_parts();
        let body = whole(&mut connection, body).await?;
        // One that goes on in another protocol is not ours any more.
        if !head.status.is_informational() {
            connections.keep(connection);
        }
        Ok(Told {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

impl Asking {
    fn into_request(self) -> Option<Request<Full<Bytes>>> {
        let Self {
            method,
            target,
            mut headers,
            body,
        } = self;
        let every = || HeaderValue::from_static("*/*");
        headers.entry(header::ACCEPT).or_insert_with(every);
        let agent = || HeaderValue::from_static(AGENT);
        headers.entry(header::USER_AGENT).or_insert_with(agent);
        let host = || target.place().host_header.clone();
        headers.entry(header::HOST).or_insert_with(host);
        // Some servers refuse a POST that does not say that it has nothing (411; RFC 9110, 8.6).
        if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        *request.uri_mut() = target.into_uri()?;
        Some(request)
    }
}

/// Reads a body to its end; one that comes at once is not copied.
async fn whole(connection: &mut Connection, mut body: Incoming) -> Result<Bytes, Unanswered> {
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > LARGEST {
        return Err(Unanswered::TooLarge);
    }
    let Some(first) = part(connection, &mut body).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = part(connection, &mut body).await? else {
        return Ok(first);
    };
    // Not all that is announced comes.
    let mut whole = Vec::with_capacity(told.min(ANNOUNCED));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(next) = part(connection, &mut body).await? {
        if whole.len() + next.len() > LARGEST {
            return Err(Unanswered::TooLarge);
        }
        whole.extend_from_slice(&next);
    }
    Ok(whole.into())
}

/// The next bytes of a body; trailers are passed over.
async fn part(
    connection: &mut Connection,
    body: &mut Incoming,
) -> Result<Option<Bytes>, Unanswered> {
    while let Some(frame) = connection.frame(body).await {
        let frame = frame.map_err(|error| Unanswered::Refused(word(&error)))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

impl Upstreams {
    /// Those that the client may reach.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
            places: places(),
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
        let connections = match self.kept(&asking.target, now) {
            Some(kept) => kept,
            None => self.checked(&asking.target, now).await?,
        };
        Ok(Prepared {
            connections,
            asking,
        })
    }

    /// Connections to addresses that are still believed; others are let go.
    fn kept(&self, target: &Target, now: Timestamp) -> Option<Arc<Connections>> {
        let mut kept = self.lock();
        let known = kept.get(target.origin())?;
        if now < known.until {
            return Some(Arc::clone(&known.connections));
        }
        let expired = kept.remove(target.origin());
        // Closing takes its time, which nobody else has to wait for.
        drop(kept);
        drop(expired);
        None
    }

    async fn checked(
        &self,
        target: &Target,
        now: Timestamp,
    ) -> Result<Arc<Connections>, Unanswered> {
        let checked = self.client.checked(target).await;
        let addresses = checked.map_err(Unanswered::Refused)?;
        // Of those who looked at the same time, the first has found the way for all.
        if let Some(kept) = self.kept(target, now) {
            return Ok(kept);
        }
        let origin = target.place();
        let tls = Arc::clone(self.client.tls());
        let places = Arc::clone(&self.places);
        let connections = Connections::new(Arc::clone(origin), addresses, tls, places);
        let fresh = Kept {
            connections: Arc::clone(&connections),
            until: now.plus_seconds(BELIEVED),
        };
        let mut kept = self.lock();
        let is_full = kept.len() >= KEPT;
        let let_go = is_full.then(|| mem::take(&mut *kept));
        kept.insert(Arc::clone(&origin.text), fresh);
        drop(kept);
        drop(let_go);
        Ok(connections)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
