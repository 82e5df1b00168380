//! `POST /integrated-account/refresh-credentials`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Body, Caller};
use serde_json::{Map, Value};

use super::connected_account;
use super::connected_account::tried;
use crate::gateway::Gateway;
use crate::members::Members;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Value>, ApiError> {
    let members = Members::read("", &body, &["id"])?;
    let id = members
        .text("id")?
        .ok_or_else(|| ApiError::field("id", "is required"))?;
    let connected = connected_account(&gateway, &caller.reach, id).await?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    Ok(Json(tried(&gateway, connected, &catalogue).await?))
}
