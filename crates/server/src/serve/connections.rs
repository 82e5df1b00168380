//! Connections: taken one by one, each served by the router, until the program stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use claviger_edge::{Answer, Asked, Draft, Surface};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::begun::Begun;
use super::tls::InForce;
use super::{from_memory, wait};

/// How long the headers of a request may take to arrive, and an idle connection may wait for one.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a client may read nothing of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// How long the end of a connection may take to be written.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long to wait when the machine has no more room for connections.
const NO_ROOM: Duration = Duration::from_millis(100);
/// Connections at once, where the process may open as many files.
const MOST: u64 = 65_536;
/// Files that are kept for the databases, for connections to other APIs and for all else, where there are as many
/// for clients.
const OTHER_FILES: u64 = 2_048;

/// What answers requests.
pub(super) trait Answering: Clone + Send + Sync + 'static {
    /// An answer that comes.
    type Answer: Future<Output = Response> + Send + 'static;

    /// Answers what it can from memory, as bytes; `false` leaves the request to [`Self::answer`].
    fn answer_from_memory(&self, asked: Asked<'_>, draft: &mut Draft) -> bool;

    /// Answers a request, and is told who sends it.
    fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Self::Answer;
}

impl Answering for Surface {
    type Answer = Answer;

    fn answer_from_memory(&self, asked: Asked<'_>, draft: &mut Draft) -> bool {
        Surface::answer_from_memory(self, asked, draft)
    }

    fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        Surface::answer(self, request, Some(peer))
    }
}

/// Serves until it is stopped; then takes no more connections, and gives calls in flight `grace` to
/// finish.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<InForce>,
    answering: impl Answering,
    stopped: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut stop = pin!(wait(stopped.clone()));
    let open = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(most_connections()));
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            // Those that are over are let go of.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            // Without room the next ones wait to be taken until one is over.
            (accepted, place) = accept(&listener, &room) => match accepted {
                Ok((stream, peer)) => {
                    let tls = tls.as_ref().map(|tls| Arc::clone(&tls.borrow()));
                    let served = connection(
                        stream,
                        peer,
                        tls,
                        answering.clone(),
                        (stopped.clone(), open.watcher()),
                    );
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // One that was gone before it was taken, or too many of them: the others go on.
                    tracing::warn!(%error, "a connection was not taken");
                    tokio::time::sleep(NO_ROOM).await;
                }
            },
        }
    }
    drop(listener);
    let in_flight = open.count();
    if tokio::time::timeout(grace, open.shutdown()).await.is_err() {
        tracing::warn!(
            in_flight,
            grace_seconds = grace.as_secs(),
            "calls were cut off, because they did not finish in time"
        );
    }
    // What was cut off has ended when this returns, so that what it leaves behind is written.
    connections.shutdown().await;
}

/// As many as the process may open files for, but for those that it needs itself.
fn most_connections() -> usize {
    let files = rlimit::increase_nofile_limit(MOST + OTHER_FILES).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files is not known");
        1_024
    });
    let most = (files - OTHER_FILES.min(files / 2)).clamp(1, MOST);
    usize::try_from(most).expect("some ten thousand fit")
}

/// How a connection learns that the program stops: by itself, and through hyper.
type Stop = (watch::Receiver<bool>, Watcher);

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (io::Result<(TcpStream, SocketAddr)>, OwnedSemaphorePermit) {
    let place = Arc::clone(room).acquire_owned().await;
    let place = place.expect("nobody closes the semaphore");
    (listener.accept().await, place)
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    answering: impl Answering,
    stop: Stop,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small answers to a connection may be late");
    }
    let stream = Box::pin(read_in_time(stream));
    let Some(tls) = tls else {
        return exchange(stream, peer, answering, stop).await;
    };
    let accepted = TlsAcceptor::from(tls).accept(stream);
    match tokio::time::timeout(HEADERS, accepted).await {
        Ok(Ok(stream)) => exchange(stream, peer, answering, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection came to no TLS"),
        Err(_) => tracing::debug!("a connection came to no TLS in time"),
    }
}

/// HTTP/1.1 only: what speaks HTTP/2 to clients stands in front.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    answering: impl Answering,
    (stopped, watcher): Stop,
) {
    let from_memory =
        |asked: Asked<'_>, draft: &mut Draft| answering.answer_from_memory(asked, draft);
    let read = from_memory::answer(&mut stream, from_memory, HEADERS, stopped).await;
    let Some(read) = read else {
        // So that the other end knows that nothing was cut off. It may be gone, or read nothing.
        drop(tokio::time::timeout(FAREWELL, stream.shutdown()).await);
        return;
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answering.answer(request, peer);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(Begun::new(stream, read)), service);
    // Boxed: many connections need no more than the above, and this is large.
    if let Err(error) = Box::pin(watcher.watch(served)).await {
        // Clients go away as they like; what is theirs to know, they know.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Ends a connection whose client does not read what it asked for: it would keep the answer in
/// memory for ever.
fn read_in_time(stream: TcpStream) -> TimeoutStream<TcpStream> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    stream
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use futures::future::BoxFuture;
    use std::future::pending;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;

    /// Answers `POST /memory` from memory, and the rest by routes.
    #[derive(Clone)]
    struct Both(Router);

    impl Answering for Both {
        type Answer = BoxFuture<'static, Response>;

        fn answer_from_memory(&self, asked: Asked<'_>, draft: &mut Draft) -> bool {
            let is_known = (asked.method, asked.target) == ("POST", "/memory");
            if is_known {
                draft.begin();
                draft.body().extend_from_slice(b"from memory");
            }
            is_known
        }

        fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Self::Answer {
            let answer = self.0.clone().oneshot(request.map(Body::new));
            Box::pin(async move { answer.await.unwrap_or_else(|never| match never {}) })
        }
    }

    /// A program that serves `routes`, what stops it, and a client's end of a connection.
    struct Served {
        serving: tokio::task::JoinHandle<()>,
        stopping: watch::Sender<bool>,
        stream: TcpStream,
    }

    async fn serve_to_one(routes: Router) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopping, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, None, Both(routes), stopped, GRACE));
        let stream = TcpStream::connect(address).await.unwrap();
        Served {
            serving,
            stopping,
            stream,
        }
    }

    const GRACE: Duration = Duration::from_secs(7);

    /// What is read from a connection over which `sent` was written, until the program closes it.
    async fn answer_to(sent: &str) -> String {
        let routes = Router::new().fallback(async || "here");
        let Served {
            mut stream,
            stopping: _stays_open,
            ..
        } = serve_to_one(routes).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Time stands still while there is anything to do, then jumps to the next timer: this one
        // only when nothing closes the connection before it.
        tokio::time::timeout(HEADERS * 2, stream.read_to_string(&mut answer))
            .await
            .expect("the connection is closed in time")
            .unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_do_not_arrive_in_time_end_the_connection() {
        assert!(
            !answer_to("GET / HTTP/1.1\r\nhost: local")
                .await
                .contains("here")
        );
        assert_eq!(answer_to("").await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_finish_is_cut_off() {
        let begun = Arc::new(Notify::new());
        let inside = Arc::clone(&begun);
        let routes = Router::new().fallback(async move || {
            inside.notify_one();
            pending::<()>().await;
        });
        let Served {
            serving,
            stopping,
            mut stream,
        } = serve_to_one(routes).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        begun.notified().await;
        stopping.send_replace(true);
        tokio::time::timeout(GRACE * 2, serving)
            .await
            .expect("the stop does not wait for it")
            .unwrap();
        assert_eq!(Arc::strong_count(&begun), 1, "the call is over");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends_the_connection() {
        let ended = Arc::new(Notify::new());
        let inside = Arc::clone(&ended);
        // More than the sockets' buffers hold; the body notes when it is let go of.
        let routes = Router::new().fallback(async move || {
            let ended = AtTheEnd(Arc::clone(&inside));
            let parts = futures::stream::repeat_with(move || {
                let _ = &ended;
                Ok::<_, std::convert::Infallible>(vec![0_u8; 1024 * 1024])
            });
            Body::from_stream(parts)
        });
        let Served {
            mut stream,
            stopping: _stays_open,
            ..
        } = serve_to_one(routes).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        tokio::time::timeout(UNREAD * 2, ended.notified())
            .await
            .expect("it is not kept for ever");
    }

    /// Tells when it goes.
    struct AtTheEnd(Arc<Notify>);

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed() {
        let routed = answer_to("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert!(routed.ends_with("here"), "{routed}");
        let remembered = answer_to("POST /memory HTTP/1.1\r\n\r\n").await;
        assert!(remembered.ends_with("from memory"), "{remembered}");
    }

    /// What is left of an answer when its date, which changes, is not looked at.
    fn without_dates(answers: &str) -> String {
        let lines = answers.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with("date: ")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_is_answered_in_its_turn_whoever_answers_it() {
        let memory = "POST /memory HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
        let route = "POST /route HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
        let from_memory = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nfrom memory";
        let by_route = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\
                        content-length: 4\r\n\r\nhere";
        for (sent, expected) in [
            ([memory, memory].concat(), from_memory.repeat(2)),
            ([memory, route].concat(), [from_memory, by_route].concat()),
        ] {
            assert_eq!(without_dates(&answer_to(&sent).await), expected, "{sent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_connections_that_wait_for_a_request() {
        let Served {
            serving,
            stopping,
            mut stream,
        } = serve_to_one(Router::new()).await;
        stream
            .write_all(b"POST /memory HTTP/1.1\r\n\r\nPOST /me")
            .await
            .unwrap();
        let mut answer = [0; 256];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        stopping.send_replace(true);
        // Sooner than any patience ends.
        tokio::time::timeout(Duration::from_secs(1), serving)
            .await
            .expect("nothing is waited for")
            .unwrap();
    }
}
