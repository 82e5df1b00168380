//! A key looked up, and nothing else: it counts nothing, limits nothing, and knows no callers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use claviger_domain::key_string::Pepper;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgPool;

const FIND: &str = "SELECT id, name, metadata, custom_account_id, is_active, rate_limit, created_at \
                    FROM keys WHERE digest = $1";

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    metadata: String,
    custom_account_id: String,
    is_active: bool,
    rate_limit: i64,
    created_at: i64,
}

#[derive(Serialize)]
struct Body {
    id: String,
    name: String,
    metadata: Box<RawValue>,
    custom_account_id: String,
    is_active: bool,
    rate_limit: i64,
    created_at: i64,
}

pub(super) async fn answer(
    State((pool, pepper)): State<(PgPool, Pepper)>,
    Path(key): Path<String>,
) -> Result<impl IntoResponse, StatusCode> {
    let digest = pepper.digest(&key);
    let row: Option<Row> = sqlx::query_as(FIND)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(&pool)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let row = row.ok_or(StatusCode::NOT_FOUND)?;
    let metadata =
        RawValue::from_string(row.metadata).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Body {
        id: row.id,
        name: row.name,
        metadata,
        custom_account_id: row.custom_account_id,
        is_active: row.is_active,
        rate_limit: row.rate_limit,
        created_at: row.created_at,
    }))
}
