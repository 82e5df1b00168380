//! What a check is compared with from above: a route that asks PostgreSQL for each key.
//!
//! It does less than a check does (it counts nothing, limits nothing, and knows no callers), and what it
//! does the quick way: connections stay open, statements stay prepared, the rows are in memory.

// The tests look for it too. The file depends on nothing; the test kit would bring the whole program.
#[path = "../../crates/testkit/src/postgres/binaries.rs"]
mod binaries;
mod server;

use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use claviger_domain::key_string::Pepper;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::instance::{draw, settings};
use server::PostgresServer;

const TABLE: &str = "CREATE TABLE keys (digest BYTEA PRIMARY KEY, id TEXT NOT NULL, \
                     name TEXT NOT NULL, metadata TEXT NOT NULL, custom_account_id TEXT NOT NULL, \
                     is_active BOOLEAN NOT NULL, rate_limit BIGINT NOT NULL, created_at BIGINT NOT NULL)";
const FILL: &str = "INSERT INTO keys SELECT digest, 'key_' || public, 'Key ' || public, $3, \
                    'customer-4711', true, 1000000000, 1893456000000000 \
                    FROM unnest($1::bytea[], $2::text[]) AS drawn (digest, public)";
const FIND: &str = "SELECT id, name, metadata, custom_account_id, is_active, rate_limit, created_at \
                    FROM keys WHERE digest = $1";
/// Connections; more than one core has use for.
const CONNECTIONS: u32 = 16;
const BATCH: usize = 10_000;

/// A PostgreSQL with that many keys, and the route over it.
pub(crate) async fn routes(keys: u32) -> Result<(Router, PostgresServer)> {
    let server = PostgresServer::start()?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .min_connections(CONNECTIONS)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect(&server.url())
        .await?;
    let pepper = Pepper::new(&[7; 32]);
    sqlx::query(TABLE).execute(&pool).await?;
    for batch in draw(keys).chunks(BATCH) {
        let digests = batch.iter().map(|key| pepper.digest(key.plain.expose()));
        let digests: Vec<_> = digests.map(|digest| digest.as_bytes().to_vec()).collect();
        let publics: Vec<_> = batch.iter().map(|key| key.public.clone()).collect();
        sqlx::query(FILL)
            .bind(digests)
            .bind(publics)
            .bind(settings("")["customMetaData"].to_string())
            .execute(&pool)
            .await?;
    }
    sqlx::query("VACUUM ANALYZE keys").execute(&pool).await?;
    let routes = Router::new()
        .route("/api-keys/auth/{key}", post(check))
        .with_state((pool, pepper));
    Ok((routes, server))
}

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

async fn check(
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
