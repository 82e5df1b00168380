//! How a connection to an upstream is opened, to addresses that were checked: no name is looked up here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::{CONNECTING, Refusal, word};
use crate::target::{Host, Origin};

/// How long an address is waited for before the next one is tried beside it: of two families, one often leads nowhere.
const HEAD_START: Duration = Duration::from_millis(300);

/// A connection, and the task that drives it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) requests: SendRequest<Full<Bytes>>,
    pub(crate) driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // With nothing under way it takes its leave by itself. Otherwise it is cut off: the other side may never read
        // what is left to be said.
        if !self.requests.is_ready() {
            self.driver.abort();
        }
    }
}

/// Opens a connection to the first of these addresses that takes one.
pub(crate) async fn open(
    origin: &Origin,
    addresses: &[SocketAddr],
    tls: &Arc<ClientConfig>,
) -> Result<Connection, Refusal> {
    let opening = async {
        let stream = dial(addresses).await.map_err(|error| word(&error))?;
        if !origin.is_encrypted {
            return drive(stream).await;
        }
        let name = match &origin.host {
            Host::Name(name) => ServerName::try_from(name.clone()),
            Host::Address(address) => Ok(ServerName::from(*address)),
        };
        let name = name.map_err(|_| Refusal::Unreachable)?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let encrypted = connector.connect(name, stream).await;
        drive(encrypted.map_err(|error| word(&error))?).await
    };
    timeout(CONNECTING, opening)
        .await
        .unwrap_or(Err(Refusal::Timeout))
}

/// Connects to one address after another, without giving up those that are slow.
async fn dial(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut addresses = addresses.iter();
    let mut dialled = FuturesUnordered::new();
    let mut fault = None;
    loop {
        dialled.extend(addresses.next().map(|address| TcpStream::connect(*address)));
        match timeout(HEAD_START, dialled.next()).await {
            Ok(Some(Ok(stream))) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            // The first address is the one that is meant to be used.
            Ok(Some(Err(error))) => {
                fault.get_or_insert(error);
            }
            Ok(None) => return Err(fault.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            Err(_) => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the addresses of this connection were checked"
)]
async fn drive<S>(stream: S) -> Result<Connection, Refusal>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let begun = http1::handshake(TokioIo::new(stream)).await;
    let (requests, connection) = begun.map_err(|error| word(&error))?;
    // What goes wrong is told to whoever waits for an answer.
    let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Connection { requests, driver })
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};
    use rcgen::CertifiedKey;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{RootCertStore, ServerConfig, crypto::ring};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::target::Target;

    /// A certificate for these names, and what trusts it alone.
    fn certified(names: &[&str]) -> (TlsAcceptor, Arc<ClientConfig>) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
    }

    fn origin(url: &str) -> Arc<Origin> {
        Arc::clone(Target::parse(url).unwrap().place())
    }

    #[tokio::test]
    async fn a_certificate_is_one_for_the_host_that_was_asked_for() {
        let (acceptor, tls) = certified(&["api.example.com", "127.0.0.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that hangs up is no matter of the server's.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
                    drop(stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").await);
                }
            }
        });
        for host in ["api.example.com", "API.example.com", "127.0.0.1"] {
            let origin = origin(&format!("https://{host}/"));
            let mut connection = open(&origin, &[address], &tls).await.unwrap();
            let request = Request::new(Full::default());
            let answer = connection.requests.send_request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        }
        for host in ["other.example.com", "example.com", "127.0.0.2", "[::1]"] {
            let origin = origin(&format!("https://{host}/"));
            let refused = open(&origin, &[address], &tls).await.unwrap_err();
            assert_eq!(refused, Refusal::Tls, "{host}");
        }
        serving.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_holds_up_no_other() {
        let bound = || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket
        };
        let refusing = bound();
        let refusing_at = refusing.local_addr().unwrap();
        // Nobody takes its connections, and there is place for one.
        let silent = bound().listen(0).unwrap();
        let silent_at = silent.local_addr().unwrap();
        let _in_its_place = TcpStream::connect(silent_at).await.unwrap();
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there_at = there.local_addr().unwrap();
        let (_, tls) = certified(&["example.com"]);
        let origin = origin("http://example.com/");
        let addresses = [refusing_at, silent_at, there_at];
        let opened = open(&origin, &addresses, &tls).await;
        assert!(opened.is_ok(), "{opened:?}");
        let refused = open(&origin, &addresses[..1], &tls).await.unwrap_err();
        assert_eq!(refused, Refusal::Unreachable);
        let refused = open(&origin, &addresses[..2], &tls).await.unwrap_err();
        assert_eq!(refused, Refusal::Timeout);
    }
}
