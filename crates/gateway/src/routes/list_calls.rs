//! `GET /log`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_domain::date;
use claviger_domain::time::Timestamp;
use claviger_edge::permission::LogsRead;
use claviger_edge::{ApiError, Caller, ErrorCode};
use claviger_store::call_log::{self, Call};
use serde_json::Value;

use super::list_connected_accounts::number;
use super::query::Parameters;
use super::wire;
use crate::cursor::{CURSOR, LIMIT};
use crate::gateway::Gateway;
use crate::page::{DEFAULT_LIMIT, MAX_LIMIT};

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<LogsRead>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let filter = read_filter(&parameters)?;
    let limit = match parameters.text(LIMIT) {
        None => DEFAULT_LIMIT,
        Some(text) => {
            let limit = text.parse::<u64>().ok().filter(|limit| *limit > 0);
            let must = "must be a whole number above 0";
            limit
                .ok_or_else(|| ApiError::field(LIMIT, must))?
                .min(MAX_LIMIT)
        }
    };
    let before = parameters.text(CURSOR).map(read_cursor).transpose()?;
    // One more than asked for tells whether there is another page.
    let mut calls = call_log::list(
        &gateway.core.db,
        &caller.reach,
        &filter,
        before.as_ref(),
        number(limit + 1),
    )
    .await?;
    let is_cut = calls.len() as u64 > limit;
    if is_cut {
        calls.pop();
    }
    let next = calls.last().filter(|_| is_cut).map(write_cursor);
    Ok(Json(wire::list(calls.iter().map(wire::call), (next, None))))
}

fn read_filter(parameters: &Parameters) -> Result<call_log::Filter, ApiError> {
    let text = |name: &str| parameters.text(name).map(str::to_owned);
    let log_type = text("log_type");
    if log_type
        .as_deref()
        .is_some_and(|kind| kind != "mcp" && kind != "proxy")
    {
        return Err(ApiError::field("log_type", "must be `mcp` or `proxy`"));
    }
    let instant = |name: &str| match parameters.text(name) {
        None => Ok(None),
        Some(text) => date::parse(text)
            .map(Some)
            .ok_or_else(|| ApiError::field(name, format!("must be {}", date::ACCEPTED))),
    };
    let status = match parameters.text("status") {
        None => None,
        Some(text) => {
            let status = text.parse().ok();
            Some(status.ok_or_else(|| ApiError::field("status", "must be an HTTP status"))?)
        }
    };
    Ok(call_log::Filter {
        log_type,
        after: instant("created_at[gt]")?,
        before: instant("created_at[lt]")?,
        mcp_server_id: text("mcp_server_id"),
        tool_name: text("tool_name"),
        status,
    })
}

/// A place in the log. It says nothing that the answer does not, and what it leads to is within the
/// caller's reach, so that it needs no seal.
fn write_cursor(last: &Call) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", last.at.as_micros(), last.id))
}

fn read_cursor(text: &str) -> Result<(Timestamp, String), ApiError> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, id) = text.split_once(' ')?;
        Some((Timestamp::from_micros(at.parse().ok()?), id.to_owned()))
    };
    read().ok_or_else(|| {
        ApiError::new(
            ErrorCode::InvalidCursor,
            "next_cursor is not one that the log gave",
        )
    })
}
