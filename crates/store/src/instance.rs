//! Whether anybody has set this instance up, and the trail of what concerns all of it.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::Id;
use serde_json::Value;

use crate::db::on;
use crate::{Change, StoreError, Tx, events};

/// Whether no operator key has been made yet.
///
/// Until the transaction ends no other can find that: of two nodes that start at once over one
/// database, one sets it up.
pub async fn is_new(tx: &mut Tx) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM operator_keys";
    // The secrets are there before anything else.
    hold(tx).await?;
    let keys: i64 = on!(tx, |c| sqlx::query_scalar(COUNT).fetch_one(c).await)?;
    Ok(keys == 0)
}

/// Holds the secrets of the instance until the transaction ends: what is read of them after that is
/// what no other can change meanwhile.
pub async fn hold(tx: &mut Tx) -> Result<(), StoreError> {
    const HOLD: &str = "UPDATE sealed_secrets SET name = name";
    on!(tx, |c| sqlx::query(HOLD).execute(c).await.map(drop))?;
    Ok(())
}

/// Writes an event of the whole instance into the trail of its first account, which is whose runs
/// it. Where there is no account yet, there is no trail.
pub async fn note(
    tx: &mut Tx,
    change: &Change,
    kind: EventKind,
    target: &str,
    data: Value,
) -> Result<(), StoreError> {
    const FIRST: &str = "SELECT id FROM accounts ORDER BY created_at, id LIMIT 1";
    let first: Option<String> = on!(&mut *tx, |c| sqlx::query_scalar(FIRST)
        .fetch_optional(c)
        .await)?;
    let Some(account) = first else {
        return Ok(());
    };
    let event = NewEvent {
        kind,
        account: Id::from_trusted(account),
        project: None,
        target: target.to_owned(),
        data,
    };
    events::append(tx, change, event).await
}
