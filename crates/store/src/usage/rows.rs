//! Counters as the rows that are read: each statement adds many.

use claviger_domain::id::{self, Id};
use claviger_domain::limit::Allowance;
use claviger_domain::time::Timestamp;

use super::by_project::Step;
use super::{Flush, UsageHour};

/// Rows in one statement: a millisecond of SQLite's. As values and not as a JSON list, which takes
/// it three times as long. All but the last statement of a kind are the same text, prepared once.
pub(crate) const ROWS: usize = 100;

pub(crate) const HOURS: &str = "INSERT INTO usage_hours \
    (key_id, hour, project_id, successful, failed, rate_limited, last_used_at) ";

pub(crate) const ADD_HOURS: &str = " ON CONFLICT (key_id, hour) DO UPDATE SET \
    successful = usage_hours.successful + excluded.successful, \
    failed = usage_hours.failed + excluded.failed, \
    rate_limited = usage_hours.rate_limited + excluded.rate_limited, \
    last_used_at = CASE WHEN usage_hours.last_used_at IS NULL \
    OR excluded.last_used_at > usage_hours.last_used_at \
    THEN excluded.last_used_at ELSE usage_hours.last_used_at END";

pub(crate) const DAYS: &str = "INSERT INTO usage_days \
    (key_id, day, project_id, successful, failed, rate_limited) ";

pub(crate) const ADD_DAYS: &str = " ON CONFLICT (key_id, day) DO UPDATE SET \
    successful = usage_days.successful + excluded.successful, \
    failed = usage_days.failed + excluded.failed, \
    rate_limited = usage_days.rate_limited + excluded.rate_limited";

pub(crate) const PROJECTS: &str = "INSERT INTO usage_projects \
    (project_id, hour, successful, failed, rate_limited) ";

pub(crate) const ADD_PROJECTS: &str = " ON CONFLICT (project_id, hour) DO UPDATE SET \
    successful = usage_projects.successful + excluded.successful, \
    failed = usage_projects.failed + excluded.failed, \
    rate_limited = usage_projects.rate_limited + excluded.rate_limited";

pub(crate) const ALLOWANCES: &str = "INSERT INTO allowances (lineage, window_started_at, \
    window_ends_at, window_used, quota_ends_at, quota_used, at) ";

/// What is folded late must not take the place of what was written since, but for what a clock that
/// was ahead wrote: after it comes the present instant.
pub(crate) const REPLACE_ALLOWANCES: &str = " ON CONFLICT (lineage) DO UPDATE SET \
    window_started_at = excluded.window_started_at, \
    window_ends_at = excluded.window_ends_at, window_used = excluded.window_used, \
    quota_ends_at = excluded.quota_ends_at, quota_used = excluded.quota_used, at = excluded.at \
    WHERE allowances.at <= excluded.at OR allowances.at > ";

/// A count as rows have it; none gets near what does not fit.
pub(crate) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

type Running<'a> = (&'a Id<id::ApiKey>, Allowance, Timestamp);

/// Rows are written in one order everywhere: two nodes that count the same keys must not wait for
/// each other.
pub(crate) fn in_order<'a>(flush: &Flush<'a>) -> (Vec<UsageHour<'a>>, Vec<Running<'a>>) {
    let mut hours = flush.hours.clone();
    hours.sort_unstable_by_key(|one| (one.key, one.hour));
    let mut allowances = flush.allowances.clone();
    allowances.sort_unstable_by_key(|(lineage, ..)| *lineage);
    (hours, allowances)
}

/// What was counted of a key in a day, the first hour of which is named.
pub(crate) fn days<'a>(hours: &[UsageHour<'a>]) -> Vec<UsageHour<'a>> {
    let mut days: Vec<UsageHour<'a>> = Vec::new();
    // Those of one key come together.
    for one in hours.iter().filter(|one| one.counts.total() > 0) {
        let hour = Step::Day.of(one.hour);
        match days.last_mut() {
            Some(day) if day.key == one.key && day.hour == hour => day.counts.add(one.counts),
            _ => days.push(UsageHour { hour, ..*one }),
        }
    }
    days
}

/// Writes a flush in a transaction. A macro, because the two engines' are two types.
macro_rules! write {
    ($tx:ident, $flush:expr) => {{
        let (hours, allowances) = $crate::usage::rows::in_order($flush);
        for rows in hours.chunks($crate::usage::rows::ROWS) {
            use $crate::usage::rows::stored;
            let mut query = sqlx::QueryBuilder::new($crate::usage::rows::HOURS);
            query.push_values(rows, |mut row, one| {
                row.push_bind(one.key.as_str())
                    .push_bind(one.hour)
                    .push_bind(one.project.as_str())
                    .push_bind(stored(one.counts.successful))
                    .push_bind(stored(one.counts.failed))
                    .push_bind(stored(one.counts.rate_limited))
                    .push_bind(
                        one.last_used_at
                            .map(claviger_domain::time::Timestamp::as_micros),
                    );
            });
            query.push($crate::usage::rows::ADD_HOURS);
            query.build().execute(&mut *$tx).await?;
        }
        for rows in $crate::usage::rows::days(&hours).chunks($crate::usage::rows::ROWS) {
            use $crate::usage::rows::stored;
            let mut query = sqlx::QueryBuilder::new($crate::usage::rows::DAYS);
            query.push_values(rows, |mut row, one| {
                row.push_bind(one.key.as_str())
                    .push_bind(one.hour / 24)
                    .push_bind(one.project.as_str())
                    .push_bind(stored(one.counts.successful))
                    .push_bind(stored(one.counts.failed))
                    .push_bind(stored(one.counts.rate_limited));
            });
            query.push($crate::usage::rows::ADD_DAYS);
            query.build().execute(&mut *$tx).await?;
        }
        for rows in allowances.chunks($crate::usage::rows::ROWS) {
            use $crate::usage::rows::stored;
            let mut query = sqlx::QueryBuilder::new($crate::usage::rows::ALLOWANCES);
            query.push_values(rows, |mut row, (lineage, allowance, at)| {
                let (window, quota) = allowance.state();
                row.push_bind(lineage.as_str())
                    .push_bind(window.map(|window| window.started_at.as_micros()))
                    .push_bind(window.map(|window| window.ends_at.as_micros()))
                    .push_bind(stored(window.map_or(0, |window| window.used)))
                    .push_bind(quota.map(|quota| quota.ends_at.as_micros()))
                    .push_bind(stored(quota.map_or(0, |quota| quota.used)))
                    .push_bind(at.as_micros());
            });
            query.push($crate::usage::rows::REPLACE_ALLOWANCES);
            query.push_bind($flush.now.as_micros());
            query.build().execute(&mut *$tx).await?;
        }
    }};
}
pub(crate) use write;

/// Writes sums of projects in a transaction, after all else of it: every program that checks keys of
/// a project adds to the same row.
macro_rules! write_projects {
    ($tx:ident, $sums:expr) => {{
        let sums: Vec<_> = $sums.into_iter().collect();
        for rows in sums.chunks($crate::usage::rows::ROWS) {
            use $crate::usage::rows::stored;
            let mut query = sqlx::QueryBuilder::new($crate::usage::rows::PROJECTS);
            query.push_values(rows, |mut row, ((project, hour), counts)| {
                row.push_bind(project.as_str())
                    .push_bind(*hour)
                    .push_bind(stored(counts.successful))
                    .push_bind(stored(counts.failed))
                    .push_bind(stored(counts.rate_limited));
            });
            query.push($crate::usage::rows::ADD_PROJECTS);
            query.build().execute(&mut *$tx).await?;
        }
    }};
}
pub(crate) use write_projects;
