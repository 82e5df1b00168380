//! All routes of the program, put together.

use std::sync::Arc;

use axum::Router;
use claviger_edge::{Core, wrap};
use claviger_store::sealing::MasterKey;

/// What the routes need.
#[derive(Debug)]
pub struct Parts {
    /// The database, the verifier, the time, randomness.
    pub core: Core,
    /// What secrets are sealed under.
    pub master: Arc<MasterKey>,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Routes besides the program's own; none but in a test bed.
    pub extra: Router,
}

/// The program's routes behind the layers that all of them share.
pub fn assemble(parts: Parts) -> Router {
    let Parts { core, extra, .. } = parts;
    let routes = Router::new()
        .merge(claviger_api::router(&core))
        .merge(extra);
    wrap(&core, routes)
}
