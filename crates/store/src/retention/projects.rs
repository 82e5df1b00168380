//! Usage of projects that is old: the same as of their keys, with sums in place of keys' rows.

use std::collections::BTreeMap;
use std::ops::Range;

use claviger_domain::id::{self, Id};
use claviger_domain::usage::UsageCounts;

use super::usage::{HOURS_IN_A_DAY, list_of};
use crate::db::on;
use crate::usage::by_project::CountsRow;
use crate::usage::{next_ids, rows};
use crate::{Db, StoreError};

/// The next projects that something was counted of, in the order of their ids, from behind `after` on.
pub async fn projects_with_usage(
    db: &Db,
    after: &str,
    most: i64,
) -> Result<Vec<String>, StoreError> {
    const SQL: &str = next_ids!("usage_projects", "project_id");
    Ok(on!(usage db, |c| sqlx::query_scalar(SQL)
        .bind(after)
        .bind(most)
        .fetch_all(c)
        .await)?)
}

#[derive(sqlx::FromRow)]
struct Row {
    project_id: String,
    #[sqlx(flatten)]
    counted: CountsRow,
}

/// Adds up hours of those projects to days, `most` of them at once, and gives how many hours that were.
pub async fn fold_project_days(
    db: &Db,
    projects: &[String],
    hours: Range<i64>,
    most: i64,
) -> Result<u64, StoreError> {
    const TAKE: &str = "DELETE FROM usage_projects WHERE (project_id, hour) IN \
                        (SELECT project_id, hour FROM usage_projects \
                        WHERE project_id IN (SELECT value ->> 0 FROM json_each($1)) \
                        AND hour >= $2 AND hour < $3 AND hour % 24 <> 0 LIMIT $4) \
                        RETURNING project_id, hour AS first_hour, successful, failed, rate_limited";
    let list = list_of(projects);
    on!(usage db, |pool| {
        let mut tx = pool.begin().await?;
        let taken: Vec<Row> = sqlx::query_as(TAKE)
            .bind(list)
            .bind(hours.start)
            .bind(hours.end)
            .bind(most)
            .fetch_all(&mut *tx)
            .await?;
        let count = taken.len();
        let mut days: BTreeMap<(Id<id::Project>, i64), UsageCounts> = BTreeMap::new();
        for Row { project_id, counted } in taken {
            let first = counted.first_hour.div_euclid(HOURS_IN_A_DAY) * HOURS_IN_A_DAY;
            let day = days.entry((Id::from_trusted(project_id), first)).or_default();
            day.add(counted.counts());
        }
        let sums = days.iter().map(|((project, hour), counts)| ((project, *hour), *counts));
        rows::write_projects!(tx, sums);
        tx.commit().await?;
        Ok(count as u64)
    })
}

/// Removes what was counted of those projects before that hour, `most` rows at once, and gives how many
/// those were.
pub async fn remove_project_days(
    db: &Db,
    projects: &[String],
    before_hour: i64,
    most: i64,
) -> Result<u64, StoreError> {
    const REMOVE: &str = "DELETE FROM usage_projects WHERE (project_id, hour) IN \
                          (SELECT project_id, hour FROM usage_projects \
                          WHERE project_id IN (SELECT value ->> 0 FROM json_each($1)) \
                          AND hour < $2 LIMIT $3)";
    Ok(on!(usage db, |c| sqlx::query(REMOVE)
        .bind(list_of(projects))
        .bind(before_hour)
        .bind(most)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
