//! All routes of the program, put together.

use axum::Router;
use claviger_edge::{Core, wrap};

use crate::health;

/// The program's routes behind the layers that all of them share; `extra` are a test bed's own.
pub fn assemble(core: &Core, extra: Router) -> Router {
    let routes = Router::new()
        .merge(health::router(core.clone()))
        .merge(extra);
    wrap(core, routes)
}
