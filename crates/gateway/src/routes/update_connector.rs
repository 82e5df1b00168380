//! `PATCH /integration/{slug}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use claviger_edge::permission::ConnectorsWrite;
use claviger_edge::{ApiError, Caller, ErrorCode, PathParameter};
use claviger_store::StoreError;
use claviger_store::connectors;
use serde_json::{Map, Value};

use super::connector::{absent, body, find_stored};
use super::query::Parameters;
use super::wire;
use crate::gateway::Gateway;
use crate::stored_connectors::Before;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsWrite>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
    request: Request,
) -> Result<Json<Map<String, Value>>, ApiError> {
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
    let mut shown = wire::connector(&stored);
    wire::add_outcome(&mut shown, &taken.catalogue);
    Ok(Json(shown))
}
