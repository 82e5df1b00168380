//! `GET /integration`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectorsRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::{Page, connectors};

use super::described::PageParameters;
use super::list_connected_accounts::number;
use super::query::{Listing, Parameters};
use super::wire::{ConnectorBody, ListBody};
use crate::gateway::Gateway;

/// List connectors
///
/// Answers the connectors of this instance first, which all accounts have, then those of the accounts that you may see,
/// and those of the account above them that yours uses.
#[utoipa::path(get, path = "/integration", operation_id = "listConnectors", tag = "connectors",
    params(PageParameters),
    responses((status = 200, description = "The connectors.", body = ListBody<ConnectorBody>)))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsRead>,
    parameters: Parameters,
) -> Result<Json<ListBody<ConnectorBody>>, ApiError> {
    let (of, filters) = (caller.actor.describe(), parameters.filters(&[]));
    let listing = Listing {
        of: &of,
        name: "integration",
        filters: &filters,
    };
    let window = parameters.window(&gateway, listing)?;
    let own = gateway.own();
    let skipped = usize::try_from(window.offset).unwrap_or(usize::MAX);
    let most = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let shown_own: Vec<_> = own.iter().skip(skipped).take(most).collect();
    let left = most - shown_own.len();
    let offset = skipped.saturating_sub(own.len());
    let page = Page::first(number(left as u64), number(offset as u64));
    let account = caller.identity.account.as_ref();
    let (rows, total) = connectors::list(&gateway.core.db, &caller.reach, account, &page).await?;
    let count = shown_own.len() + rows.len();
    let total = total.saturating_add(number(own.len() as u64));
    let cursors = listing.cursors(&gateway, window, count, total);
    let items = shown_own
        .into_iter()
        .map(|catalogue| ConnectorBody::from(&**catalogue))
        .chain(rows.iter().map(Into::into));
    Ok(Json(ListBody::of(items, cursors)))
}
