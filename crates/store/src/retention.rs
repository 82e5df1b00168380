//! Removing what is past its time: each function removes some rows, and gives how many those were.
//!
//! None of them takes long, so that nobody waits for it; who calls goes on until nothing is left.
//! What is removed leaves no event: it was deleted before, or is itself what was written down.

mod calls;
mod projects;
mod usage;

use claviger_domain::time::Timestamp;

pub use self::calls::remove_calls;
pub use self::projects::{fold_project_days, projects_with_usage, remove_project_days};
pub use self::usage::{keys_with_days, keys_with_hours, remove_days, remove_hours};
use crate::db::on;
use crate::{Db, StoreError, Tx};

/// Removes what is remembered of requests that were claimed before that instant.
pub async fn remove_requests(db: &Db, before: Timestamp, most: i64) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM idempotency WHERE id IN \
                       (SELECT id FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    db.write(move |tx| Box::pin(async move { execute(tx, SQL, before, most).await }))
        .await
}

/// Removes events of before that instant, in the order in which they were written. One that a clock
/// wrote that was ahead stays until its own time.
///
/// The last event stays, however old: a restore tells by it what a copy does not have. Other
/// programs over the database read events within their staleness bound, or else forget all they
/// know. Those that webhooks are still to be told of stay, and those that deliveries tell of, which
/// may be sent again.
pub async fn remove_events(db: &Db, before: Timestamp, most: i64) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM events WHERE seq IN \
                       (SELECT seq FROM (SELECT seq, at FROM events ORDER BY seq LIMIT $2) AS oldest \
                       WHERE at < $1) AND seq < (SELECT MAX(seq) FROM events) \
                       AND NOT awaits_fan_out AND NOT EXISTS (SELECT 1 FROM webhook_deliveries \
                       WHERE webhook_deliveries.event_id = events.id)";
    db.write(move |tx| Box::pin(async move { execute(tx, SQL, before, most).await }))
        .await
}

macro_rules! remove_from {
    ($table:literal, $ended:literal, $and:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE id IN (SELECT id FROM ",
            $table,
            " WHERE ",
            $ended,
            " < $1 ",
            $and,
            " ORDER BY ",
            $ended,
            " LIMIT $2)"
        )
    };
}

/// What goes for good. Of projects and accounts the rows stay without their names, so that usage and
/// events still tell in which one they happened.
const DELETED: [&str; 13] = [
    remove_from!("api_keys", "deleted_at", ""),
    remove_from!("access_keys", "deleted_at", ""),
    // With its secrets, and once its deliveries are gone.
    remove_from!(
        "webhooks",
        "deleted_at",
        "AND NOT EXISTS (SELECT 1 FROM webhook_deliveries \
         WHERE webhook_deliveries.webhook_id = webhooks.id)"
    ),
    remove_from!("mcp_servers", "deleted_at", ""),
    remove_from!("mcp_servers", "expires_at", ""),
    // Whatever became of them, which the trail tells.
    remove_from!("invitations", "expires_at", ""),
    // A server has a connected account, also one that is deleted and has not gone yet.
    remove_from!(
        "connected_accounts",
        "deleted_at",
        "AND NOT EXISTS (SELECT 1 FROM mcp_servers \
         WHERE mcp_servers.connected_account_id = connected_accounts.id)"
    ),
    remove_from!("connectors", "deleted_at", ""),
    // Those that nobody has read stay, until their account has gone.
    remove_from!("notifications", "read_at", ""),
    "DELETE FROM notifications WHERE id IN (SELECT notifications.id FROM notifications \
     JOIN accounts ON accounts.id = account_id WHERE accounts.deleted_at < $1 LIMIT $2)",
    "DELETE FROM tenants WHERE (maker, external_id) IN (SELECT maker, external_id FROM tenants \
     JOIN accounts ON accounts.id = account_id WHERE accounts.deleted_at < $1 LIMIT $2)",
    "UPDATE projects SET name = '' WHERE id IN (SELECT id FROM projects \
     WHERE deleted_at < $1 AND name <> '' ORDER BY deleted_at LIMIT $2)",
    "UPDATE accounts SET name = '', name_folded = '' WHERE id IN (SELECT id FROM accounts \
     WHERE deleted_at < $1 AND name <> '' ORDER BY deleted_at LIMIT $2)",
];

/// Removes what was deleted before that instant with its project or account, MCP servers that
/// were deleted or ended before it, invitations that were over before it, notifications that were read before it, and the names of projects
/// and accounts. Usage and events stay.
pub async fn remove_deleted(db: &Db, before: Timestamp, most: i64) -> Result<u64, StoreError> {
    let mut removed = 0;
    for sql in DELETED {
        removed += db
            .write(move |tx| Box::pin(async move { execute(tx, sql, before, most).await }))
            .await?;
    }
    Ok(removed)
}

async fn execute(
    tx: &mut Tx,
    sql: &'static str,
    before: Timestamp,
    most: i64,
) -> Result<u64, StoreError> {
    Ok(on!(tx, |c| sqlx::query(sql)
        .bind(before.as_micros())
        .bind(most)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
