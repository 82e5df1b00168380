//! `GET /integrated-account`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::{Page, connected_accounts};
use serde_json::Value;

use super::query::{Listing, Parameters};
use super::wire;
use crate::gateway::Gateway;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let filters = parameters.filters(&["tenant_id", "integration", "status"]);
    let of = caller.actor.describe();
    let listing = Listing {
        of: &of,
        name: "integrated-account",
        filters: &filters,
    };
    let window = parameters.window(&gateway, listing)?;
    let text = |name: &str| parameters.text(name).map(str::to_owned);
    let filter = connected_accounts::Filter {
        tenant_id: text("tenant_id"),
        integration: text("integration"),
        status: text("status"),
    };
    let page = Page::first(number(window.limit), number(window.offset));
    let (rows, total) =
        connected_accounts::list(&gateway.core.db, &caller.reach, &filter, &page).await?;
    let cursors = listing.cursors(&gateway, window, rows.len(), total);
    Ok(Json(wire::list(
        rows.iter().map(wire::connected_account),
        cursors,
    )))
}

/// A count for a query; one that is too large skips or reads everything.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
