//! Bodies that do not arrive in time: a client may hold a connection, not a request.

use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, HttpBody};
use futures::stream;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// How long a whole body may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct TooSlow;

/// Gives a body [`PATIENCE`] from now on; then reading it fails.
pub(crate) fn in_time(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let over = Instant::now() + PATIENCE;
    Body::from_stream(stream::try_unfold(body, move |mut body| async move {
        match timeout_at(over, body.frame()).await {
            Err(_) => Err(BoxError::from(TooSlow)),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(error.into_inner()),
            // Trailers are of no use here.
            Ok(Some(Ok(frame))) => Ok(Some((frame.into_data().unwrap_or_default(), body))),
        }
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};
    use futures::StreamExt;

    use super::*;

    fn chunk() -> Result<Bytes, BoxError> {
        Ok(Bytes::from_static(b"half"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_in_time_is_an_error() {
        let chunks = stream::iter([chunk()]).chain(stream::pending());
        let begun = Instant::now();
        let error = to_bytes(in_time(Body::from_stream(chunks)), 100).await;
        assert!(error.unwrap_err().into_inner().is::<TooSlow>());
        assert_eq!(begun.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_bit_by_bit_has_no_more_time() {
        let chunks = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(9)).await;
            Some((chunk(), ()))
        });
        let body = Body::from_stream(chunks);
        assert!(to_bytes(in_time(body), usize::MAX).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_time_arrives_whole() {
        let late = stream::once(async {
            tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
            chunk()
        });
        let body = Body::from_stream(stream::iter([chunk()]).chain(late));
        assert_eq!(to_bytes(in_time(body), 100).await.unwrap(), "halfhalf");
        assert_eq!(to_bytes(in_time(Body::empty()), 100).await.unwrap(), "");
    }
}
