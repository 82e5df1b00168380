//! `GET /analytics/project-totals`.

use std::collections::BTreeMap;

use axum::extract::State;
use claviger_domain::usage::UsageCounts;
use claviger_edge::permission::UsageRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::StoreError;
use claviger_store::usage::by_project;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::ProjectTotalBody;
use super::input::{Asked, Given};
use super::order::Sort;
use super::walk::Walk;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The project: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    #[param(required = true, value_type = String)]
    project_id: Option<String>,
    /// How long the times are that are added up: `hour`, `day`, `week` (from Monday), `month` or
    /// `year`, also spelled `hourly`, `daily` and so on; UTC.
    #[param(required = true, value_type = String, example = "day")]
    date_grouping: Option<String>,
    /// From when on: a date. A day whose hours are not kept any more is answered whole. 24 hours, 30
    /// days, 12 weeks, 12 months or 5 years are answered when it is not given.
    #[param(example = "2030-01-01")]
    from: Option<String>,
    /// Up to when, and without that: a date. The end of the present hour, day, week, month or year
    /// when it is not given.
    #[param(example = "2030-02-01")]
    to: Option<String>,
    /// Only keys of this customer of yours; `null` for keys of none.
    custom_account_id: Option<String>,
    /// Only keys of this user of yours; `null` for keys of none.
    custom_user_id: Option<String>,
    /// `date`, or `-total` for the most checks first; also `-date` and `total`.
    #[param(example = "date")]
    sort: Option<String>,
    /// Dates to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Dates to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// Count the checks of a project
///
/// Answers how often keys of a project were checked in each hour, day, week, month or year, and how
/// many of those checks passed; times without any are there with zeros. Two seconds old at most. Usage
/// by hour is kept for some months only: hours before that are left out.
#[utoipa::path(get, path = "/analytics/project-totals", operation_id = "listProjectTotals",
    tag = "analytics",
    params(Parameters),
    responses(
        (status = 200, description = "The totals.", body = Vec<ProjectTotalBody>),
        (status = 400, description = "A parameter is missing or malformed."),
        (status = 404, description = "No such project.")))]
pub(crate) async fn list_project_totals(
    State(core): State<Core>,
    caller: Caller<UsageRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<ProjectTotalBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let given = Given {
        project_id: parameters.project_id.as_deref(),
        date_grouping: parameters.date_grouping.as_deref(),
        from: parameters.from.as_deref(),
        to: parameters.to.as_deref(),
        custom_account_id: parameters.custom_account_id.as_deref(),
        custom_user_id: parameters.custom_user_id.as_deref(),
        sort: parameters.sort.as_deref(),
    };
    let asked = given.read(&core, &caller.reach).await?;
    let counted = counted(&core, &asked).await?;
    let firsts = asked.buckets.firsts();
    let mut totals: Vec<_> = firsts
        .map(|first| (first, counted.get(&first).copied().unwrap_or_default()))
        .collect();
    let count = totals.len();
    let sort = asked.sort.unwrap_or(Sort::BY_DATE);
    sort.take_first(&mut totals, count, |(first, counts)| {
        (*first, counts.total())
    });
    let skipped = usize::try_from(part.offset).unwrap_or(usize::MAX);
    let limit = part.limit.and_then(|limit| usize::try_from(limit).ok());
    let shown = totals.into_iter().skip(skipped);
    let shown = shown.take(limit.unwrap_or(usize::MAX));
    Ok(Listed {
        items: shown
            .map(|(first, counts)| ProjectTotalBody::of(first, counts))
            .collect(),
        total: i64::try_from(count).unwrap_or(i64::MAX),
    })
}

/// What was counted, by the first hours of buckets.
async fn counted(core: &Core, asked: &Asked) -> Result<BTreeMap<i64, UsageCounts>, StoreError> {
    let mut counted: BTreeMap<i64, UsageCounts> = BTreeMap::new();
    if asked.is_filtered() {
        let mut walk = Walk::begin(core, asked, None).await?;
        while let Some(lines) = walk.next().await? {
            for line in lines {
                counted.entry(line.first_hour).or_default().add(line.counts);
            }
        }
    } else {
        let (filter, buckets) = (&asked.filter, &asked.buckets);
        let rows = by_project::totals(&core.db, &filter.project, &buckets.hours, asked.step());
        for (hour, counts) in rows.await? {
            let first = buckets.first_hour(hour);
            counted.entry(first).or_default().add(counts);
        }
    }
    Ok(counted)
}
