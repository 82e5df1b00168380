//! Room for the bodies of imports: they are large, and those that wait for the database hold theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use claviger_edge::{ApiError, ErrorCode};
use claviger_store::Asker;
use http::{HeaderValue, Method, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// MiB that the body of an import may have: a thousand keys, each with as much metadata as is taken.
pub(crate) const LARGEST_IMPORT_MIB: usize = 32;
/// MiB of bodies that are there at once for one asker: 64 ordinary imports, or two of the largest. What
/// becomes of a body takes some times as much.
const ROOM_MIB: usize = 2 * LARGEST_IMPORT_MIB;
/// How long somebody waits for room. Their body, of which nothing is read until then, has to arrive in a
/// time that has begun.
const PATIENCE: Duration = Duration::from_secs(10);
/// Askers without imports who are remembered, at most.
const REMEMBERED: usize = 64;

/// How much room each asker has left.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImportRooms(Arc<Mutex<HashMap<Asker, Arc<Semaphore>>>>);

/// Room for one body, until the import is done or given up.
#[derive(Clone, Debug)]
pub(crate) struct ImportRoom {
    _held: Arc<OwnedSemaphorePermit>,
}

/// A layer that has an import wait for room before anything of its body is read.
pub(crate) async fn wait_for_room(
    State(rooms): State<ImportRooms>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let is_import = route.is_some_and(|route| route.as_str() == "/api-keys/import");
    if !is_import || request.method() != Method::POST {
        return next.run(request).await;
    }
    let room = match rooms.take_in_time(&Asker::current(), mib(&request)).await {
        Ok(room) => room,
        Err(error) => return error.into_response(),
    };
    // The import itself holds it: it may go on when whoever asked has gone away.
    request.extensions_mut().insert(room);
    next.run(request).await
}

/// What the body has, in whole MiB; the most that is taken where it does not say.
fn mib(request: &Request) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    length.map_or(LARGEST_IMPORT_MIB, |length| {
        length.div_ceil(1_024 * 1_024).clamp(1, LARGEST_IMPORT_MIB)
    })
}

impl ImportRooms {
    async fn take_in_time(&self, asker: &Asker, mib: usize) -> Result<ImportRoom, ApiError> {
        timeout(PATIENCE, self.take(asker, mib)).await.map_err(|_| {
            let message = "Other imports of yours are under way, try again";
            let retry = (header::RETRY_AFTER, HeaderValue::from_static("1"));
            ApiError::new(ErrorCode::TooBusy, message).with_headers([retry])
        })
    }

    async fn take(&self, asker: &Asker, mib: usize) -> ImportRoom {
        let room = {
            let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if rooms.len() > REMEMBERED {
                rooms.retain(|_, room| Arc::strong_count(room) > 1);
            }
            let room = rooms.entry(asker.clone());
            Arc::clone(room.or_insert_with(|| Arc::new(Semaphore::new(ROOM_MIB))))
        };
        let mib = u32::try_from(mib).expect("the largest body is small");
        let held = room.acquire_many_owned(mib).await;
        ImportRoom {
            _held: Arc::new(held.expect("no room is ever closed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use claviger_domain::id::Id;
    use futures::FutureExt;

    use super::*;

    #[test]
    fn bodies_of_one_asker_have_so_much_room_and_those_of_others_their_own() {
        let rooms = ImportRooms::default();
        let [one, other] = ["a", "b"].map(|name| Asker::Family(Id::from_trusted(name)));
        let take = |asker, mib| rooms.take(asker, mib).now_or_never();
        let largest = take(&one, LARGEST_IMPORT_MIB);
        let small: Vec<_> = (0..LARGEST_IMPORT_MIB).map(|_| take(&one, 1)).collect();
        assert!(largest.is_some() && small.iter().all(Option::is_some));
        assert!(take(&one, 1).is_none());
        assert!(take(&other, LARGEST_IMPORT_MIB).is_some());
        drop(small);
        assert!(take(&one, LARGEST_IMPORT_MIB).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_again() {
        let rooms = ImportRooms::default();
        let _held = rooms.take(&Asker::current(), ROOM_MIB).await;
        let refused = rooms.take_in_time(&Asker::current(), 1).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::TooBusy);
    }

    #[test]
    fn askers_are_forgotten_when_they_import_nothing() {
        let rooms = ImportRooms::default();
        for number in 0..1_000 {
            let asker = Asker::Family(Id::from_trusted(number.to_string()));
            rooms.take(&asker, 1).now_or_never().unwrap();
        }
        assert!(rooms.0.lock().unwrap().len() <= REMEMBERED + 1);
    }
}
