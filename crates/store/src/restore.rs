//! What putting an older copy in the place of a database would undo, and keeping that from happening.
//!
//! For the files of SQLite, which the program itself copies and puts back. They are private here:
//! nobody else has them open, so that attaching one to the other holds nobody up.

mod keep;

use std::path::Path;

use claviger_domain::time::Timestamp;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

pub use self::keep::{Kept, settle};
use crate::{StoreError, copies};

/// Something that was ended after the copy was taken, and would go on again.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Undone {
    /// What it is, such as `api-key`.
    pub what: String,
    /// Its id.
    pub id: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// How it was ended, such as `revoked`.
    pub ending: String,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
}

/// How a database differs from an older copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What the copy would bring back, the latest first.
    pub undone: Vec<Undone>,
    /// Events that the copy does not have.
    pub later_events: i64,
    /// Layers of pepper that the copy does not have.
    pub lost_layers: i64,
}

// A row that is not there was purged, unless the present file never had it: that is so after an
// older copy was put in its place.
macro_rules! gone_of {
    ($created:literal, $or_ended:expr) => {
        concat!(
            "(p.id IS NULL AND (b.created_at < (SELECT COALESCE(MIN(at), 0) FROM main.events) \
             OR b.id IN (SELECT target FROM main.events WHERE kind = '",
            $created,
            "')) OR ",
            $or_ended,
            ")"
        )
    };
}
// It stops, and in the copy it does not, or later.
macro_rules! stops_earlier {
    () => {
        "(p.stops_at IS NOT NULL AND (b.stops_at IS NULL OR p.stops_at < b.stops_at))"
    };
}
/// What authenticates in the copy and not in the present file. Of a key whose string was exchanged, the
/// copy has the one that was to be refused.
const STATES: &str = concat!(
    "WITH replaced AS MATERIALIZED (SELECT target FROM main.events \
        WHERE data ->> 'keyString' = 'replaced' AND id NOT IN (SELECT id FROM copy.events)) ",
    "SELECT 'api-key' AS what, b.id AS id, COALESCE(p.name, b.name) AS name, \
        CASE WHEN p.id IS NULL THEN 'purged' WHEN p.deleted_at IS NOT NULL THEN 'deleted' \
            WHEN p.rotated_to IS NOT NULL AND b.rotated_to IS NULL THEN 'rotated' \
            WHEN p.status <> 'active' OR ",
    stops_earlier!(),
    " THEN 'revoked' WHEN p.expires_at <= $1 THEN 'expired' ELSE 'replaced' END AS ending, \
        COALESCE(p.revoked_at, p.deleted_at, p.updated_at, 0) AS at \
    FROM copy.api_keys b LEFT JOIN main.api_keys p ON p.id = b.id \
    WHERE b.deleted_at IS NULL AND b.status = 'active' \
        AND (b.stops_at IS NULL OR b.stops_at > $1) \
        AND (b.expires_at IS NULL OR b.expires_at > $1) AND ",
    gone_of!(
        "api-key.created",
        concat!(
            "p.deleted_at IS NOT NULL OR p.status <> 'active' OR p.expires_at <= $1 \
            OR b.id IN (SELECT target FROM replaced) OR ",
            stops_earlier!()
        )
    ),
    " UNION ALL \
    SELECT 'access-key', b.id, COALESCE(p.name, b.name), \
        CASE WHEN p.id IS NULL OR p.deleted_at IS NOT NULL THEN 'deleted' \
            WHEN p.rotated_to IS NOT NULL AND b.rotated_to IS NULL THEN 'rotated' \
            WHEN p.is_active AND p.expires_at <= $1 THEN 'expired' ELSE 'revoked' END, \
        COALESCE(p.deleted_at, p.updated_at, 0) \
    FROM copy.access_keys b LEFT JOIN main.access_keys p ON p.id = b.id \
    WHERE b.deleted_at IS NULL AND b.is_active \
        AND (b.stops_at IS NULL OR b.stops_at > $1) \
        AND (b.expires_at IS NULL OR b.expires_at > $1) AND ",
    gone_of!(
        "access-key.created",
        concat!(
            "p.deleted_at IS NOT NULL OR NOT p.is_active OR p.expires_at <= $1 OR ",
            stops_earlier!()
        )
    ),
    " UNION ALL \
    SELECT 'mcp-server', b.id, b.name, \
        CASE WHEN p.deleted_at IS NULL AND p.id IS NOT NULL THEN 'rotated' ELSE 'deleted' END, \
        COALESCE(p.deleted_at, p.updated_at, 0) \
    FROM copy.mcp_servers b LEFT JOIN main.mcp_servers p ON p.id = b.id \
    WHERE b.deleted_at IS NULL AND (b.expires_at IS NULL OR b.expires_at > $1) AND ",
    gone_of!(
        "mcp-server.created",
        "p.deleted_at IS NOT NULL OR b.id IN (SELECT target FROM main.events \
         WHERE kind = 'mcp-server.rotated' AND id NOT IN (SELECT id FROM copy.events))"
    ),
    " UNION ALL \
    SELECT 'project', b.id, b.name, 'deleted', COALESCE(p.deleted_at, 0) \
    FROM copy.projects b LEFT JOIN main.projects p ON p.id = b.id \
    WHERE b.deleted_at IS NULL AND ",
    gone_of!("project.created", "p.deleted_at IS NOT NULL"),
    " UNION ALL \
    SELECT 'key-storage', b.id, b.name, 'hashed', p.updated_at \
    FROM copy.projects b JOIN main.projects p ON p.id = b.id \
    WHERE b.deleted_at IS NULL AND p.deleted_at IS NULL \
        AND b.key_storage = 'recoverable' AND p.key_storage = 'hashed'",
    " UNION ALL \
    SELECT 'account', b.id, b.name, 'deleted', COALESCE(p.deleted_at, 0) \
    FROM copy.accounts b LEFT JOIN main.accounts p ON p.id = b.id \
    WHERE b.deleted_at IS NULL AND ",
    gone_of!("account.created", "p.deleted_at IS NOT NULL"),
);

/// Compares a present `claviger.db` with the copy that is to take its place.
///
/// What authenticates is compared row by row, so that nothing is missed whose event is gone; of the
/// rest, such as operator keys, the events tell. Only columns are read that every version has: the
/// present file may be of a newer program than the copy, or of an older one.
pub async fn compare(
    present: &Path,
    copy: &Path,
    now: Timestamp,
) -> Result<Difference, StoreError> {
    const EVENTS: &str = "\
        WITH later AS MATERIALIZED (SELECT target, kind, at FROM main.events \
            WHERE id NOT IN (SELECT id FROM copy.events)) \
        SELECT substr(kind, 1, instr(kind, '.') - 1) AS what, target AS id, NULL AS name, \
            substr(kind, instr(kind, '.') + 1) AS ending, MAX(at) AS at FROM later \
        WHERE substr(kind, instr(kind, '.') + 1) IN \
                ('deleted', 'removed', 'revoked', 'rotated', 'purged', 'disabled', 'retired', \
                 'cancelled', 'accepted', 'passwordChanged') \
            AND substr(target, 1, 4) NOT IN ('key_', 'ack_', 'mcp_', 'prj_', 'acc_') \
            AND target NOT IN (SELECT target FROM later WHERE kind LIKE '%.created') \
        GROUP BY target, what";
    const LATER: &str =
        "SELECT COUNT(*) FROM main.events WHERE id NOT IN (SELECT id FROM copy.events)";
    const LAYERS: &str = "SELECT (SELECT COUNT(*) FROM main.sealed_secrets WHERE name LIKE 'pepper%') \
         - (SELECT COUNT(*) FROM copy.sealed_secrets WHERE name LIKE 'pepper%')";
    let mut connection = attached(present, copy, "copy").await?;
    let compared = async {
        let mut undone: Vec<Undone> = sqlx::query_as(STATES)
            .bind(now.as_micros())
            .fetch_all(&mut connection)
            .await?;
        let by_events: Vec<Undone> = sqlx::query_as(EVENTS).fetch_all(&mut connection).await?;
        undone.extend(by_events);
        undone.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
        let later_events = sqlx::query_scalar(LATER).fetch_one(&mut connection).await?;
        let lost_layers = sqlx::query_scalar(LAYERS)
            .fetch_one(&mut connection)
            .await?;
        Ok(Difference {
            undone,
            later_events,
            lost_layers,
        })
    }
    .await;
    connection.close().await?;
    compared
}

/// Opens a file with another one beside it.
async fn attached(
    main: &Path,
    other: &Path,
    name: &'static str,
) -> Result<SqliteConnection, StoreError> {
    let sql = match name {
        "copy" => "ATTACH DATABASE $1 AS copy",
        _ => "ATTACH DATABASE $1 AS present",
    };
    let mut connection = copies::open(main).await?;
    sqlx::query(sql)
        .bind(other.to_string_lossy())
        .execute(&mut connection)
        .await?;
    Ok(connection)
}
