//! Other tokens for a connected account: fetched by one program at a time, and kept in the place of those
//! that they were fetched with.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;

use super::{ConnectedAccount, Row, append};
use crate::db::on;
use crate::{Change, Db, StoreError, Tx};

/// What another program may be fetching something else for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewable {
    /// The credentials.
    pub sealed: Vec<u8>,
    /// Until when a program has the fetching to itself.
    pub claimed_until: Option<Timestamp>,
}

/// Reads the credentials of a connected account, and whether a program fetches others.
pub async fn renewable(
    db: &Db,
    id: &Id<id::ConnectedAccount>,
) -> Result<Option<Renewable>, StoreError> {
    const SQL: &str = "SELECT credentials, renewed_until FROM connected_accounts \
                       WHERE id = $1 AND deleted_at IS NULL";
    let row: Option<(Vec<u8>, Option<i64>)> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(|(sealed, until)| Renewable {
        sealed,
        claimed_until: until.map(Timestamp::from_micros),
    }))
}

/// Claims the fetching of other tokens until an instant; `false` where another program has claimed it, or the
/// connected account has other credentials by now.
pub async fn claim_renewal(
    tx: &mut Tx,
    id: &Id<id::ConnectedAccount>,
    sealed: &[u8],
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE connected_accounts SET renewed_until = $3 \
                       WHERE id = $1 AND credentials = $2 AND deleted_at IS NULL \
                       AND (renewed_until IS NULL OR renewed_until <= $4)";
    let claimed = on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(sealed)
        .bind(until.as_micros())
        .bind(now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(claimed == 1)
}

/// Keeps a claim for longer, while what was fetched cannot be stored.
pub async fn extend_renewal(
    tx: &mut Tx,
    id: &Id<id::ConnectedAccount>,
    sealed: &[u8],
    until: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE connected_accounts SET renewed_until = $3 \
                       WHERE id = $1 AND credentials = $2 AND renewed_until IS NOT NULL";
    on!(tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(sealed)
        .bind(until.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Keeps what was fetched, in the place of what it was fetched with; without any, lets others try. `false`
/// where the connected account has other credentials by now, or is gone.
pub async fn end_renewal(
    tx: &mut Tx,
    change: &Change,
    id: &Id<id::ConnectedAccount>,
    sealed: &[u8],
    renewed: Option<&[u8]>,
) -> Result<bool, StoreError> {
    const SQL: &str = concat!(
        "UPDATE connected_accounts SET credentials = $3, renewed_until = NULL \
         WHERE id = $1 AND credentials = $2 AND deleted_at IS NULL RETURNING ",
        columns!()
    );
    let row: Option<Row> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id.as_str())
        .bind(sealed)
        .bind(renewed.unwrap_or(sealed))
        .fetch_optional(c)
        .await)?;
    let Some(connected) = row.map(ConnectedAccount::try_from).transpose()? else {
        return Ok(false);
    };
    if renewed.is_some() {
        let kind = EventKind::ConnectedAccountRenewed;
        append(tx, change, kind, &connected).await?;
    }
    Ok(true)
}
