//! Usage by project: sums that are written with what is counted, so that they are as new as the last
//! flush, and say the same after a key is gone.

use std::collections::BTreeMap;
use std::ops::Range;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;

use super::{IN_ONE_GO, UsageHour};
use crate::db::on;
use crate::page::Page;
use crate::reach::ReachBinds;
use crate::{Db, StoreError};

/// Sums by project and hour, in the order in which they are written.
pub(crate) type Sums<'a> = BTreeMap<(&'a Id<id::Project>, i64), UsageCounts>;

/// How finely usage is read: nothing is coarser than a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By hour.
    Hour,
    /// By day, named by its first hour.
    Day,
}

impl Step {
    /// The hour by which a row of that hour is named.
    pub fn of(self, hour: i64) -> i64 {
        match self {
            Self::Hour => hour,
            Self::Day => hour.div_euclid(24) * 24,
        }
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct CountsRow {
    pub(crate) first_hour: i64,
    pub(crate) successful: i64,
    pub(crate) failed: i64,
    pub(crate) rate_limited: i64,
}

impl CountsRow {
    pub(crate) fn counts(&self) -> UsageCounts {
        UsageCounts {
            successful: self.successful.unsigned_abs(),
            failed: self.failed.unsigned_abs(),
            rate_limited: self.rate_limited.unsigned_abs(),
        }
    }
}

/// Adds up what is flushed. Some at a time: others run in between.
pub(crate) async fn added_up<'a>(hours: &[UsageHour<'a>]) -> Sums<'a> {
    let mut sums = Sums::new();
    for some in hours.chunks(IN_ONE_GO) {
        for one in some.iter().filter(|one| one.counts.total() > 0) {
            let sum = sums.entry((one.project, one.hour));
            sum.or_default().add(one.counts);
        }
        tokio::task::yield_now().await;
    }
    sums
}

/// What was counted of a project, the earliest first.
pub async fn totals(
    db: &Db,
    project: &Id<id::Project>,
    hours: &Range<i64>,
    step: Step,
) -> Result<Vec<(i64, UsageCounts)>, StoreError> {
    const BY_HOUR: &str = "SELECT hour AS first_hour, successful, failed, rate_limited \
                           FROM usage_projects WHERE project_id = $1 AND hour >= $2 AND hour < $3 \
                           ORDER BY hour";
    const BY_DAY: &str = "SELECT hour / 24 * 24 AS first_hour, \
                          CAST(SUM(successful) AS BIGINT) AS successful, \
                          CAST(SUM(failed) AS BIGINT) AS failed, \
                          CAST(SUM(rate_limited) AS BIGINT) AS rate_limited \
                          FROM usage_projects WHERE project_id = $1 AND hour >= $2 AND hour < $3 \
                          GROUP BY hour / 24 ORDER BY 1";
    let sql = match step {
        Step::Hour => BY_HOUR,
        Step::Day => BY_DAY,
    };
    let rows: Vec<CountsRow> = on!(read db, |c| sqlx::query_as(sql)
        .bind(project.as_str())
        .bind(hours.start)
        .bind(hours.end)
        .fetch_all(c)
        .await)?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.first_hour, row.counts())).collect())
}

/// The first hour of which usage is kept by hour: of days before it nobody knows the hours.
pub async fn kept_by_hour_from(db: &Db) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT position FROM jobs WHERE name = 'usage'";
    let position: Option<i64> = on!(read db, |c| sqlx::query_scalar(SQL).fetch_optional(c).await)?;
    // The next day is on its way out, once the job runs again.
    Ok(position
        .filter(|hour| *hour > 0)
        .map_or(0, |hour| hour + 24))
}

/// When the first key of a project passed.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FirstCall {
    /// The project.
    #[sqlx(try_from = "String")]
    pub project_id: Id<id::Project>,
    /// Its name.
    pub name: String,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When a key of it passed for the first time, in microseconds since 1970.
    pub first_call_at: Option<i64>,
}

/// When keys passed for the first time, of the projects of an account within the reach; and how many
/// projects there are.
pub async fn first_calls(
    db: &Db,
    reach: &Reach,
    account: &Id<id::Account>,
    project: Option<&Id<id::Project>>,
    page: &Page,
) -> Result<(Vec<FirstCall>, i64), StoreError> {
    macro_rules! within {
        () => {
            " FROM projects WHERE deleted_at IS NULL AND account_id = $4 \
             AND ($5 IS NULL OR id = $5) \
             AND ($1 OR account_id IN (SELECT value ->> 0 FROM json_each($2)) \
             OR root_account_id IN (SELECT value ->> 0 FROM json_each($2)) \
             OR id IN (SELECT value ->> 0 FROM json_each($3)))"
        };
    }
    const LIST: &str = concat!(
        "SELECT id AS project_id, name, created_at, first_call_at",
        within!(),
        " ORDER BY created_at, id LIMIT $6 OFFSET $7"
    );
    const COUNT: &str = concat!("SELECT COUNT(*)", within!());
    let binds = ReachBinds::of(reach);
    let found = on!(read db, |c| sqlx::query_as(LIST)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(account.as_str())
        .bind(project.map(Id::as_str))
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let count = on!(read db, |c| sqlx::query_scalar(COUNT)
        .bind(binds.everything)
        .bind(&binds.accounts)
        .bind(&binds.projects)
        .bind(account.as_str())
        .bind(project.map(Id::as_str))
        .fetch_one(c)
        .await)?;
    Ok((found, count))
}
