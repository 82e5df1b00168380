//! Turns at the database: a crowd of one account's requests does not hold up those of others.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::{ApiError, Core, Identity};

/// Which requests of a surface work at the database.
#[derive(Clone, Debug)]
pub struct TakesTurns {
    /// The shared parts of the program.
    pub core: Core,
    /// Templates of the routes that rarely ask it, and take their turn when they do.
    pub but: &'static [&'static str],
}

/// A layer that runs after [`identify`](crate::identify) and holds a turn while a request is
/// answered. A request of nobody known takes none: it is refused before it needs one.
pub async fn take_turn(State(taking): State<TakesTurns>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let is_exempt = route.is_some_and(|route| taking.but.contains(&route.as_str()));
    let identity = request.extensions().get::<Identity>();
    let Some(party) = identity.filter(|_| !is_exempt).map(Identity::party) else {
        return next.run(request).await;
    };
    match taking.core.verifier.turn(&party).await {
        Ok(turn) => {
            let response = next.run(request).await;
            drop(turn);
            response
        }
        Err(crowded) => ApiError::from(crowded).into_response(),
    }
}
