//! What totals are asked for.

use std::ops::Range;

use claviger_domain::bucket::{Buckets, Grouping, MOST_BUCKETS, RangeFault};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_edge::{ApiError, Core};
use claviger_store::usage::by_key::Filter;
use claviger_store::usage::by_project::{self, Step};

use super::order::Sort;
use crate::projects;
use crate::wire::instant;

/// What both kinds of totals are asked with, as it stands in the query.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) project_id: Option<&'a str>,
    pub(super) date_grouping: Option<&'a str>,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) custom_account_id: Option<&'a str>,
    pub(super) custom_user_id: Option<&'a str>,
    pub(super) sort: Option<&'a str>,
}

/// The same, read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) buckets: Buckets,
    pub(super) sort: Option<Sort>,
}

impl Asked {
    /// Whether it is about some keys of the project only.
    pub(super) fn is_filtered(&self) -> bool {
        self.filter.custom_account_id.is_some() || self.filter.custom_user_id.is_some()
    }

    /// How finely usage is read for it.
    pub(super) fn step(&self) -> Step {
        match self.buckets.grouping {
            Grouping::Hour => Step::Hour,
            _ => Step::Day,
        }
    }
}

impl Given<'_> {
    /// Reads it; a project that the caller does not reach is absent.
    pub(super) async fn read(self, core: &Core, reach: &Reach) -> Result<Asked, ApiError> {
        let required = |field: &'static str, given: Option<&str>| {
            given
                .filter(|text| !text.trim().is_empty())
                .map(str::to_owned)
                .ok_or_else(|| ApiError::field(field, "is required"))
        };
        let grouping = required("dateGrouping", self.date_grouping)?;
        let grouping = Grouping::parse(&grouping).ok_or_else(|| {
            let message = format!("must be one of {}", Grouping::ACCEPTED);
            ApiError::field("dateGrouping", message)
        })?;
        let (from, to) = (instant("from", self.from)?, instant("to", self.to)?);
        let buckets = Buckets::asked(grouping, from, to, core.now()).map_err(refusal)?;
        let sort = self.sort.map(Sort::read).transpose()?;
        let project = required("projectId", self.project_id)?;
        let project: Option<Id<id::Project>> = projects::named(core, reach, Some(&project)).await?;
        let mut asked = Asked {
            filter: Filter {
                project: project.ok_or_else(projects::absent)?,
                key: None,
                custom_account_id: self.custom_account_id.map(or_none),
                custom_user_id: self.custom_user_id.map(or_none),
            },
            buckets,
            sort,
        };
        // Of days before that nobody knows the hours any more.
        let kept_from = by_project::kept_by_hour_from(&core.db).await?;
        let hours = &mut asked.buckets.hours;
        if grouping == Grouping::Hour {
            hours.start = hours.start.max(kept_from).min(hours.end);
        } else {
            *hours = whole_days_before(kept_from, hours);
        }
        Ok(asked)
    }
}

/// The same hours; a day before that hour of which some are asked for is asked for whole.
fn whole_days_before(kept_from: i64, hours: &Range<i64>) -> Range<i64> {
    let day = |hour: i64| Step::Day.of(hour);
    let (start, end) = (hours.start, hours.end);
    let start = if start < kept_from { day(start) } else { start };
    let end = if end < kept_from { day(end + 23) } else { end };
    start..end
}

fn refusal(fault: RangeFault) -> ApiError {
    match fault {
        RangeFault::Empty => ApiError::field("to", "must be after from"),
        RangeFault::TooLong => {
            let message = format!("must be so late that there are at most {MOST_BUCKETS} dates");
            ApiError::field("from", message)
        }
    }
}

/// The text `null` stands for having none.
fn or_none(text: &str) -> Option<String> {
    (text != "null").then(|| text.to_owned())
}
