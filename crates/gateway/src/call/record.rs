//! The log line of a call. It is begun before anything can fail, and written also when the client goes
//! away and the call with it.

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, Core, ErrorCode};
use claviger_store::call_log;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::mcp_servers::McpServer;
use http::StatusCode;
use serde_json::{Map, json};

use super::Call;
use crate::call_log::CallLog;
use crate::gateway::Gateway;
use crate::mcp::{Client, Wanted};
use crate::refusals::Refusals;

/// Nobody waits for the answer any more. No standard names this status; logs of web servers do.
const CLIENT_GONE: i64 = 499;

/// Bytes of the names of arguments that a line has.
const LONGEST_NAMES: usize = 4 * 1_024;

/// The door of MCP servers.
const MCP: &str = "mcp";

/// What a log line says from the beginning.
pub(super) struct Line<'a> {
    pub(super) connected: &'a ConnectedAccount,
    pub(super) server: Option<&'a Id<id::McpServer>>,
    pub(super) request_id: String,
    pub(super) client: Option<Client>,
    pub(super) tool_name: String,
    pub(super) resource: String,
    pub(super) method: String,
    pub(super) argument_names: Vec<String>,
    pub(super) digest: Vec<u8>,
    pub(super) dry_run: bool,
    /// Whether what is called has effects.
    pub(super) has_effects: bool,
}

/// A log line that is being made.
pub(super) struct Record {
    core: Core,
    log: CallLog,
    refusals: Refusals,
    line: Option<Box<call_log::Call>>,
    /// Whether it is to be written before the call is answered.
    is_waited_for: bool,
    upstream_began: Option<Timestamp>,
}

impl Record {
    pub(super) fn begin(gateway: &Gateway, call: &Call<'_>) -> Self {
        let asked = &call.asked;
        let tool = asked.wanted.tool();
        // Names that the tool does not have may be anything, also a secret in the wrong place.
        let is_known = |name: &str| match &asked.wanted {
            Wanted::Tool(tool) => tool.schemas.input["properties"].get(name).is_some(),
            Wanted::Own(own) => own.arguments.contains(&name),
        };
        let names = asked.arguments.keys().filter(|name| is_known(name));
        let line = Line {
            connected: call.connected,
            server: call.server,
            request_id: call.request_id.clone(),
            client: asked.client.clone(),
            // The full name, whichever name the server shows: one filter finds all calls of a tool.
            tool_name: match &asked.wanted {
                Wanted::Tool(tool) => tool.name.clone(),
                Wanted::Own(own) => own.name.clone(),
            },
            resource: tool.map(|tool| tool.resource.clone()).unwrap_or_default(),
            method: tool.map(|tool| tool.method.clone()).unwrap_or_default(),
            argument_names: told(names),
            digest: gateway.keys.arguments.digest(&asked.arguments).to_vec(),
            dry_run: call.dry_run,
            has_effects: tool.is_some_and(|tool| !tool.read_only),
        };
        Self::of(gateway, line)
    }

    /// Begins a line of whatever is called.
    pub(super) fn of(gateway: &Gateway, line: Line<'_>) -> Self {
        let core = gateway.core.clone();
        let client = line.client;
        let is_waited_for = line.has_effects && !line.dry_run;
        let at = core.now();
        // In the order of time: of the index of ids the last page is written, and not one for each call.
        let line = call_log::Call {
            id: Id::<id::Call>::draw_at(at, &*core.random),
            at,
            account_id: line.connected.account.id.clone(),
            root_account_id: line.connected.account.root.clone(),
            project_id: line.connected.project.as_ref().map(ToString::to_string),
            log_type: match line.server {
                Some(_) => MCP.to_owned(),
                None => "proxy".to_owned(),
            },
            connected_account_id: line.connected.id.clone(),
            mcp_server_id: line.server.map(ToString::to_string),
            tool_name: line.tool_name,
            resource: line.resource,
            method: line.method,
            client_version: client.as_ref().and_then(|client| client.version.clone()),
            client_name: client.map(|client| client.name),
            status: CLIENT_GONE,
            upstream_status: None,
            duration_us: 0,
            upstream_duration_us: None,
            request_id: line.request_id,
            argument_names: serde_json::to_string(&line.argument_names).expect("texts are JSON"),
            arguments_digest: line.digest,
            is_dry_run: line.dry_run,
        };
        Self {
            core,
            log: gateway.log.clone(),
            refusals: gateway.refusals.clone(),
            line: Some(Box::new(line)),
            is_waited_for,
            upstream_began: None,
        }
    }

    /// The request is about to be sent. One with effects is refused while the log cannot be written.
    pub(super) fn upstream_begins(&mut self) -> Result<(), ApiError> {
        if self.is_waited_for && self.log.is_behind() {
            let message = "the log of calls cannot be written now, and nothing is changed without it: try again";
            let error = ApiError::new(ErrorCode::DatabaseUnavailable, message);
            return Err(error.with_retry_after(1));
        }
        self.upstream_began = Some(self.core.now());
        Ok(())
    }

    pub(super) fn upstream_ends(&mut self, status: StatusCode) {
        let now = self.core.now();
        if let Some(line) = &mut self.line {
            line.upstream_status = Some(i64::from(status.as_u16()));
            line.upstream_duration_us = self.upstream_began.map(|began| now.micros_since(began));
        }
    }

    /// Has the line written, with the status that the call came to; not that of one refused call after
    /// another. Of what had effects it is there when this completes: nobody is told of them before the log
    /// has them. Other lines come soon.
    pub(super) async fn end(mut self, status: StatusCode) {
        if let Some(line) = &mut self.line {
            line.status = i64::from(status.as_u16());
            self.log.room(&line.root_account_id).await;
        }
        let Some(line) = self.taken() else {
            return;
        };
        let is_refused = status.is_client_error() || status.is_server_error();
        let called = line.mcp_server_id.as_deref();
        let called = called.unwrap_or(line.connected_account_id.as_str());
        let reached_nothing = line.upstream_status.is_none();
        if !(is_refused && reached_nothing) || self.refusals.has_line(called, line.at) {
            let number = self.log.begin(&line, self.is_waited_for);
            if self.is_waited_for {
                self.log.is_written(number).await;
            }
        }
    }

    fn taken(&mut self) -> Option<Box<call_log::Call>> {
        let mut line = self.line.take()?;
        line.duration_us = self.core.now().micros_since(line.at);
        let traffic = &self.core.traffic;
        traffic.tool_called(line.status, line.duration_us);
        Some(line)
    }
}

/// Names as far as a line has room for them: a tool may have any number of arguments.
fn told<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names = names.peekable();
    let (mut told, mut bytes) = (Vec::new(), 0);
    while let Some(name) = names.next_if(|name| bytes + name.len() <= LONGEST_NAMES) {
        bytes += name.len();
        told.push(name.clone());
    }
    let left = names.count();
    if left > 0 {
        told.push(format!("… and {left} more"));
    }
    told
}

impl Gateway {
    /// Logs a request to a live server that is refused before its body is read.
    pub(crate) async fn log_refused(
        &self,
        server: &McpServer,
        client: Option<Client>,
        request_id: String,
        status: StatusCode,
    ) {
        let now = self.core.now();
        if !self.refusals.has_line(server.id.as_str(), now) {
            return;
        }
        let client_version = client.as_ref().and_then(|client| client.version.clone());
        let line = call_log::Call {
            id: Id::<id::Call>::draw_at(now, &*self.core.random),
            at: now,
            account_id: server.account.id.clone(),
            root_account_id: server.account.root.clone(),
            project_id: server.project_id.clone(),
            log_type: MCP.to_owned(),
            connected_account_id: server.connected_account_id.clone(),
            mcp_server_id: Some(server.id.to_string()),
            tool_name: String::new(),
            resource: String::new(),
            method: String::new(),
            client_version,
            client_name: client.map(|client| client.name),
            status: i64::from(status.as_u16()),
            upstream_status: None,
            duration_us: 0,
            upstream_duration_us: None,
            request_id,
            argument_names: json!([]).to_string(),
            arguments_digest: self.keys.arguments.digest(&Map::new()).to_vec(),
            is_dry_run: false,
        };
        self.log.room(&line.root_account_id).await;
        self.log.begin(&line, false);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(line) = self.taken() {
            self.log.begin(&line, self.is_waited_for);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_so_many_names_and_how_many_more_there_are() {
        let names: Vec<String> = (0..2_000).map(|number| format!("{number:04}")).collect();
        assert_eq!(told(names[..1_024].iter()), names[..1_024]);
        let told = told(names.iter());
        assert_eq!(told[..1_024], names[..1_024]);
        assert_eq!(told[1_024..], ["… and 976 more"]);
    }
}
