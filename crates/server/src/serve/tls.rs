//! TLS from files, which are read again when they change, without an end to any connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::TlsFiles;

/// How often the files are looked at: whoever renews them need not tell.
const PERIOD: Duration = Duration::from_mins(1);

/// What connections are opened with; new ones take what is in force then.
pub(super) type InForce = watch::Receiver<Arc<ServerConfig>>;

/// Certificate and key as they were read last.
pub(super) struct Tls {
    files: TlsFiles,
    read: Read,
    in_force: watch::Sender<Arc<ServerConfig>>,
    hangup: Signal,
}

/// What the files had in them.
#[derive(PartialEq, Eq)]
struct Read {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files; the error is a sentence for whoever starts the program.
    pub(super) async fn open(files: &TlsFiles) -> Result<Self> {
        let read = Read::from(files).await?;
        let config = read.config(files)?;
        Ok(Self {
            files: files.clone(),
            read,
            in_force: watch::Sender::new(Arc::new(config)),
            hangup: signal(SignalKind::hangup()).context("cannot wait for signals")?,
        })
    }

    /// What is in force, now and later.
    pub(super) fn in_force(&self) -> InForce {
        self.in_force.subscribe()
    }

    /// Reads the files again each minute and on SIGHUP, until the program stops.
    pub(super) async fn keep(mut self, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                _ = self.hangup.recv() => {}
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.read_again().await {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the certificate is not read again, the one in force stays"
                );
            }
        }
    }

    async fn read_again(&mut self) -> Result<()> {
        let read = Read::from(&self.files).await?;
        if read == self.read {
            return Ok(());
        }
        // While one of the two is written and the other is not, they do not fit: that is told once,
        // and they are looked at again.
        self.read = read;
        let config = self.read.config(&self.files)?;
        self.in_force.send_replace(Arc::new(config));
        tracing::info!("the certificate was read again");
        Ok(())
    }
}

impl Read {
    async fn from(files: &TlsFiles) -> Result<Self> {
        let read = async |name: &str, path: &Path| {
            let read = tokio::fs::read(path).await;
            read.with_context(|| format!("{name} {} cannot be read", path.display()))
        };
        Ok(Self {
            cert: read("tls.cert", &files.cert).await?,
            key: read("tls.key", &files.key).await?,
        })
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig> {
        let cert = files.cert.display();
        let certificates = certificates(&self.cert)
            .with_context(|| format!("tls.cert {cert} has no certificate in PEM"))?;
        // The parser's own error may quote what it read.
        let Ok(key) = PrivateKeyDer::from_pem_slice(&self.key) else {
            bail!("tls.key {} has no private key in PEM", files.key.display());
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .with_context(|| format!("tls.key is not the key of the certificate in {cert}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The certificates of a PEM file, of which there has to be one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.ok().filter(|read| !read.is_empty());
    certificates.context("it is none")
}
