//! What a program's tools call, which a test may put something else in the place of.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use tower::ServiceExt;

/// The place in which the local upstream stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upstream(Arc<Mutex<Router>>);

impl Upstream {
    /// Takes `local` in, and gives what stands for it from now on.
    pub(crate) fn stand_before(&self, local: Router) -> Router {
        self.change(|_| local);
        let place = self.clone();
        Router::new().fallback(async move |request: Request| place.now().oneshot(request).await)
    }

    pub(crate) fn change(&self, make: impl FnOnce(Router) -> Router) {
        let changed = make(self.now());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = changed;
    }

    fn now(&self) -> Router {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.clone()
    }
}
