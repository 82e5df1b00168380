//! What needs no credential: the name of the service, its health.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use claviger_edge::{Anyone, ApiError, Core, ErrorCode, routes};
use claviger_store::Asker;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(describe_service))
        .route("/healthz", axum::routing::get(alive))
        .route("/readyz", axum::routing::get(ready))
}

/// What answers here.
#[derive(Debug, Serialize, ToSchema)]
struct Service {
    /// The name of the program.
    #[schema(example = "claviger")]
    name: &'static str,
    /// A greeting.
    message: &'static str,
    /// The program's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Tell what this service is
///
/// Answers the name and version of the service. Use it to see that the service can be reached;
/// it needs no ids.
#[utoipa::path(get, path = "/", operation_id = "describeService", tag = "misc",
    responses((status = 200, description = "The service is here.", body = Service)),
    security(()))]
async fn describe_service(_: Anyone) -> Json<Service> {
    Json(Service {
        name: "claviger",
        message: "Claviger carries your keys. The operations are described at /openapi.json",
        version: env!("CARGO_PKG_VERSION"),
    })
}

async fn alive(_: Anyone) -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "alive"}))
}

/// How long the database may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(2);

async fn ready(State(core): State<Core>, _: Anyone) -> Result<Json<serde_json::Value>, ApiError> {
    // The program asks for itself: a crowd of others does not make it look unready.
    let asking = Asker::Program.scope(core.db.ping());
    let Ok(answered) = tokio::time::timeout(READY_WITHIN, asking).await else {
        let message = "The database does not answer";
        return Err(ApiError::new(ErrorCode::DatabaseUnavailable, message));
    };
    answered?;
    Ok(Json(serde_json::json!({"status": "ready"})))
}
