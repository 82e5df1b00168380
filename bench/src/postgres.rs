//! What a check is compared with from above: a route that does the same with PostgreSQL for each key,
//! and one that only looks the key up.
//!
//! Both do it the quick way: connections stay open, a request is one prepared statement, the rows are in
//! memory.

// Files of the test kit, of which the rest would bring the whole program.
#[path = "../../crates/testkit/src/postgres/binaries.rs"]
mod binaries;
mod check;
mod look_up;
#[path = "../../crates/testkit/src/postgres/server.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "tests do more with a server, and from further away"
)]
mod server;

use anyhow::Result;
use axum::Router;
use axum::routing::post;
use claviger_domain::key_string::Pepper;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::instance::{draw, settings};
use server::Server;

const TABLE: &str = "CREATE TABLE keys (digest BYTEA PRIMARY KEY, id TEXT NOT NULL, \
                     name TEXT NOT NULL, metadata TEXT NOT NULL, custom_account_id TEXT NOT NULL, \
                     project_id TEXT NOT NULL, is_active BOOLEAN NOT NULL, \
                     rate_limit BIGINT NOT NULL, window_seconds BIGINT NOT NULL, \
                     created_at BIGINT NOT NULL)";
const FILL: &str = "INSERT INTO keys SELECT digest, 'key_' || public, 'Key ' || public, $3, \
                    'customer-4711', 'prj_4f8Q2mXc7ZrT1bVw9KpL', true, 1000000000, 60, \
                    1893456000000000 \
                    FROM unnest($1::bytea[], $2::text[]) AS drawn (digest, public)";
/// Connections; more than one core has use for.
const CONNECTIONS: u32 = 16;
/// All rows are in memory.
const SETTINGS: [&str; 2] = ["shared_buffers=1GB", "synchronous_commit=off"];
const BATCH: usize = 10_000;

/// What a route asks of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Asks {
    /// One row by its index, and nothing else
    LookUp,
    /// What a check does: the caller, the key, its limit, its usage
    Check,
}

/// A PostgreSQL with that many keys, and a route over it.
pub(crate) async fn routes(keys: u32, asks: Asks, access_key: &str) -> Result<(Router, Server)> {
    let server = Server::start_with(&SETTINGS)?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .min_connections(CONNECTIONS)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect(&server.url("postgres"))
        .await?;
    let pepper = Pepper::new(&[7; 32]);
    fill(&pool, &pepper, keys).await?;
    let route = match asks {
        Asks::LookUp => post(look_up::answer),
        Asks::Check => {
            check::prepare(&pool, &pepper.digest(access_key)).await?;
            post(check::answer)
        }
    };
    let routes = Router::new()
        .route("/api-keys/auth/{key}", route)
        .with_state((pool, pepper));
    Ok((routes, server))
}

async fn fill(pool: &PgPool, pepper: &Pepper, keys: u32) -> Result<()> {
    sqlx::query(TABLE).execute(pool).await?;
    for batch in draw(keys).chunks(BATCH) {
        let digests = batch.iter().map(|key| pepper.digest(key.plain.expose()));
        let digests: Vec<_> = digests.map(|digest| digest.as_bytes().to_vec()).collect();
        let publics: Vec<_> = batch.iter().map(|key| key.public.as_str()).collect();
        sqlx::query(FILL)
            .bind(digests)
            .bind(publics)
            .bind(settings("")["customMetaData"].to_string())
            .execute(pool)
            .await?;
    }
    sqlx::query("VACUUM ANALYZE keys").execute(pool).await?;
    Ok(())
}
