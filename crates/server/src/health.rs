//! `claviger health`: asks the program that runs with the same settings whether it is alive.

mod pinned;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::Config;
use crate::instance::reachable;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of it.
const LONGEST: u64 = 16 * 1024;

/// Asks, at the address that the program listens on.
pub(crate) async fn ask(config: &Config) -> Result<()> {
    let address = reachable(config.listen);
    match tokio::time::timeout(PATIENCE, ask_at(config, address)).await {
        Ok(answered) => answered.with_context(|| format!("{address} is not well")),
        Err(_) => bail!("{address} did not answer within {} s", PATIENCE.as_secs()),
    }
}

async fn ask_at(config: &Config, address: std::net::SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(address)
        .await
        .context("cannot connect")?;
    let Some(files) = &config.tls else {
        return exchange(stream).await;
    };
    let client = pinned::client(files).await?;
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(client));
    exchange(connector.connect(name, stream).await.context("no TLS")?).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or("nothing");
    if status != "200" {
        bail!("/healthz answered {status}");
    }
    Ok(())
}
