//! Which links to sealed secrets were opened. The secrets themselves are in no row: a handle holds its own,
//! sealed, and is remembered by its digest from when it is opened until it ends.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::connected_accounts::ConnectedAccount;
use crate::db::on;
use crate::{Change, StoreError, Tx};

/// A link that somebody opens.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The digest of its handle.
    pub digest: &'a KeyDigest,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The connected account that the secret came through.
    pub connected: &'a ConnectedAccount,
    /// The MCP server that the secret came through.
    pub server: &'a Id<id::McpServer>,
    /// The resource, the method and the member of its answer that the secret was in.
    pub field: &'a str,
}

/// Opens a link, unless it was opened before; who opened what is in the trail.
pub async fn open(tx: &mut Tx, change: &Change, opening: Opening<'_>) -> Result<bool, StoreError> {
    const FORGET: &str = "DELETE FROM opened_handles WHERE expires_at <= $1";
    const SQL: &str =
        "INSERT INTO opened_handles (digest, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    on!(&mut *tx, |c| sqlx::query(FORGET)
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let opened = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(&opening.digest.as_bytes()[..])
        .bind(opening.expires_at.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if opened == 0 {
        return Ok(false);
    }
    let connected = opening.connected;
    let event = NewEvent {
        kind: EventKind::SealedSecretRevealed,
        account: connected.account.id.clone(),
        project: connected.project.clone(),
        target: opening.server.to_string(),
        data: json!({"integratedAccountId": connected.id, "field": opening.field}),
    };
    crate::events::append(tx, change, event).await?;
    Ok(true)
}
