//! Connections to one origin that are kept from one request to the next.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use rustls::ClientConfig;
use tokio::time::sleep;

use crate::client::{IDLE, RESTING, Refusal, word};
use crate::dial::{Connection, open};
use crate::target::Origin;

/// The way to an origin: addresses that were checked, and connections to them that nothing goes over.
#[derive(Debug)]
pub(crate) struct Connections {
    origin: Arc<Origin>,
    addresses: Vec<SocketAddr>,
    tls: Arc<ClientConfig>,
    resting: Mutex<Vec<Resting>>,
}

#[derive(Debug)]
struct Resting {
    connection: Connection,
    /// Whether it was found resting before.
    is_stale: bool,
}

impl Connections {
    /// Those to an origin at these addresses, of which there are none so far.
    pub(crate) fn new(
        origin: Arc<Origin>,
        addresses: Vec<SocketAddr>,
        tls: Arc<ClientConfig>,
    ) -> Arc<Self> {
        let new = Arc::new(Self {
            origin,
            addresses,
            tls,
            resting: Mutex::default(),
        });
        let tended = Arc::downgrade(&new);
        tokio::spawn(async move {
            // Found twice, a connection has rested for long enough: so nobody looks at a clock in between.
            while let Some(connections) = {
                sleep(RESTING / 2).await;
                tended.upgrade()
            } {
                connections.close_stale();
            }
        });
        new
    }

    /// Sends a request, and gives the head of its answer together with the connection that the body comes over.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), Refusal> {
        while let Some(mut connection) = self.take() {
            match connection.requests.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                // It comes back where the connection had ended before a byte of it was written, and only then.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(word(error.error())),
                },
            }
        }
        let mut connection = open(&self.origin, &self.addresses, &self.tls).await?;
        let sent = connection.requests.send_request(request).await;
        Ok((sent.map_err(|error| word(&error))?, connection))
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn keep(&self, connection: Connection) {
        let mut resting = self.resting();
        if resting.len() >= IDLE {
            resting.retain(|one| !one.connection.requests.is_closed());
        }
        if resting.len() < IDLE && !connection.requests.is_closed() {
            resting.push(Resting {
                connection,
                is_stale: false,
            });
        }
    }

    /// The connection that was used last, so that those which are not needed come to rest.
    fn take(&self) -> Option<Connection> {
        let mut resting = self.resting();
        let last = resting
            .iter()
            .rposition(|one| one.connection.requests.is_ready())?;
        Some(resting.remove(last).connection)
    }

    fn close_stale(&self) {
        self.resting()
            .retain_mut(|one| !std::mem::replace(&mut one.is_stale, true));
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{Client, Guard, SystemResolver, Target};

    async fn answer(stream: &mut TcpStream) {
        assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
        let answer = b"HTTP/1.1 204 Fine\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_of_which_nothing_was_written_goes_over_another_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            answer(&mut first).await;
            assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
            let (mut second, _) = listener.accept().await.unwrap();
            answer(&mut second).await;
        });
        let client = Client::new(Guard::default(), Arc::new(SystemResolver));
        let target = Target::parse(&format!("http://{address}/")).unwrap();
        let origin = Arc::clone(target.place());
        let connections = Connections::new(origin, vec![address], Arc::clone(client.tls()));
        let (_, connection) = connections.send(Request::default()).await.unwrap();
        connections.keep(connection);
        // It ends before it hears of the next request, and looks well until then.
        let driver = connections.resting()[0].connection.driver.clone();
        driver.abort();
        let (response, _) = connections.send(Request::default()).await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        serving.await.unwrap();
    }
}
