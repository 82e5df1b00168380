//! `GET /integration/{slug}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectorsRead;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::connectors;
use serde_json::{Map, Value};

use super::connector::{Found, absent, find_to_read};
use super::query::Parameters;
use super::wire;
use crate::gateway::Gateway;
use crate::sent_values::SentValues;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsRead>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<Json<Map<String, Value>>, ApiError> {
    let found = match find_to_read(&gateway, &caller, &slug, &parameters).await? {
        Found::Own(catalogue) => {
            let mut shown = wire::own_connector(&catalogue);
            wire::add_outcome(&mut shown, &catalogue);
            return Ok(Json(shown));
        }
        Found::Stored(stored) => stored,
    };
    let stored = connectors::with_texts(&gateway.core.db, &found.id).await?;
    let (stored, texts) = stored.ok_or_else(absent)?;
    let catalogue = gateway.catalogue_of_stored(&stored).await?;
    let mut shown = wire::connector(&stored);
    wire::add_outcome(&mut shown, &catalogue);
    // As it was sent, but for the document and for values that may be keys.
    let mut file = serde_json::from_str(&texts.file).unwrap_or_default();
    SentValues::take_out(&mut file);
    shown.insert("file".to_owned(), Value::Object(file));
    Ok(Json(shown))
}
