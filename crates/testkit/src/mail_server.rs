//! A mail server on this machine.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Tells what to say to a recipient, such as `250 fine`.
type Judge = Arc<dyn Fn(String) -> BoxFuture<'static, &'static str> + Send + Sync>;

/// Takes mails on a port of its own until it is dropped.
#[derive(Debug)]
pub struct MailServer {
    /// Where it listens: `smtp://127.0.0.1:…`, or `smtps:`.
    pub url: String,
    taken: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl MailServer {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::judging(|_| async { "250 fine" }).await
    }

    /// One that says to each recipient what it is told.
    pub async fn judging<F, A>(judge: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = &'static str> + Send + 'static,
    {
        Self::serving("smtp", None, Arc::new(move |to| Box::pin(judge(to)))).await
    }

    /// One that takes everything over TLS, with a certificate that it signed itself, which comes along in
    /// PEM.
    pub async fn encrypted() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.expect("an address is a name");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what these versions need")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("the key is that certificate's");
        let tls = TlsAcceptor::from(Arc::new(config));
        let judge: Judge = Arc::new(|_| Box::pin(async { "250 fine" }));
        (Self::serving("smtps", Some(tls), judge).await, cert.pem())
    }

    async fn serving(scheme: &str, tls: Option<TlsAcceptor>, judge: Judge) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("this machine has a free port");
        let address = listener.local_addr().expect("it listens");
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&taken);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, judge, tls) = (Arc::clone(&noted), Arc::clone(&judge), tls.clone());
                // A client that goes away is no matter of the server's.
                tokio::spawn(async move {
                    drop(match tls {
                        None => converse(stream, &noted, &judge).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, &noted, &judge).await,
                            Err(error) => Err(error),
                        },
                    });
                });
            }
        });
        Self {
            url: format!("{scheme}://{address}"),
            taken,
            serving,
        }
    }

    /// The mails that it took, the oldest first.
    pub fn taken(&self) -> Vec<String> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    taken: &Mutex<Vec<String>>,
    judge: &Judge,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 here\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let said = line.trim_end().to_ascii_uppercase();
        let reply = match said.split([' ', ':']).next() {
            Some("EHLO" | "HELO" | "MAIL" | "RSET" | "NOOP") => "250 fine",
            Some("RCPT") => judge(line.trim_end().to_owned()).await,
            Some("QUIT") => "221 farewell",
            Some("DATA") => {
                stream.write_all(b"354 go on\r\n").await?;
                let mail = mail(&mut stream).await?;
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.push(mail);
                "250 taken"
            }
            _ => "500 what",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

/// What comes until a line with nothing but a dot.
async fn mail<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut mail = String::new();
    loop {
        let start = mail.len();
        if stream.read_line(&mut mail).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if &mail[start..] == ".\r\n" {
            mail.truncate(start);
            return Ok(mail);
        }
    }
}
