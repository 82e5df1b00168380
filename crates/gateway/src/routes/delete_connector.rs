//! `DELETE /integration/{slug}`

use std::sync::Arc;

use axum::extract::State;
use claviger_edge::permission::ConnectorsWrite;
use claviger_edge::{ApiError, Caller, ErrorCode, PathParameter};
use claviger_store::connectors;
use http::StatusCode;

use super::connector::{absent, find_stored};
use super::described::AccountParameter;
use super::query::Parameters;
use crate::gateway::Gateway;

/// Delete a connector
///
/// Takes a connector away that no connected account uses.
#[utoipa::path(delete, path = "/integration/{slug}", operation_id = "deleteConnector", tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi"), AccountParameter),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "The connector is of this instance."),
        (status = 404, description = "No such connector."),
        (status = 409, description = "Connected accounts use it.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsWrite>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    let stored = find_stored(&gateway, &caller, &slug, &parameters).await?;
    let change = gateway.core.change(&caller.actor);
    gateway
        .core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                // Held: one that is connected meanwhile comes before or after.
                connectors::hold(tx, &stored.account, &stored.slug).await?;
                // Their credentials would wait for whoever brings a connector of the same name.
                if connectors::uses(tx, &stored).await? > 0 {
                    let message = "Connected accounts use the connector: delete them first";
                    return Err(ApiError::new(ErrorCode::ConnectorInUse, message));
                }
                let is_gone = connectors::delete(tx, &change, &stored).await?;
                is_gone.then_some(StatusCode::NO_CONTENT).ok_or_else(absent)
            })
        })
        .await
}
