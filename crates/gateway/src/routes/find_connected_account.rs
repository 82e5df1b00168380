//! `GET /integrated-account/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller};
use serde_json::Value;

use super::{connected_account, wire};
use crate::gateway::Gateway;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    Ok(Json(wire::connected_account(&connected)))
}
