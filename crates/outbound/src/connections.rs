//! Connections to one origin that are kept from one request to the next.

use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::interval;

use crate::client::{IDLE, RESTING, Refusal, word};
use crate::connection::Connection;
use crate::dial::open;
use crate::target::Origin;

/// Each is a file of the process, of which it may open so many.
const PLACES: usize = 512;

/// The way to an origin: addresses that were checked, and connections to them that nothing goes over.
#[derive(Debug)]
pub(crate) struct Connections {
    origin: Arc<Origin>,
    addresses: Vec<SocketAddr>,
    tls: Arc<ClientConfig>,
    places: Arc<Semaphore>,
    rest: Mutex<Rest>,
}

#[derive(Debug)]
struct Rest {
    connections: Vec<Resting>,
    /// Wakes the task that looks after them.
    tender: Waker,
}

#[derive(Debug)]
struct Resting {
    connection: Connection,
    /// Whether it was found resting before.
    is_stale: bool,
    /// One origin has a connection without any: who asks many leaves that to all others.
    _place: Option<OwnedSemaphorePermit>,
}

/// How many connections may rest, to all origins together, beside one to each.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(PLACES))
}

impl Connections {
    /// Those to an origin at these addresses, of which there are none so far.
    pub(crate) fn new(
        origin: Arc<Origin>,
        addresses: Vec<SocketAddr>,
        tls: Arc<ClientConfig>,
        places: Arc<Semaphore>,
    ) -> Arc<Self> {
        let new = Arc::new(Self::untended(origin, addresses, tls, places));
        let tended = Arc::downgrade(&new);
        // Found twice, a connection has rested for long enough: so nobody looks at a clock in between.
        let mut rounds = interval(RESTING / 2);
        tokio::spawn(poll_fn(move |context| {
            let mut is_round = false;
            while rounds.poll_tick(context).is_ready() {
                is_round = true;
            }
            let Some(connections) = tended.upgrade() else {
                return Poll::Ready(());
            };
            connections.tend(context, is_round);
            Poll::Pending
        }));
        new
    }

    fn untended(
        origin: Arc<Origin>,
        addresses: Vec<SocketAddr>,
        tls: Arc<ClientConfig>,
        places: Arc<Semaphore>,
    ) -> Self {
        let rest = Rest {
            connections: Vec::new(),
            tender: Waker::noop().clone(),
        };
        Self {
            origin,
            addresses,
            tls,
            places,
            rest: Mutex::new(rest),
        }
    }

    /// Sends a request, and gives the head of its answer together with the connection that the body comes over.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), Refusal> {
        while let Some(mut connection) = self.take() {
            match connection.send(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(word(error.error())),
                },
            }
        }
        // Boxed: most requests find one that rests, and this is large.
        let opened = Box::pin(open(&self.origin, &self.addresses, &self.tls));
        let mut connection = opened.await?;
        let sent = connection.send(request).await;
        Ok((sent.map_err(|error| word(error.error()))?, connection))
    }

    /// Keeps a connection whose answer was read to its end, and whose request was.
    pub(crate) fn keep(&self, mut connection: Connection) {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        let mut rest = self.rest();
        let has_place = place.is_some() || rest.connections.is_empty();
        // From here on, the tender is who hears of it.
        if has_place
            && rest.connections.len() < IDLE
            && connection.is_ready(&mut Context::from_waker(&rest.tender))
        {
            rest.connections.push(Resting {
                connection,
                is_stale: false,
                _place: place,
            });
        }
    }

    /// The connection that was used last, so that those which are not needed come to rest.
    fn take(&self) -> Option<Connection> {
        loop {
            let mut last = self.rest().connections.pop()?.connection;
            // Nobody is to be woken until somebody waits, the tender least of all.
            if last.is_ready(&mut Context::from_waker(Waker::noop())) {
                return Some(last);
            }
        }
    }

    /// Closes those that have ended, and with each round those that rested before.
    fn tend(&self, context: &mut Context<'_>, is_round: bool) {
        let mut rest = self.rest();
        rest.tender.clone_from(context.waker());
        let is_over = |one: &mut Resting| {
            let is_stale = is_round && mem::replace(&mut one.is_stale, true);
            is_stale || !one.connection.is_ready(context)
        };
        let over: Vec<_> = rest.connections.extract_if(.., is_over).collect();
        // Closing takes its time, which nobody has to wait for.
        drop(rest);
        drop(over);
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;

    use http::StatusCode;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf, duplex, join};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Client, Guard, SystemResolver, Target};

    /// Has nothing to read so many times, and has ended then.
    struct Ending(usize);

    impl AsyncRead for Ending {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some(left) = self.0.checked_sub(1) else {
                return Poll::Ready(Ok(()));
            };
            self.0 = left;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_request_of_which_nothing_was_written_goes_over_another_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = Client::new(Guard::default(), Arc::new(SystemResolver));
        let target = Target::parse(&format!("http://{address}/")).unwrap();
        let origin = Arc::clone(target.place());
        let tls = Arc::clone(client.tls());
        let connections = Connections::untended(origin, vec![address], tls, places());
        // It ends before it is kept, while it rests, after it was found well, and with the request written.
        for looks in 0..4 {
            let (ours, mut theirs) = duplex(1_024);
            let stream = join(Ending(looks), ours);
            connections.keep(Connection::over(stream).await.unwrap());
            let resting = connections.rest().connections.len();
            assert_eq!(resting, usize::from(looks > 0));
            let sent = connections.send(Request::default());
            let is_written = looks == 3;
            if is_written {
                assert_eq!(sent.await.unwrap_err(), Refusal::Unreachable);
            } else {
                let (sent, ()) = tokio::join!(sent, async {
                    let (mut other, _) = listener.accept().await.unwrap();
                    assert!(other.read(&mut [0; 1_024]).await.unwrap() > 0);
                    let answer = b"HTTP/1.1 204 Fine\r\n\r\n";
                    other.write_all(answer).await.unwrap();
                });
                assert_eq!(sent.unwrap().0.status(), StatusCode::NO_CONTENT);
            }
            let mut written = Vec::new();
            theirs.read_to_end(&mut written).await.unwrap();
            assert_eq!(!written.is_empty(), is_written, "{looks}");
        }
    }

    #[tokio::test]
    async fn each_origin_has_a_connection_at_rest_and_few_have_more() {
        let places = Arc::new(Semaphore::new(2));
        let client = Client::new(Guard::default(), Arc::new(SystemResolver));
        let mut theirs = Vec::new();
        let mut origins = Vec::new();
        for (url, kept) in [("http://one.example/", 2), ("http://two.example/", 1)] {
            let origin = Arc::clone(Target::parse(url).unwrap().place());
            let tls = Arc::clone(client.tls());
            let connections = Connections::untended(origin, Vec::new(), tls, Arc::clone(&places));
            for _ in 0..3 {
                let (ours, other) = duplex(64);
                theirs.push(other);
                connections.keep(Connection::over(ours).await.unwrap());
            }
            assert_eq!(connections.rest().connections.len(), kept, "{url}");
            origins.push(connections);
        }
        // What rests no longer leaves its place.
        origins[0].take().unwrap();
        assert_eq!(places.available_permits(), 1);
    }
}
