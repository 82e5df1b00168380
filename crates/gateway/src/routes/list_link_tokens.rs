//! `GET /link-token`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller};
use claviger_store::{Page, link_tokens};
use serde_json::Map;

use super::described::PageParameters;
use super::list_connected_accounts::number;
use super::query::{Listing, Parameters};
use super::wire::{LinkBody, ListBody};
use crate::gateway::Gateway;

/// List links
///
/// Answers the links that are not over; never their tokens.
#[utoipa::path(get, path = "/link-token", operation_id = "listLinks", tag = "links",
    params(PageParameters),
    responses((status = 200, description = "The links.", body = ListBody<LinkBody>)))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    parameters: Parameters,
) -> Result<Json<ListBody<LinkBody>>, ApiError> {
    let filters = Map::new();
    let listing = Listing {
        of: "",
        name: "link-token",
        filters: &filters,
    };
    let window = parameters.window(&gateway, listing)?;
    let page = Page::first(number(window.limit), number(window.offset));
    let core = &gateway.core;
    let (rows, total) = link_tokens::list_live(&core.db, &caller.reach, core.now(), &page).await?;
    let cursors = listing.cursors(&gateway, window, rows.len(), total);
    Ok(Json(ListBody::of(rows.iter().map(Into::into), cursors)))
}
