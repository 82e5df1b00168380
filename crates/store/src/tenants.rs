//! Tenants: customers that were made with all that they have, once for each id that their maker gave.

use crate::db::on;
use crate::{Change, StoreError, Tx};

/// Whose customer, by which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKey {
    /// The account or the user whose customer it is; empty for the operator.
    pub maker: String,
    /// The id that the maker gave.
    pub external_id: String,
}

/// Claims an id; what was answered before where it was used. Of two who come at once the second waits
/// for the first.
pub async fn claim(
    tx: &mut Tx,
    change: &Change,
    key: &TenantKey,
) -> Result<Option<String>, StoreError> {
    // One whose account was deleted since is made anew.
    const OVER: &str = "DELETE FROM tenants WHERE maker = $1 AND external_id = $2 AND account_id IN \
                        (SELECT id FROM accounts WHERE deleted_at IS NOT NULL)";
    const SQL: &str = "INSERT INTO tenants (maker, external_id, account_id, answer, created_at) \
                       VALUES ($1, $2, '', '', $3) ON CONFLICT DO NOTHING";
    const ANSWER: &str = "SELECT answer FROM tenants WHERE maker = $1 AND external_id = $2";
    on!(&mut *tx, |c| sqlx::query(OVER)
        .bind(&key.maker)
        .bind(&key.external_id)
        .execute(c)
        .await
        .map(drop))?;
    let claimed = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(&key.maker)
        .bind(&key.external_id)
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if claimed == 1 {
        return Ok(None);
    }
    Ok(on!(tx, |c| sqlx::query_scalar(ANSWER)
        .bind(&key.maker)
        .bind(&key.external_id)
        .fetch_optional(c)
        .await)?)
}

/// Keeps what is answered of a tenant that was claimed, without its secrets.
pub async fn keep(
    tx: &mut Tx,
    key: &TenantKey,
    account: &str,
    answer: &str,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE tenants SET account_id = $3, answer = $4 \
                       WHERE maker = $1 AND external_id = $2";
    on!(tx, |c| sqlx::query(SQL)
        .bind(&key.maker)
        .bind(&key.external_id)
        .bind(account)
        .bind(answer)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
