//! `DELETE /link-token/{id}`

use std::sync::Arc;

use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::{StoreError, link_tokens};
use http::StatusCode;

use crate::gateway::Gateway;

/// End a link
///
/// Whoever has it, or its page, connects nothing any more.
#[utoipa::path(delete, path = "/link-token/{id}", operation_id = "deleteLink", tag = "links",
    params(("id" = String, Path, description = "The link's id, from listing links.",
        example = "lnk_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It is over."),
        (status = 404, description = "No such link, or one that is over.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    PathParameter(id): PathParameter,
) -> Result<StatusCode, ApiError> {
    let id = Id::parse(&id).ok_or_else(ApiError::not_found)?;
    let change = gateway.core.change(&caller.actor);
    let ended = gateway.core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { link_tokens::end(tx, &change, &caller.reach, &id).await })
    });
    if ended.await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found())
    }
}
