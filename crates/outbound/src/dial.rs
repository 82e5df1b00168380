//! How a connection to an upstream is opened, to addresses that were checked: no name is looked up here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::{CONNECTING, Refusal, word};
use crate::connection::Connection;
use crate::target::{Host, Origin};

/// How long an address is waited for before the next one is tried beside it: of two families, one often leads nowhere.
const HEAD_START: Duration = Duration::from_millis(300);

/// Opens a connection to the first of these addresses that takes one.
pub(crate) async fn open(
    origin: &Origin,
    addresses: &[SocketAddr],
    tls: &Arc<ClientConfig>,
) -> Result<Connection, Refusal> {
    let opening = async {
        let stream = dial(addresses).await.map_err(|error| word(&error))?;
        if !origin.is_encrypted {
            return Connection::over(stream).await;
        }
        let name = match &origin.host {
            Host::Name(name) => ServerName::try_from(name.clone()),
            Host::Address(address) => Ok(ServerName::from(*address)),
        };
        let name = name.map_err(|_| Refusal::Unreachable)?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let encrypted = connector.connect(name, stream).await;
        Connection::over(encrypted.map_err(|error| word(&error))?).await
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
        dialled.extend(addresses.next().map(|address| async {
            let stream = TcpStream::connect(*address).await?;
            stream.set_nodelay(true).map(|()| stream)
        }));
        match timeout(HEAD_START, dialled.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            // The first address is the one that is meant to be used.
            Ok(Some(Err(error))) => {
                fault.get_or_insert(error);
            }
            Ok(None) => return Err(fault.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use http::{Request, StatusCode};
    use http_body_util::Full;
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
            let answer = connection.send(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        }
        for host in ["other.example.com", "example.com", "127.0.0.2", "[::1]"] {
            let origin = origin(&format!("https://{host}/"));
            let refused = open(&origin, &[address], &tls).await.unwrap_err();
            assert_eq!(refused, Refusal::Tls, "{host}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn a_connection_at_rest_takes_its_leave() {
        let (acceptor, tls) = certified(&["api.example.com"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
            let answer = b"HTTP/1.1 204 Fine\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            // An error where nothing said that this is the end.
            stream.read(&mut [0]).await.unwrap()
        });
        let origin = origin("https://api.example.com/");
        let mut connection = open(&origin, &[address], &tls).await.unwrap();
        let request = Request::new(Full::default());
        connection.send(request).await.unwrap();
        assert!(connection.is_ready(&mut Context::from_waker(Waker::noop())));
        drop(connection);
        assert_eq!(serving.await.unwrap(), 0);
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
