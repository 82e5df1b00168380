//! A connection to an upstream, which is read and written by whoever waits for something that comes over it: no task
//! stands between.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::future::{BoxFuture, Fuse, FutureExt};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::unconstrained;

use crate::client::{Refusal, word};

/// A connection, over which one request goes at a time. Dropped, it is closed.
pub(crate) struct Connection {
    /// There until it is dropped.
    requests: Option<SendRequest<Full<Bytes>>>,
    driver: Driver,
}

/// Ended, it is dropped, and with it what it had not answered; so whoever waits is told of its end.
type Driver = Fuse<BoxFuture<'static, hyper::Result<()>>>;

impl Connection {
    /// One over a stream that is open.
    #[expect(
        clippy::disallowed_methods,
        reason = "the addresses of this connection were checked"
    )]
    pub(crate) async fn over<S>(stream: S) -> Result<Self, Refusal>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let begun = http1::handshake(TokioIo::new(stream)).await;
        let (requests, connection) = begun.map_err(|error| word(&error))?;
        Ok(Self {
            requests: Some(requests),
            driver: connection.boxed().fuse(),
        })
    }

    /// Sends a request, and waits for the head of its answer. The request comes back where the connection had ended
    /// before a byte of it was written, and only then.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let requests = self.requests.as_mut().expect("it is not dropped yet");
        // An answer that is there is not kept from a task that has had much at a stretch: nobody would be woken for it.
        let mut answer = pin!(unconstrained(requests.try_send_request(request)));
        driving(&mut self.driver, |quiet| answer.as_mut().poll(quiet)).await
    }

    /// Waits for the next part of an answer's body.
    pub(crate) async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<hyper::Result<Frame<Bytes>>> {
        let mut body = Pin::new(body);
        driving(&mut self.driver, |quiet| body.as_mut().poll_frame(quiet)).await
    }

    /// Whether it takes a request, by what has happened to it until now. With what happens next, the waker is woken.
    pub(crate) fn is_ready(&mut self, context: &mut Context<'_>) -> bool {
        let _ = self.driver.poll_unpin(context);
        self.requests.as_ref().is_some_and(SendRequest::is_ready)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // With nothing under way it takes its leave, as TLS wants it, and does not wait. Otherwise it is cut off: the
        // other side may never read what is left to be said.
        let requests = self.requests.take();
        if requests.is_some_and(|requests| requests.is_ready()) {
            let _ = self
                .driver
                .poll_unpin(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Drives a connection until there is what is waited for, which nothing else brings about: so that wakes nobody, and
/// the connection does.
async fn driving<T>(
    driver: &mut Driver,
    mut arrived: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    poll_fn(|context| {
        let quiet = &mut Context::from_waker(Waker::noop());
        let before = arrived(quiet);
        if before.is_ready() {
            return before;
        }
        // What goes wrong is told by what is waited for.
        let _ = driver.poll_unpin(context);
        arrived(quiet)
    })
    .await
}
