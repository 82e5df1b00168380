//! Who does a job that several programs over one database could do, and when it is due again.

use claviger_domain::time::Timestamp;

use crate::db::on;
use crate::{Db, StoreError, Tx};

/// A job as it is claimed: who would do it, for how long nobody else begins it, how often it is due.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub name: &'static str,
    /// The program that would do it.
    pub holder: String,
    /// Seconds for which it is nobody else's; claiming it again begins them anew.
    pub lease_seconds: i64,
    /// Seconds from one run to the next.
    pub every_seconds: i64,
}

/// Claims a job that is due and that nobody else does, and gives how far it came; none otherwise. What
/// a clock wrote that was ahead by longer than a lease keeps nobody from it; one that is less ahead is
/// another program's, whose lease is believed.
pub async fn claim(db: &Db, claim: &Claim, now: Timestamp) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "INSERT INTO jobs (name, holder, held_until, next_at, position) \
                       VALUES ($1, $2, $3, 0, 0) \
                       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
                       held_until = excluded.held_until \
                       WHERE (jobs.next_at <= $4 OR jobs.next_at > $5) \
                       AND (jobs.held_until <= $4 OR jobs.held_until > $6 OR jobs.holder = $2) \
                       RETURNING position";
    let claim = claim.clone();
    db.write(move |tx| {
        Box::pin(async move {
            Ok(on!(tx, |c| sqlx::query_scalar(SQL)
                .bind(claim.name)
                .bind(claim.holder)
                .bind(now.plus_seconds(claim.lease_seconds).as_micros())
                .bind(now.as_micros())
                .bind(now.plus_seconds(2 * claim.every_seconds).as_micros())
                .bind(now.plus_seconds(2 * claim.lease_seconds).as_micros())
                .fetch_optional(c)
                .await)?)
        })
    })
    .await
}

/// Holds a claimed job for longer, in the change that depends on it; `false` for who has lost it.
pub async fn keep(tx: &mut Tx, claim: &Claim, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE jobs SET held_until = $3 WHERE name = $1 AND holder = $2";
    let kept = on!(tx, |c| sqlx::query(SQL)
        .bind(claim.name)
        .bind(&claim.holder)
        .bind(now.plus_seconds(claim.lease_seconds).as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(kept > 0)
}

/// Gives a claimed job back that could not be done, so that any program may do it at once, from where the
/// last one that did it came to.
pub async fn give_back(db: &Db, claim: &Claim) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE jobs SET held_until = 0 WHERE name = $1 AND holder = $2";
    let claim = claim.clone();
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(claim.name)
                .bind(claim.holder)
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}

/// Notes that a claimed job is done, and how far it came. Nothing is noted for who has lost it.
pub async fn finish(
    db: &Db,
    claim: &Claim,
    position: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE jobs SET held_until = 0, next_at = $3, done_at = $4, position = $5 \
                       WHERE name = $1 AND holder = $2";
    let claim = claim.clone();
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(claim.name)
                .bind(claim.holder)
                .bind(now.plus_seconds(claim.every_seconds).as_micros())
                .bind(now.as_micros())
                .bind(position)
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}

/// When each job was done last, by whichever program.
pub async fn last_done(db: &Db) -> Result<Vec<(String, Timestamp)>, StoreError> {
    const SQL: &str = "SELECT name, done_at FROM jobs WHERE done_at IS NOT NULL ORDER BY name";
    let rows: Vec<(String, i64)> = on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(name, at)| (name, Timestamp::from_micros(at)))
        .collect())
}
