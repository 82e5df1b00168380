//! Whether anybody has set this instance up.

use crate::db::on;
use crate::{StoreError, Tx};

/// Whether no operator key has been made yet.
///
/// Until the transaction ends no other can find that: of two nodes that start at once over one
/// database, one sets it up.
pub async fn is_new(tx: &mut Tx) -> Result<bool, StoreError> {
    // The secrets are there before anything else, and nothing else changes them.
    const HOLD: &str = "UPDATE sealed_secrets SET name = name";
    const COUNT: &str = "SELECT COUNT(*) FROM operator_keys";
    on!(&mut *tx, |c| sqlx::query(HOLD).execute(c).await.map(drop))?;
    let keys: i64 = on!(tx, |c| sqlx::query_scalar(COUNT).fetch_one(c).await)?;
    Ok(keys == 0)
}
