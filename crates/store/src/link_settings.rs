//! Where whoever connected an account goes back to, as the account that asked has said: the pages to which
//! they are sent, and the origins whose pages are told what came of it.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use serde_json::json;

use crate::db::on;
use crate::{Change, Db, StoreError, Tx};

/// What an account has said; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// URLs to which a browser may be sent, each as it is written.
    pub redirect_uris: Vec<String>,
    /// Scheme, host and port of pages that may be told.
    pub origins: Vec<String>,
}

/// The settings that count for an account: its own, else those of the account above it.
pub async fn meant_by(db: &Db, account: &AccountRef) -> Result<LinkSettings, StoreError> {
    const SQL: &str = "SELECT redirect_uris, origins FROM link_settings \
                       WHERE account_id IN ($1, $2) \
                       ORDER BY CASE WHEN account_id = $1 THEN 0 ELSE 1 END LIMIT 1";
    let row: Option<(String, String)> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(account.id.as_str())
        .bind(account.root.as_str())
        .fetch_optional(c)
        .await)?;
    let Some((redirect_uris, origins)) = row else {
        return Ok(LinkSettings::default());
    };
    let read = |text: &str, what| {
        serde_json::from_str(text).map_err(|_| StoreError::Row {
            table: "link_settings",
            what,
        })
    };
    Ok(LinkSettings {
        redirect_uris: read(&redirect_uris, "redirect_uris")?,
        origins: read(&origins, "origins")?,
    })
}

/// Puts them in the place of those that an account had.
pub async fn set(
    tx: &mut Tx,
    change: &Change,
    account: &Id<id::Account>,
    settings: &LinkSettings,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO link_settings (account_id, redirect_uris, origins, updated_at) \
                       VALUES ($1, $2, $3, $4) ON CONFLICT (account_id) DO UPDATE SET \
                       redirect_uris = excluded.redirect_uris, origins = excluded.origins, \
                       updated_at = excluded.updated_at";
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(account.as_str())
        .bind(json!(settings.redirect_uris).to_string())
        .bind(json!(settings.origins).to_string())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let event = NewEvent {
        kind: EventKind::LinkSettingsUpdated,
        account: account.clone(),
        project: None,
        target: account.to_string(),
        data: json!({"redirectUris": settings.redirect_uris, "origins": settings.origins}),
    };
    crate::events::append(tx, change, event).await
}
