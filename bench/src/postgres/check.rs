//! A check as a team would write it over PostgreSQL: the caller and the key are looked up, a request is
//! taken from the key's limit, usage is counted, all by one statement.
//!
//! The window of the limit and the usage of the running hour lie in one row, which is updated in place,
//! so that it is one write and not two. What is written is on the disk a moment later, as Claviger's
//! counters are, not before the answer.

use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use claviger_domain::key_string::{KeyDigest, Pepper};
use claviger_domain::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgPool;

use crate::machine::micros_now;

const TABLES: [&str; 4] = [
    "CREATE TABLE access_keys (digest BYTEA PRIMARY KEY, project_id TEXT NOT NULL, \
     is_active BOOLEAN NOT NULL)",
    // Room in each page, so that an update finds place beside the row and no index has to change.
    "CREATE TABLE counters (key_id TEXT PRIMARY KEY, window_start BIGINT NOT NULL, \
     taken BIGINT NOT NULL, hour BIGINT NOT NULL, used BIGINT NOT NULL, last_used_at BIGINT NOT NULL) \
     WITH (fillfactor = 60)",
    "INSERT INTO counters SELECT id, 0, 0, 0, 0, 0 FROM keys",
    "VACUUM ANALYZE counters",
];

const CHECK: &str = "UPDATE counters AS counter SET \
                     window_start = CASE WHEN window_start + window_seconds * 1000000 > $3 \
                                    THEN window_start ELSE $3 END, \
                     taken = CASE WHEN window_start + window_seconds * 1000000 > $3 \
                             THEN taken + 1 ELSE 1 END, \
                     hour = $3 / 3600000000, \
                     used = CASE WHEN hour = $3 / 3600000000 THEN used + 1 ELSE 1 END, \
                     last_used_at = $3 \
                     FROM keys AS key JOIN access_keys AS caller USING (project_id) \
                     WHERE key.digest = $1 AND caller.digest = $2 AND counter.key_id = key.id \
                     AND key.is_active AND caller.is_active \
                     AND (window_start + window_seconds * 1000000 <= $3 OR taken < rate_limit) \
                     RETURNING id, name, metadata, custom_account_id, project_id, rate_limit, \
                               window_seconds, created_at, taken, window_start";

/// Makes the tables that a check needs beside the keys, and a caller.
pub(super) async fn prepare(pool: &PgPool, caller: &KeyDigest) -> Result<()> {
    for sql in TABLES {
        sqlx::query(sql).execute(pool).await?;
    }
    sqlx::query("INSERT INTO access_keys SELECT $1, project_id, true FROM keys LIMIT 1")
        .bind(&caller.as_bytes()[..])
        .execute(pool)
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    metadata: String,
    custom_account_id: String,
    project_id: String,
    rate_limit: i64,
    window_seconds: i64,
    created_at: i64,
    taken: i64,
    window_start: i64,
}

/// The members that Claviger's answer has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    key: String,
    name: &'a str,
    custom_meta_data: &'a RawValue,
    custom_account_id: &'a str,
    custom_user_id: (),
    env: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    is_active: bool,
    expires_at: (),
    rate_limit_configs: RateLimit,
    creation_context: CreationContext,
    id: &'a str,
    status: &'a str,
    project_id: &'a str,
    account_id: &'a str,
    expiry: (),
    allowed_domains: [(); 0],
    allowed_ips: [(); 0],
    scopes: [(); 0],
    quota: (),
    first_used_at: Timestamp,
    last_used_at: Timestamp,
    revoked_at: (),
    revoked_by: (),
    reason: (),
    rotated_from: (),
    rotated_to: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RateLimit {
    rate_limit: i64,
    rate_limit_ttl: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreationContext {
    #[serde(rename = "clientIP")]
    client_ip: (),
    client_user_agent: (),
}

impl<'a> Body<'a> {
    fn of(row: &'a Row, now: i64) -> Result<Self, serde_json::Error> {
        let created_at = Timestamp::from_micros(row.created_at);
        Ok(Self {
            key: row.id.replacen("key_", "live_", 1) + "*********",
            name: &row.name,
            custom_meta_data: serde_json::from_str(&row.metadata)?,
            custom_account_id: &row.custom_account_id,
            custom_user_id: (),
            env: "live",
            created_at,
            updated_at: created_at,
            is_active: true,
            expires_at: (),
            rate_limit_configs: RateLimit {
                rate_limit: row.rate_limit,
                rate_limit_ttl: row.window_seconds,
            },
            creation_context: CreationContext {
                client_ip: (),
                client_user_agent: (),
            },
            id: &row.id,
            status: "active",
            project_id: &row.project_id,
            account_id: "acc_4f8Q2mXc7ZrT1bVw9KpL",
            expiry: (),
            allowed_domains: [],
            allowed_ips: [],
            scopes: [],
            quota: (),
            first_used_at: created_at,
            last_used_at: Timestamp::from_micros(now),
            revoked_at: (),
            revoked_by: (),
            reason: (),
            rotated_from: (),
            rotated_to: (),
        })
    }
}

pub(super) async fn answer(
    State((pool, pepper)): State<(PgPool, Pepper)>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, StatusCode> {
    let caller = headers.get("x-api-key").map(HeaderValue::as_bytes);
    let caller = caller.and_then(|caller| str::from_utf8(caller).ok());
    let caller = pepper.digest(caller.ok_or(StatusCode::UNAUTHORIZED)?);
    let digest = pepper.digest(&key);
    let now = micros_now();
    let row: Option<Row> = sqlx::query_as(CHECK)
        .bind(&digest.as_bytes()[..])
        .bind(&caller.as_bytes()[..])
        .bind(now)
        .fetch_optional(&pool)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let row = row.ok_or(StatusCode::NOT_FOUND)?;
    let reset = Timestamp::from_micros(row.window_start + row.window_seconds * 1_000_000);
    let limit = [
        ("ratelimit-limit", row.rate_limit.to_string()),
        (
            "ratelimit-remaining",
            (row.rate_limit - row.taken).to_string(),
        ),
        ("ratelimit-consumed", row.taken.to_string()),
        ("ratelimit-reset", reset.to_string()),
    ];
    let body = Body::of(&row, now).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let body = serde_json::to_vec(&body).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((limit, [(CONTENT_TYPE, "application/json")], body))
}
