//! The last change to a copy before it takes its place: what was ended later stays ended, and the
//! trail says what was done.

use std::path::Path;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::Id;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::{Undone, attached};
use crate::db::{Open, on};
use crate::{Change, StoreError, Tx, copies, events, instance};

/// What is to stay ended.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The database in which it is.
    pub present: &'a Path,
    /// All of it.
    pub ended: &'a [Undone],
}

/// A table whose rows can be ended once more, as they are in the present file.
struct Ending {
    what: &'static str,
    kind: EventKind,
    /// Ends the rows of a list of ids, `$1`, now (`$2`) where the present file does not say when;
    /// gives their ids, accounts and projects.
    sql: &'static str,
}

const ENDINGS: [Ending; 12] = [
    Ending {
        what: "api-key",
        kind: EventKind::ApiKeyDeleted,
        // One whose string was exchanged since has the old one here, and is not to be taken at all.
        sql: "UPDATE main.api_keys AS b SET (status, reason, revoked_at, revoked_by, stops_at, \
              expires_at, deleted_at, updated_at) = (SELECT IIF(live, 'active', 'inactive'), \
              IIF(live, p.reason, COALESCE(p.reason, 'other')), \
              IIF(live, p.revoked_at, COALESCE(p.revoked_at, $2)), p.revoked_by, p.stops_at, \
              IIF(p.id IS NULL, b.expires_at, p.expires_at), p.deleted_at, $2 FROM (SELECT p.*, \
              COALESCE(p.status = 'active', 0) AND b.id NOT IN (SELECT target FROM present.events \
              WHERE data ->> 'keyString' = 'replaced' AND id NOT IN (SELECT id FROM main.events)) \
              AS live FROM (SELECT 1) LEFT JOIN present.api_keys p ON p.id = b.id) AS p) \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, account_id, project_id",
    },
    Ending {
        what: "access-key",
        kind: EventKind::AccessKeyDeleted,
        sql: "UPDATE main.access_keys AS b SET (is_active, stops_at, expires_at, deleted_at, \
              updated_at) = (SELECT COALESCE(p.is_active, 0), p.stops_at, \
              IIF(p.id IS NULL, b.expires_at, p.expires_at), p.deleted_at, $2 \
              FROM (SELECT 1) LEFT JOIN present.access_keys p ON p.id = b.id) \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, account_id, NULL AS project_id",
    },
    Ending {
        what: "mcp-server",
        kind: EventKind::McpServerDeleted,
        sql: "UPDATE main.mcp_servers AS b SET updated_at = $2, deleted_at = COALESCE( \
              (SELECT p.deleted_at FROM present.mcp_servers p WHERE p.id = b.id), $2) \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, account_id, project_id",
    },
    Ending {
        what: "project",
        kind: EventKind::ProjectDeleted,
        sql: "UPDATE main.projects AS b SET updated_at = $2, deleted_at = COALESCE( \
              (SELECT p.deleted_at FROM present.projects p WHERE p.id = b.id), $2) \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, account_id, id AS project_id",
    },
    Ending {
        what: "key-storage",
        kind: EventKind::ProjectUpdated,
        sql: "UPDATE main.projects SET updated_at = $2, key_storage = 'hashed' \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, account_id, id AS project_id",
    },
    Ending {
        what: "reveal-grant",
        kind: EventKind::RevealGrantDeleted,
        sql: "DELETE FROM main.reveal_grants \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) AND $2 IS NOT NULL \
              RETURNING id, (SELECT account_id FROM main.projects WHERE id = project_id), project_id",
    },
    Ending {
        what: "webhook",
        kind: EventKind::WebhookDisabled,
        // Deleted or disabled since: nothing is sent until somebody puts it in force. The present
        // file is not asked which it was, it may be of a program that knew no webhooks.
        sql: "UPDATE main.webhooks SET updated_at = $2, status = 'disabled' \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, account_id, project_id",
    },
    Ending {
        what: "role",
        kind: EventKind::RoleRemoved,
        // Those that the person does not hold any more, in the words of the trail: by the person.
        sql: "DELETE FROM main.role_assignments AS b \
              WHERE user_id IN (SELECT value ->> 0 FROM json_each($1)) AND $2 IS NOT NULL \
              AND NOT EXISTS (SELECT 1 FROM present.role_assignments p WHERE p.user_id = b.user_id \
              AND p.account_id = b.account_id AND p.project_id = b.project_id AND p.role = b.role) \
              RETURNING user_id, account_id, NULLIF(project_id, '')",
    },
    Ending {
        what: "user",
        kind: EventKind::UserPasswordChanged,
        sql: "UPDATE main.users AS b SET updated_at = $2, password_hash = \
              (SELECT p.password_hash FROM present.users p WHERE p.id = b.id) \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, NULL AS account_id, NULL AS project_id",
    },
    Ending {
        what: "invitation",
        kind: EventKind::InvitationCancelled,
        sql: "UPDATE main.invitations SET updated_at = $2, status = 'cancelled' \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) AND status = 'pending' \
              RETURNING id, account_id, NULL AS project_id",
    },
    Ending {
        what: "account",
        kind: EventKind::AccountDeleted,
        sql: "UPDATE main.accounts AS b SET updated_at = $2, deleted_at = COALESCE( \
              (SELECT p.deleted_at FROM present.accounts p WHERE p.id = b.id), $2) \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, id AS account_id, NULL AS project_id",
    },
    Ending {
        what: "operator-key",
        kind: EventKind::OperatorKeyRevoked,
        sql: "UPDATE main.operator_keys SET stops_at = $2 \
              WHERE id IN (SELECT value ->> 0 FROM json_each($1)) \
              RETURNING id, NULL AS account_id, NULL AS project_id",
    },
];

/// What goes with them: what is sealed of keys (`$1`) and of projects, and grants of access keys.
const ERASURES: [&str; 3] = [
    "DELETE FROM main.sealed_keys WHERE key_id IN (SELECT value ->> 0 FROM json_each($1))",
    "DELETE FROM main.sealed_keys WHERE project_id IN (SELECT id FROM main.projects \
     WHERE $1 IS NOT NULL AND (deleted_at IS NOT NULL OR key_storage = 'hashed'))",
    "DELETE FROM main.reveal_grants WHERE access_key_id IN (SELECT id FROM main.access_keys \
     WHERE $1 IS NOT NULL AND (deleted_at IS NOT NULL OR NOT is_active))",
];

/// Nobody is signed in by a copy: who signed out meanwhile, or was ended, stays so, and all others sign in
/// again. Codes that were used up meanwhile stay used up, and so do invitations: whoever has accepted one
/// and was dismissed since must not accept it again. What waited to be mailed was, or is of no use.
const SIGN_OUTS: [&str; 5] = [
    "DELETE FROM main.session_tokens",
    "DELETE FROM main.sessions",
    "DELETE FROM main.one_time_codes",
    "UPDATE main.invitations SET status = 'cancelled' WHERE status = 'pending'",
    "DELETE FROM main.mails WHERE next_at IS NOT NULL",
];

/// What goes with a project or an account that stays deleted: the present file may have removed the
/// rows themselves since, so that it cannot say so of each.
const BURIALS: [&str; 7] = [
    "UPDATE main.projects SET deleted_at = $1 WHERE deleted_at IS NULL AND account_id IN \
     (SELECT id FROM main.accounts WHERE deleted_at IS NOT NULL)",
    "UPDATE main.api_keys SET deleted_at = $1 WHERE deleted_at IS NULL AND project_id IN \
     (SELECT id FROM main.projects WHERE deleted_at IS NOT NULL)",
    "UPDATE main.connected_accounts SET deleted_at = $1 WHERE deleted_at IS NULL AND (project_id IN \
     (SELECT id FROM main.projects WHERE deleted_at IS NOT NULL) OR account_id IN \
     (SELECT id FROM main.accounts WHERE deleted_at IS NOT NULL))",
    "UPDATE main.mcp_servers SET deleted_at = $1 WHERE deleted_at IS NULL AND (project_id IN \
     (SELECT id FROM main.projects WHERE deleted_at IS NOT NULL) OR account_id IN \
     (SELECT id FROM main.accounts WHERE deleted_at IS NOT NULL))",
    "UPDATE main.connectors SET deleted_at = $1 WHERE deleted_at IS NULL AND account_id IN \
     (SELECT id FROM main.accounts WHERE deleted_at IS NOT NULL)",
    "UPDATE main.webhooks SET deleted_at = $1 WHERE deleted_at IS NULL AND (project_id IN \
     (SELECT id FROM main.projects WHERE deleted_at IS NOT NULL) OR account_id IN \
     (SELECT id FROM main.accounts WHERE deleted_at IS NOT NULL))",
    "UPDATE main.access_keys SET deleted_at = $1 WHERE deleted_at IS NULL AND account_id IN \
     (SELECT id FROM main.accounts WHERE deleted_at IS NOT NULL)",
];

impl Undone {
    /// Whether it can be ended in the copy, too.
    pub fn can_be_kept(&self) -> bool {
        ENDINGS.iter().any(|ending| ending.what == self.what)
    }
}

/// Ends in a copy what is to stay ended, and notes in its trail that it was put in place, with
/// `data`. All of it happens, or nothing.
pub async fn settle(
    copy: &Path,
    kept: Option<Kept<'_>>,
    change: &Change,
    data: Value,
) -> Result<(), StoreError> {
    let mut connection = match kept {
        Some(Kept { present, .. }) => attached(copy, present, "present").await?,
        None => copies::open(copy).await?,
    };
    execute(&mut connection, "BEGIN IMMEDIATE").await?;
    let mut tx = Tx::of(Open::Sqlite(Box::new(connection)));
    let ended = kept.map_or(&[][..], |kept| kept.ended);
    let settled = settle_in(&mut tx, ended, change, data).await;
    let Open::Sqlite(mut connection) = tx.open else {
        unreachable!("it was made of a connection to SQLite");
    };
    let end = if settled.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let closed = execute(&mut connection, end).await;
    connection.close().await?;
    settled.and(closed)
}

async fn settle_in(
    tx: &mut Tx,
    ended: &[Undone],
    change: &Change,
    data: Value,
) -> Result<(), StoreError> {
    for Ending { what, kind, sql } in ENDINGS {
        let ids: Vec<_> = ended
            .iter()
            .filter(|one| one.what == what)
            .map(|one| [&one.id])
            .collect();
        if ids.is_empty() {
            continue;
        }
        let connection = tx.on_sqlite().expect("copies are files of SQLite");
        let rows = sqlx::query(sql)
            .bind(json!(ids).to_string())
            .bind(change.now.as_micros())
            .fetch_all(connection)
            .await?;
        for row in rows {
            let (id, account, project): (String, Option<String>, Option<String>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let data = json!({"kept": true});
            match account {
                Some(account) => {
                    let event = NewEvent {
                        kind,
                        account: Id::from_trusted(account),
                        project: project.map(Id::from_trusted),
                        target: id,
                        data,
                    };
                    events::append(tx, change, event).await?;
                }
                None => instance::note(tx, change, kind, &id, data).await?,
            }
        }
    }
    for sql in SIGN_OUTS {
        on!(&mut *tx, |c| sqlx::query(sql).execute(c).await.map(drop))?;
    }
    for sql in BURIALS {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(change.now.as_micros())
            .execute(c)
            .await
            .map(drop))?;
    }
    let ids: Vec<_> = ended.iter().map(|one| [&one.id]).collect();
    for sql in ERASURES {
        on!(&mut *tx, |c| sqlx::query(sql)
            .bind(json!(ids).to_string())
            .execute(c)
            .await
            .map(drop))?;
    }
    let kind = EventKind::InstanceRestored;
    instance::note(tx, change, kind, "instance", data).await
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(connection).await?;
    Ok(())
}
