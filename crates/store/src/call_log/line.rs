//! How a block has its lines: what many calls have in common, who called what, is in it once, and a line refers
//! to that.
//!
//! `{"kinds": [[account, …], …], "lines": [[kind, id, …], …]}`, each list in the order of the members below.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

use super::Call;
use crate::StoreError;
use crate::db::Cell;
use crate::hexadecimal::bytes_of;

/// A line of the log on its way in: a call as its block has it, and where it is looked for.
#[derive(Clone, Debug)]
pub struct Line {
    /// The call's id.
    pub id: Id<id::Call>,
    /// When it began.
    pub at: Timestamp,
    /// The account whose tools were called, with its root.
    pub account: AccountRef,
    pub(super) server: Option<Id<id::McpServer>>,
    /// A list, as JSON.
    pub(super) kind: String,
    /// The same of what it has for itself, to follow the number of its kind: without the list's beginning.
    pub(super) own: String,
}

impl From<&Call> for Line {
    fn from(call: &Call) -> Self {
        let mut own = json(&own_of(call));
        own.replace_range(..1, ",");
        Self {
            id: call.id.clone(),
            at: call.at,
            account: call.account(),
            server: call.mcp_server_id.as_deref().map(Id::from_trusted),
            kind: json(&kind_of(call)),
            own,
        }
    }
}

fn json(cells: &[Cell<'_>]) -> String {
    serde_json::to_string(cells).expect("texts and numbers are JSON")
}

fn kind_of(call: &Call) -> [Cell<'_>; 12] {
    [
        call.account_id.as_str().into(),
        call.root_account_id.as_str().into(),
        call.project_id.as_deref().into(),
        call.log_type.as_str().into(),
        call.connected_account_id.as_str().into(),
        call.mcp_server_id.as_deref().into(),
        call.tool_name.as_str().into(),
        call.resource.as_str().into(),
        call.method.as_str().into(),
        call.client_name.as_deref().into(),
        call.client_version.as_deref().into(),
        call.argument_names.as_str().into(),
    ]
}

/// What many calls have in common.
#[derive(Deserialize)]
pub(super) struct Kind {
    #[serde(deserialize_with = "stored_id")]
    pub(super) account_id: Id<id::Account>,
    #[serde(deserialize_with = "stored_id")]
    pub(super) root_account_id: Id<id::Account>,
    pub(super) project_id: Option<String>,
    pub(super) log_type: String,
    #[serde(deserialize_with = "stored_id")]
    connected_account_id: Id<id::ConnectedAccount>,
    pub(super) mcp_server_id: Option<String>,
    pub(super) tool_name: String,
    resource: String,
    method: String,
    client_name: Option<String>,
    client_version: Option<String>,
    argument_names: String,
}

fn own_of(call: &Call) -> [Cell<'_>; 9] {
    [
        call.id.as_str().into(),
        call.at.as_micros().into(),
        call.status.into(),
        call.upstream_status.into(),
        call.duration_us.into(),
        call.upstream_duration_us.into(),
        call.request_id.as_str().into(),
        Cell::Bytes(&call.arguments_digest),
        Cell::Flag(call.is_dry_run),
    ]
}

/// What a call has for itself.
#[derive(Deserialize)]
pub(super) struct Own {
    kind: usize,
    #[serde(deserialize_with = "stored_id")]
    pub(super) id: Id<id::Call>,
    #[serde(deserialize_with = "stored_instant")]
    pub(super) at: Timestamp,
    pub(super) status: i64,
    upstream_status: Option<i64>,
    duration_us: i64,
    upstream_duration_us: Option<i64>,
    request_id: String,
    #[serde(deserialize_with = "stored_bytes")]
    arguments_digest: Vec<u8>,
    is_dry_run: bool,
}

impl Own {
    fn of(self, kind: &Kind) -> Call {
        Call {
            id: self.id,
            at: self.at,
            account_id: kind.account_id.clone(),
            root_account_id: kind.root_account_id.clone(),
            project_id: kind.project_id.clone(),
            log_type: kind.log_type.clone(),
            connected_account_id: kind.connected_account_id.clone(),
            mcp_server_id: kind.mcp_server_id.clone(),
            tool_name: kind.tool_name.clone(),
            resource: kind.resource.clone(),
            method: kind.method.clone(),
            client_name: kind.client_name.clone(),
            client_version: kind.client_version.clone(),
            status: self.status,
            upstream_status: self.upstream_status,
            duration_us: self.duration_us,
            upstream_duration_us: self.upstream_duration_us,
            request_id: self.request_id,
            argument_names: kind.argument_names.clone(),
            arguments_digest: self.arguments_digest,
            is_dry_run: self.is_dry_run,
        }
    }
}

#[derive(Deserialize)]
struct Stored {
    kinds: Vec<Kind>,
    lines: Vec<Own>,
}

/// The calls of a block that are of a kind that is wanted, and are wanted themselves.
pub(super) fn calls(
    lines: &str,
    is_kind_wanted: impl Fn(&Kind) -> bool,
    is_wanted: impl Fn(&Own) -> bool,
) -> Result<Vec<Call>, StoreError> {
    const WRONG: StoreError = StoreError::Row {
        table: "call_blocks",
        what: "its lines are not lists of a call's values",
    };
    let Stored { kinds, lines } = serde_json::from_str(lines).map_err(|_| WRONG)?;
    let are_wanted: Vec<bool> = kinds.iter().map(is_kind_wanted).collect();
    let mut calls = Vec::new();
    for line in lines {
        let kind = line.kind;
        if *are_wanted.get(kind).ok_or(WRONG)? && is_wanted(&line) {
            calls.push(line.of(&kinds[kind]));
        }
    }
    Ok(calls)
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
