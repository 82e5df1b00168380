//! Whether the program is alive, and whether it is ready: for whatever watches it.

use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use claviger_edge::{ApiError, Core, ErrorCode};
use serde_json::{Value, json};

/// How long the database may take before the program is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz` and `GET /readyz`, which need no credential.
pub(crate) fn router(core: Core) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state(core)
}

async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Ready: the database answers. Its tables were made before the program listened.
async fn ready(State(core): State<Core>) -> Result<Json<Value>, ApiError> {
    let Ok(answer) = tokio::time::timeout(PATIENCE, core.db.ping()).await else {
        let message = "The database does not answer";
        return Err(ApiError::new(ErrorCode::DatabaseUnavailable, message));
    };
    answer?;
    Ok(Json(json!({"status": "ok"})))
}
