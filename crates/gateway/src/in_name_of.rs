//! In whose name a call is made.

use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::rights::Rights;
use claviger_domain::time::Timestamp;
use claviger_verify::Network;

/// Who answers for a call, and what they all hold.
#[derive(Debug, Clone)]
pub(crate) struct InNameOf {
    /// Who made the MCP server, or who calls the proxy.
    pub(crate) maker: Actor,
    /// The MCP server, where the call came through one.
    pub(crate) server: Option<Id<id::McpServer>>,
    /// What the maker and, where there is one, the second credential hold.
    pub(crate) rights: Arc<Rights>,
    /// The earliest end of server, maker and second credential; none: never.
    pub(crate) ends_at: Option<Timestamp>,
    /// The access keys among maker and second credential.
    pub(crate) keys: Vec<Id<id::AccessKey>>,
    /// The network that the call comes from, where that is known.
    pub(crate) network: Option<Network>,
}
