//! `GET /log`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_domain::date;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_edge::permission::LogsRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::call_log::{self, Call};

use super::described::{CallFilters, PageParameters};
use super::list_connected_accounts::number;
use super::query::{Listing, Parameters, foreign_cursor};
use super::wire::{CallBody, ListBody};
use crate::cursor::{CURSOR, CursorKey, LIMIT};
use crate::gateway::Gateway;
use crate::page::{DEFAULT_LIMIT, MAX_LIMIT};

/// What the log is filtered by; its cursors are bound to it.
const FILTERS: [&str; 6] = [
    "log_type",
    "created_at[gt]",
    "created_at[lt]",
    "mcp_server_id",
    "tool_name",
    "status",
];

/// List calls
///
/// Answers the calls of tools of the connected accounts that you may see, the latest first; never what they were called
/// with. What was answered before this was asked is in it. Kept for 30 days unless the operator says otherwise.
#[utoipa::path(get, path = "/log", operation_id = "listCalls", tag = "calls",
    params(CallFilters, PageParameters),
    responses((status = 200, description = "The calls.", body = ListBody<CallBody>)))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<LogsRead>,
    parameters: Parameters,
) -> Result<Json<ListBody<CallBody>>, ApiError> {
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
    let (of, filters) = (caller.actor.describe(), parameters.filters(&FILTERS));
    let listing = Listing {
        of: &of,
        name: "log",
        filters: &filters,
    };
    let cursors = &gateway.keys.cursors;
    let before = match parameters.text(CURSOR) {
        None => None,
        Some(text) => Some(read_cursor(cursors, listing, text).ok_or_else(foreign_cursor)?),
    };
    // What was answered before this was asked is in the answer.
    gateway.log.lines_written().await;
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
    let last = calls.last().filter(|_| is_cut);
    let next = last.map(|last| write_cursor(cursors, listing, last));
    let shown = calls.iter().map(Into::into);
    Ok(Json(ListBody::of(shown, (next, None))))
}

fn read_filter(parameters: &Parameters) -> Result<call_log::Filter, ApiError> {
    let log_type = parameters.filter("log_type")?;
    if log_type
        .as_deref()
        .is_some_and(|kind| kind != "mcp" && kind != "proxy")
    {
        return Err(ApiError::field("log_type", "must be `mcp` or `proxy`"));
    }
    let instant = |name: &str| match parameters.filter(name)? {
        None => Ok(None),
        Some(text) => date::parse(&text)
            .map(Some)
            .ok_or_else(|| ApiError::field(name, format!("must be {}", date::ACCEPTED))),
    };
    let status = match parameters.filter("status")? {
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
        mcp_server_id: parameters.filter("mcp_server_id")?,
        tool_name: parameters.filter("tool_name")?,
        status,
    })
}

/// A place in the log: an instant, and which of its calls.
fn write_cursor(key: &CursorKey, listing: Listing<'_>, last: &Call) -> String {
    let place = format!("{} {}", last.at.as_micros(), last.id);
    key.seal_place(listing.binding(), place.as_bytes())
}

fn read_cursor(key: &CursorKey, listing: Listing<'_>, text: &str) -> Option<(Timestamp, String)> {
    let place = key.open_place(listing.binding(), text).ok()?;
    let (at, id) = std::str::from_utf8(&place).ok()?.split_once(' ')?;
    let id = Id::<id::Call>::parse(id)?;
    Some((Timestamp::from_micros(at.parse().ok()?), id.to_string()))
}
