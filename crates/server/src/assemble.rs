//! All routes of the program, put together.

use std::sync::Arc;

use axum::Router;
use claviger_edge::{Core, Surface};
use claviger_gateway::gateway::StartError;
use claviger_gateway::mcp::hosts::Hosts;
use claviger_gateway::{Catalogue, Gateway, Settings};
use claviger_store::sealing::SealingKey;

use crate::metrics::Metrics;
use crate::{JobFigures, document};

/// What the routes need.
#[derive(Debug)]
pub struct Parts {
    /// The database, the verifier, the time, randomness.
    pub core: Core,
    /// What secrets are sealed under.
    pub sealing: Arc<SealingKey>,
    /// The names under which the program is reached.
    pub hosts: Hosts,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// The instance's own connectors beside the built-in one.
    pub connectors: Vec<Catalogue>,
    /// What became of the jobs that remove what is old.
    pub jobs: Arc<JobFigures>,
    /// Routes besides the program's own; none but in a test bed.
    pub extra: Router,
}

/// The program, put together.
#[derive(Debug)]
pub struct Assembled {
    /// Its routes, behind what all of them share.
    pub surface: Surface,
    /// The gateway, which has log lines to write when the program stops.
    pub gateway: Arc<Gateway>,
}

/// Puts the program together.
///
/// Fails when the built-in connector does not fit the API: no release does.
pub fn assemble(parts: Parts) -> Result<Assembled, StartError> {
    assemble_over(parts, |auth_api| auth_api)
}

/// The same, with tools that call what `upstream` makes of The Auth API: tests look at their calls
/// there, or hold them up.
pub fn assemble_over(
    parts: Parts,
    upstream: impl FnOnce(Router) -> Router,
) -> Result<Assembled, StartError> {
    let core = parts.core;
    let auth_api = claviger_api::router(&core);
    let gateway = Gateway::start(Settings {
        core: core.clone(),
        sealing: parts.sealing,
        // With its layers, which make the body of an error, and with nothing else beside it.
        auth_api: upstream(Surface::new(&core, auth_api.clone(), None).into_router()),
        // Not the whole: tools of this instance are The Auth API's.
        document: claviger_api::document().to_string().into_bytes(),
        hosts: parts.hosts,
        public_url: parts.public_url,
        connectors: parts.connectors,
    })?;
    let routes = auth_api
        .merge(claviger_gateway::router(&gateway))
        .merge(document::router(&core))
        .merge(Metrics::new(&core, parts.jobs).guarded())
        .merge(parts.extra);
    Ok(Assembled {
        surface: Surface::new(&core, routes, Some(claviger_api::SHORTCUT)),
        gateway,
    })
}
