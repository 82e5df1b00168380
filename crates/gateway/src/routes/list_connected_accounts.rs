//! `GET /integrated-account`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::{Page, connected_accounts};

use super::described::{AccountFilters, PageParameters};
use super::query::{Listing, Parameters};
use super::wire::{ConnectedAccountBody, ListBody};
use crate::gateway::Gateway;

/// List connected accounts
///
/// Answers the connected accounts that you may see, the oldest first; never their credentials.
#[utoipa::path(get, path = "/integrated-account", operation_id = "listConnectedAccounts",
    tag = "connected_accounts",
    params(AccountFilters, PageParameters),
    responses((status = 200, description = "The connected accounts.", body = ListBody<ConnectedAccountBody>)))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    parameters: Parameters,
) -> Result<Json<ListBody<ConnectedAccountBody>>, ApiError> {
    let filters = parameters.filters(&["tenant_id", "integration", "status"]);
    let of = caller.actor.describe();
    let listing = Listing {
        of: &of,
        name: "integrated-account",
        filters: &filters,
    };
    let window = parameters.window(&gateway, listing)?;
    let filter = connected_accounts::Filter {
        tenant_id: parameters.filter("tenant_id")?,
        integration: parameters.filter("integration")?,
        status: parameters.filter("status")?,
    };
    let is_status = |name: &str| connected_accounts::Status::parse(name).is_some();
    if filter
        .status
        .as_deref()
        .is_some_and(|name| !is_status(name))
    {
        let known = "must be `connecting`, `active`, `needs_reauth` or `validation_error`";
        return Err(ApiError::field("status", known));
    }
    let page = Page::first(number(window.limit), number(window.offset));
    let (rows, total) =
        connected_accounts::list(&gateway.core.db, &caller.reach, &filter, &page).await?;
    let cursors = listing.cursors(&gateway, window, rows.len(), total);
    Ok(Json(ListBody::of(rows.iter().map(Into::into), cursors)))
}

/// A count for a query; one that is too large skips or reads everything.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
