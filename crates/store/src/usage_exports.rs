//! How far the exports of usage came that the program makes by itself: each period once.

use claviger_domain::time::Timestamp;

use crate::db::on;
use crate::jobs::{self, Claim};
use crate::{Db, StoreError};

/// How far the export of a period came.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Progress {
    /// Parts that were taken.
    pub parts: i64,
    /// Rows in them.
    pub rows: i64,
    /// The key behind which it goes on.
    pub after: String,
    /// The last key of the part that may be on its way.
    pub until: Option<String>,
    /// When it was done, in microseconds since 1970; none while it is not.
    pub finished_at: Option<i64>,
}

/// A part as it is sent, also when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Part {
    /// Its number, from 1 on.
    pub number: i64,
    /// Keys in it.
    pub rows: i64,
    /// What it is.
    pub content_type: String,
    /// All of it.
    pub body: String,
}

/// How far the export of a period came; none where it was not begun.
pub async fn find(db: &Db, period: &str) -> Result<Option<Progress>, StoreError> {
    const SQL: &str = "SELECT parts, exported_rows AS rows, after_key AS after, \
                       until_key AS until, finished_at FROM usage_exports WHERE period = $1";
    Ok(on!(read db, |c| sqlx::query_as(SQL).bind(period).fetch_optional(c).await)?)
}

/// The part with that number, where it may be on its way.
pub async fn part(db: &Db, period: &str, number: i64) -> Result<Option<Part>, StoreError> {
    const SQL: &str = "SELECT part AS number, body_rows AS rows, content_type, body \
                       FROM usage_export_bodies WHERE period = $1 AND part = $2";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(period)
        .bind(number)
        .fetch_optional(c)
        .await)?)
}

/// The last period of a length that was done, by how long its name is.
pub async fn last_finished(db: &Db, length: usize) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT MAX(period) FROM usage_exports \
                       WHERE finished_at IS NOT NULL AND LENGTH(period) = $1";
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    Ok(on!(read db, |c| sqlx::query_scalar(SQL).bind(length).fetch_one(c).await)?)
}

/// Notes how far the export of a period came, and holds the job for longer; `false` for who has lost it,
/// such as a program that was frozen while another went on: then nothing is noted. With it the part that is
/// to be sent next, until the next one or the end.
pub async fn note(
    db: &Db,
    claim: &Claim,
    period: &str,
    progress: &Progress,
    part: Option<Part>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO usage_exports \
        (period, parts, exported_rows, after_key, until_key, finished_at, noted_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (period) DO UPDATE SET \
        parts = excluded.parts, exported_rows = excluded.exported_rows, \
        after_key = excluded.after_key, until_key = excluded.until_key, \
        finished_at = excluded.finished_at, noted_at = excluded.noted_at \
        WHERE usage_exports.finished_at IS NULL AND usage_exports.parts <= excluded.parts";
    const PART: &str = "INSERT INTO usage_export_bodies \
        (period, part, body_rows, content_type, body) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (period) DO UPDATE SET part = excluded.part, \
        body_rows = excluded.body_rows, content_type = excluded.content_type, body = excluded.body";
    const OVER: &str = "DELETE FROM usage_export_bodies WHERE period = $1";
    let (claim, period, progress) = (claim.clone(), period.to_owned(), progress.clone());
    db.write(move |tx| {
        Box::pin(async move {
            if !jobs::keep(tx, &claim, now).await? {
                return Ok(false);
            }
            if progress.finished_at.is_some() {
                on!(&mut *tx, |c| sqlx::query(OVER)
                    .bind(&period)
                    .execute(c)
                    .await
                    .map(drop))?;
            } else if let Some(part) = part {
                on!(&mut *tx, |c| sqlx::query(PART)
                    .bind(&period)
                    .bind(part.number)
                    .bind(part.rows)
                    .bind(part.content_type)
                    .bind(part.body)
                    .execute(c)
                    .await
                    .map(drop))?;
            }
            on!(tx, |c| sqlx::query(SQL)
                .bind(period)
                .bind(progress.parts)
                .bind(progress.rows)
                .bind(progress.after)
                .bind(progress.until)
                .bind(progress.finished_at)
                .bind(now.as_micros())
                .execute(c)
                .await
                .map(drop))?;
            Ok(true)
        })
    })
    .await
}
