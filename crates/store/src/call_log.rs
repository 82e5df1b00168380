//! The log of calls through the gateway: what was called and what it came to, never values.
//!
//! Its lines are kept in blocks: those of one family of accounts that began about the same time and were
//! written together are one row, which costs little more than one of them would.

mod blocks;
mod line;
mod listing;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;

pub use self::blocks::{Batch, append};
pub use self::line::Line;
pub use self::listing::{Filter, list};

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its id, `cal_…`.
    pub id: Id<id::Call>,
    /// When it began.
    pub at: Timestamp,
    /// The account whose tools were called.
    pub account_id: Id<id::Account>,
    /// That account's parent, or that account.
    pub root_account_id: Id<id::Account>,
    /// The project that the connected account belongs to.
    pub project_id: Option<String>,
    /// `mcp` or `proxy`.
    pub log_type: String,
    /// The connected account.
    pub connected_account_id: Id<id::ConnectedAccount>,
    /// The server, for a call through one.
    pub mcp_server_id: Option<String>,
    /// The tool's name.
    pub tool_name: String,
    /// The tool's resource.
    pub resource: String,
    /// The tool's method.
    pub method: String,
    /// The calling program, in its own words.
    pub client_name: Option<String>,
    /// That program's version.
    pub client_version: Option<String>,
    /// The HTTP status that the call came to.
    pub status: i64,
    /// The HTTP status that the upstream answered, if it was asked.
    pub upstream_status: Option<i64>,
    /// How long the call took, in microseconds.
    pub duration_us: i64,
    /// How long the upstream took, in microseconds.
    pub upstream_duration_us: Option<i64>,
    /// The request that it came with.
    pub request_id: String,
    /// The names of its arguments, a JSON array.
    pub argument_names: String,
    /// A keyed digest of the arguments' values.
    pub arguments_digest: Vec<u8>,
    /// Whether it was only told what it would send.
    pub is_dry_run: bool,
}

impl Call {
    /// The account with its root, as rights name it.
    pub fn account(&self) -> AccountRef {
        AccountRef {
            id: self.account_id.clone(),
            root: self.root_account_id.clone(),
        }
    }
}
