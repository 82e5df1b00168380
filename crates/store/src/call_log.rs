//! The log of calls through the gateway: what was called and what it came to, never values.
//!
//! Its lines are kept in blocks: those of one family of accounts that began about the same time and were
//! written together are one row, which costs little more than one of them would.

mod blocks;
mod listing;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

pub use self::blocks::append;
pub use self::listing::{Filter, list};
use crate::db::Cell;
use crate::hexadecimal::bytes_of;

/// One call of a tool. A block has it as a list of these values, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Call {
    /// Its id, `cal_…`.
    #[serde(deserialize_with = "stored_id")]
    pub id: Id<id::Call>,
    /// When it began.
    #[serde(deserialize_with = "stored_instant")]
    pub at: Timestamp,
    /// The account whose tools were called.
    #[serde(deserialize_with = "stored_id")]
    pub account_id: Id<id::Account>,
    /// That account's parent, or that account.
    #[serde(deserialize_with = "stored_id")]
    pub root_account_id: Id<id::Account>,
    /// The project that the connected account belongs to.
    pub project_id: Option<String>,
    /// `mcp` or `proxy`.
    pub log_type: String,
    /// The connected account.
    #[serde(deserialize_with = "stored_id")]
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
    #[serde(deserialize_with = "stored_bytes")]
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

impl Call {
    /// Its values in the order of its members.
    fn cells(&self) -> [Cell<'_>; 21] {
        [
            self.id.as_str().into(),
            self.at.as_micros().into(),
            self.account_id.as_str().into(),
            self.root_account_id.as_str().into(),
            self.project_id.as_deref().into(),
            self.log_type.as_str().into(),
            self.connected_account_id.as_str().into(),
            self.mcp_server_id.as_deref().into(),
            self.tool_name.as_str().into(),
            self.resource.as_str().into(),
            self.method.as_str().into(),
            self.client_name.as_deref().into(),
            self.client_version.as_deref().into(),
            self.status.into(),
            self.upstream_status.into(),
            self.duration_us.into(),
            self.upstream_duration_us.into(),
            self.request_id.as_str().into(),
            self.argument_names.as_str().into(),
            Cell::Bytes(&self.arguments_digest),
            Cell::Flag(self.is_dry_run),
        ]
    }
}

/// A line of the log on its way in: a call as its block has it, and where it is looked for.
#[derive(Clone, Debug)]
pub struct Line {
    /// The call's id.
    pub id: Id<id::Call>,
    /// When it began.
    pub at: Timestamp,
    /// The account whose tools were called, with its root.
    pub account: AccountRef,
    server: Option<Id<id::McpServer>>,
    text: String,
}

impl From<&Call> for Line {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id.clone(),
            at: call.at,
            account: call.account(),
            server: call.mcp_server_id.as_deref().map(Id::from_trusted),
            text: serde_json::to_string(&call.cells()).expect("texts and numbers are JSON"),
        }
    }
}

fn stored_id<'de, K, D: Deserializer<'de>>(value: D) -> Result<Id<K>, D::Error> {
    String::deserialize(value).map(Id::from)
}

fn stored_instant<'de, D: Deserializer<'de>>(value: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(value).map(Timestamp::from_micros)
}

fn stored_bytes<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<u8>, D::Error> {
    let digits = String::deserialize(value)?;
    let wrong = || D::Error::invalid_value(Unexpected::Other("text"), &"hexadecimal digits");
    bytes_of(&digits).ok_or_else(wrong)
}
