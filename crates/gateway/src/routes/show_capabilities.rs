//! `GET /integrated-account/{id}/capabilities` and `GET /integration/{slug}/capabilities`: the tools,
//! how one connects, and how well a model is told of what there is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::{ConnectedAccountsRead, ConnectorsRead};
use claviger_edge::{ApiError, Caller, PathParameter};
use serde_json::{Value, json};

use super::connected_account;
use super::connector::{Found, find_to_read};
use super::list_tools::tools;
use super::query::Parameters;
use crate::catalogue::Catalogue;
use crate::gateway::Gateway;

pub(super) async fn of_connected_account(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    PathParameter(id): PathParameter,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    show(&catalogue, &parameters)
}

pub(super) async fn of_connector(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsRead>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let catalogue = match find_to_read(&gateway, &caller, &slug, &parameters).await? {
        Found::Own(catalogue) => catalogue,
        Found::Stored(stored) => gateway.catalogue_of_stored(&stored).await?,
    };
    show(&catalogue, &parameters)
}

fn show(catalogue: &Catalogue, parameters: &Parameters) -> Result<Json<Value>, ApiError> {
    let described = catalogue.tools().len();
    let all = described + catalogue.undescribed();
    Ok(Json(json!({
        "integration": catalogue.slug(),
        "label": catalogue.label(),
        "authentication_formats": catalogue.authentication_formats(),
        "ai_readiness": {
            "proxy_methods": all,
            "proxy_methods_with_descriptions": described,
            // Of a hundred.
            "ai_ready_score": (described * 100).checked_div(all).unwrap_or(0),
        },
        "result": tools(catalogue, parameters)?,
    })))
}
