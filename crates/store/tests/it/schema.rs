//! Migrations: both engines have the same tables, and a newer database is left alone.

use std::collections::BTreeSet;

use claviger_store::{Db, StoreError};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;

use crate::{found, made};

in_both_worlds![
    a_database_is_opened_again_as_it_was,
    a_database_of_a_newer_program_is_refused,
    a_migration_that_was_changed_is_refused,
];

/// `table.column: class, nullability`, of all tables but sqlx's own.
fn columns(rows: Vec<String>) -> BTreeSet<String> {
    let ours = |row: &String| !row.starts_with("_sqlx") && !row.starts_with("sqlite_");
    rows.into_iter().filter(ours).collect()
}

#[tokio::test]
async fn both_engines_have_the_same_columns() {
    const SQLITE: &str = "SELECT t.name || '.' || c.name || ': ' || lower(c.type) || \
                          CASE c.\"notnull\" WHEN 1 THEN ' not null' ELSE '' END \
                          FROM sqlite_schema t, pragma_table_info(t.name) c \
                          WHERE t.type = 'table'";
    // SQLite keeps booleans as integers.
    const POSTGRES: &str = "SELECT table_name || '.' || column_name || ': ' || \
                            CASE data_type WHEN 'bigint' THEN 'integer' \
                            WHEN 'boolean' THEN 'integer' WHEN 'bytea' THEN 'blob' \
                            ELSE data_type END || \
                            CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END \
                            FROM information_schema.columns WHERE table_schema = 'public'";
    let (sqlite, postgres) = (World::on_sqlite().await, World::on_postgres().await);
    let mut in_files = columns(sqlite.raw(false, SQLITE).await);
    in_files.extend(columns(sqlite.raw(true, SQLITE).await));
    let mut in_postgres = columns(postgres.raw(false, POSTGRES).await);
    assert!(in_postgres.remove("events.txid: xid8 not null"));
    // An `INTEGER PRIMARY KEY` of SQLite takes no null, and does not say so.
    assert!(in_files.remove("events.seq: integer"));
    in_files.insert("events.seq: integer not null".to_owned());
    let only_in_files: Vec<_> = in_files.difference(&in_postgres).collect();
    let only_in_postgres: Vec<_> = in_postgres.difference(&in_files).collect();
    assert!(
        only_in_files.is_empty() && only_in_postgres.is_empty(),
        "SQLite alone: {only_in_files:?}, PostgreSQL alone: {only_in_postgres:?}"
    );
    assert!(in_files.len() > 100, "the tables were read");
}

/// Bytes are digests under the pepper, which `secrets::add_layer` brings under another, texts that
/// are sealed, which `secrets::check` opens, or neither; those that are sealed for minutes are not
/// worth opening. Who adds a column says which.
#[tokio::test]
async fn every_column_of_bytes_is_known_to_those_who_exchange_secrets() {
    const BLOBS: &str = "SELECT t.name || '.' || c.name FROM sqlite_schema t, \
                         pragma_table_info(t.name) c WHERE t.type = 'table' AND c.type = 'BLOB'";
    let under_pepper = [
        "access_keys.digest",
        "api_keys.digest",
        "idempotency.body_digest",
        "idempotency.id",
        "invitations.token_digest",
        "mcp_servers.token_digest",
        "operator_keys.digest",
        "session_tokens.digest",
    ];
    let sealed = [
        "connected_accounts.credentials",
        "connectors.sealed_values",
        "oauth_clients.sealed",
        "sealed_keys.sealed",
        "sealed_secrets.sealed",
        "webhooks.earlier_secret",
        "webhooks.headers",
        "webhooks.legacy_secret",
        "webhooks.previous_secret",
        "webhooks.secret",
    ];
    let neither = [
        "connectors.digest",
        "idempotency.sealed",
        // Of links, which are good for a day at most.
        "link_tokens.flow",
        "link_tokens.page_digest",
        "link_tokens.state_digest",
        "link_tokens.token_digest",
        "mails.sealed",
        "one_time_codes.code_digest",
        "one_time_codes.token_digest",
        // Of handles, which are good for a quarter of an hour.
        "opened_handles.digest",
        "usage_journal.body",
    ];
    let world = World::on_sqlite().await;
    let mut found = columns(world.raw(false, BLOBS).await);
    found.extend(columns(world.raw(true, BLOBS).await));
    let known = under_pepper.into_iter().chain(sealed).chain(neither);
    assert_eq!(found, known.map(str::to_owned).collect());
}

#[tokio::test]
async fn both_engines_have_the_same_indexes() {
    const SQLITE: &str = "SELECT name FROM sqlite_schema WHERE type = 'index'";
    const POSTGRES: &str = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' \
                            AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key'";
    let (sqlite, postgres) = (World::on_sqlite().await, World::on_postgres().await);
    let mut in_files = columns(sqlite.raw(false, SQLITE).await);
    in_files.extend(columns(sqlite.raw(true, SQLITE).await));
    let mut in_postgres = columns(postgres.raw(false, POSTGRES).await);
    assert!(in_postgres.remove("events_by_txid"));
    assert_eq!(in_files, in_postgres);
}

async fn a_database_is_opened_again_as_it_was(mut world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let key = made(&world, &project, "key").await;
    world.db.close().await;
    assert!(world.db.ping().await.unwrap_err().is_unavailable());
    world.db = Db::open(&world.location).await.unwrap();
    world.db.ping().await.unwrap();
    assert_eq!(found(&world, &key.id).await, Some(key));
}

async fn a_database_of_a_newer_program_is_refused(world: World) {
    for counters in [false, true] {
        world
            .raw(
                counters,
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) SELECT 9000, 'later', success, checksum, 0 \
                 FROM _sqlx_migrations WHERE version = 1",
            )
            .await;
        let refused = Db::open(&world.location).await;
        assert!(
            matches!(refused, Err(StoreError::Newer(9000))),
            "{refused:?}"
        );
        world
            .raw(
                counters,
                "DELETE FROM _sqlx_migrations WHERE version = 9000",
            )
            .await;
    }
    Db::open(&world.location).await.unwrap();
}

async fn a_migration_that_was_changed_is_refused(world: World) {
    world
        .raw(false, "UPDATE _sqlx_migrations SET checksum = 'x'")
        .await;
    let refused = Db::open(&world.location).await;
    assert!(
        matches!(refused, Err(StoreError::Migration(_))),
        "{refused:?}"
    );
}
