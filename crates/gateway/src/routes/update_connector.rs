//! `PATCH /integration/{slug}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use claviger_edge::permission::ConnectorsWrite;
use claviger_edge::{ApiError, Caller, ErrorCode, PathParameter};
use claviger_store::StoreError;
use claviger_store::connectors;

use super::connector::{absent, body, find_stored};
use super::described::{AccountParameter, ConnectorChange};
use super::query::Parameters;
use super::wire::CompiledConnectorBody;
use crate::gateway::Gateway;
use crate::stored_connectors::Before;

/// Change a connector
///
/// Puts members in the place of those of a connector file; null takes one out, and the document stays unless another is
/// sent. The slug stays. Values that are hidden are to be sent again where `base_url` is another.
#[utoipa::path(patch, path = "/integration/{slug}", operation_id = "updateConnector", tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi"), AccountParameter),
    request_body(description = "The members that are to be otherwise, whatever the content type says; 32 MiB.",
        content((ConnectorChange = "application/json"), (ConnectorChange = "application/yaml"))),
    responses(
        (status = 200, description = "The connector as it is now.", body = CompiledConnectorBody),
        (status = 400, description = "The file or its document has a fault, or names what is not allowed over HTTP, or \
            the connector is of this instance."),
        (status = 404, description = "No such connector."),
        (status = 409, description = "Somebody else changed it meanwhile."),
        (status = 413, description = "The body is larger than 32 MiB."),
        (status = 501, description = "The connector is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsWrite>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
    request: Request,
) -> Result<Json<CompiledConnectorBody>, ApiError> {
    let found = find_stored(&gateway, &caller, &slug, &parameters).await?;
    let place = gateway.stored.doors.place(&found.account.root)?;
    let body = body(request).await?;
    let stored = connectors::with_texts(&gateway.core.db, &found.id).await?;
    let (mut stored, texts) = stored.ok_or_else(absent)?;
    let before = Before::of(&gateway.core, &stored.id, texts)?;
    let taken = gateway.stored.take(&gateway.core, body, Some(before));
    let mut taken = taken.await?;
    drop(place);
    let change = gateway.core.change(&caller.actor);
    let texts = taken.texts(&gateway.core, &stored.id);
    let before = std::mem::replace(&mut stored.digest, taken.digest);
    stored.label = taken.label;
    stored.category = taken.category;
    stored.base.touch(&change);
    let row = stored.clone();
    let updated = gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { connectors::update(tx, &change, &before, &row, &texts).await })
        })
        .await?;
    if !updated {
        let message = "Somebody else changed the connector meanwhile: read it again";
        return Err(ApiError::new(ErrorCode::ConnectorChanged, message));
    }
    Ok(Json(CompiledConnectorBody {
        connector: (&stored).into(),
        outcome: (&*taken.catalogue).into(),
        file: None,
    }))
}
