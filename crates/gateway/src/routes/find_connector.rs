//! `GET /integration/{slug}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectorsRead;
use claviger_edge::{ApiError, Caller, PathParameter};
use claviger_store::connectors;

use super::connector::{Found, absent, find_to_read};
use super::described::AccountParameter;
use super::query::Parameters;
use super::wire::CompiledConnectorBody;
use crate::gateway::Gateway;
use crate::sent_values::SentValues;

/// Show a connector
///
/// Answers a connector by its slug and what comes of it: one of this instance, of your account, or one that your account
/// uses of the account above it.
#[utoipa::path(get, path = "/integration/{slug}", operation_id = "showConnector", tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi"), AccountParameter),
    responses(
        (status = 200, description = "The connector.", body = CompiledConnectorBody),
        (status = 404, description = "No such connector."),
        (status = 501, description = "The connector is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsRead>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<Json<CompiledConnectorBody>, ApiError> {
    let found = match find_to_read(&gateway, &caller, &slug, &parameters).await? {
        Found::Own(catalogue) => {
            return Ok(Json(CompiledConnectorBody {
                connector: (&*catalogue).into(),
                outcome: (&*catalogue).into(),
                file: None,
            }));
        }
        Found::Stored(stored) => stored,
    };
    let stored = connectors::with_texts(&gateway.core.db, &found.id).await?;
    let (stored, texts) = stored.ok_or_else(absent)?;
    let catalogue = gateway.catalogue_of_stored(&stored).await?;
    // As it was sent, but for the document and for values that may be keys.
    let mut file = serde_json::from_str(&texts.file).unwrap_or_default();
    SentValues::take_out(&mut file);
    Ok(Json(CompiledConnectorBody {
        connector: (&stored).into(),
        outcome: (&*catalogue).into(),
        file: Some(file),
    }))
}
