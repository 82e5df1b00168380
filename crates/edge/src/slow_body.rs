//! Bodies that do not arrive in time: a client may hold a connection, not a request.

use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, HttpBody};
use futures::stream;
use http_body_util::BodyExt;
use tokio::time::sleep;

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
    let begun = (body, Box::pin(sleep(PATIENCE)));
    Body::from_stream(stream::try_unfold(begun, async |(mut body, mut over)| {
        let frame = tokio::select! {
            biased;
            () = &mut over => return Err(BoxError::from(TooSlow)),
            frame = body.frame() => frame,
        };
        // Trailers are of no use here.
        match frame.transpose().map_err(axum::Error::into_inner)? {
            Some(frame) => Ok(Some((frame.into_data().unwrap_or_default(), (body, over)))),
            None => Ok(None),
        }
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};
    use futures::StreamExt;
    use tokio::time::timeout;

    use super::*;

    const HALF: Result<Bytes, BoxError> = Ok(Bytes::from_static(b"half"));
    const ONE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_in_time_is_an_error() {
        let chunks = stream::iter([HALF]).chain(stream::pending());
        let reading = to_bytes(in_time(Body::from_stream(chunks)), 100);
        let error = timeout(PATIENCE + ONE, reading).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("in time"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_bit_by_bit_has_no_more_time() {
        let chunks = stream::unfold((), async |()| {
            sleep(ONE * 9).await;
            Some((HALF, ()))
        });
        let body = Body::from_stream(chunks);
        assert!(to_bytes(in_time(body), usize::MAX).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_time_arrives_whole() {
        let late = stream::once(async {
            sleep(PATIENCE.saturating_sub(ONE)).await;
            HALF
        });
        let body = Body::from_stream(stream::iter([HALF]).chain(late));
        assert_eq!(to_bytes(in_time(body), 100).await.unwrap(), "halfhalf");
        assert_eq!(to_bytes(in_time(Body::empty()), 100).await.unwrap(), "");
    }
}
