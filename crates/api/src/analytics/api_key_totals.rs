//! `GET /analytics/api-key-totals`.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::key_string::{KeyName, name_of_api_key};
use claviger_edge::permission::UsageRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Query};
use claviger_store::{Asker, StoreError};
use futures::{StreamExt, stream};
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::ApiKeyTotalBody;
use super::input::Given;
use super::order::{By, Sort};
use super::walk::{Line, Walk};

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
    /// Only this key: its id or its reference, from listing API keys.
    key_id: Option<String>,
    /// From when on: a date. 24 hours, 30 days, 12 weeks, 12 months or 5 years are answered when it is
    /// not given.
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
    /// `date`, or `-total` for the most checks first; also `-date` and `total`. Key by key, the oldest
    /// first, when it is not given.
    #[param(example = "-total")]
    sort: Option<String>,
    /// Totals to answer, at most 1000; all of them when it is not given, 1000 when they are sorted by
    /// total.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Totals to skip; at most 9000 when they are sorted by total.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// The longest part of a list that is sorted by total.
const MOST_SORTED: usize = 1_000;
/// Of the totals that are the greatest, those that can be come to.
const MOST_KEPT: usize = 10_000;

/// Count the checks of each key
///
/// Answers how often each key of a project was checked in each hour, day, week, month or year, and how
/// many of those checks passed; keys and times without any are left out. With `sort=-total` it tells
/// which keys are used most. Keys that were removed for good are in the project's totals only.
#[utoipa::path(get, path = "/analytics/api-key-totals", operation_id = "listApiKeyTotals",
    tag = "analytics",
    params(Parameters),
    responses(
        (status = 200, description = "The totals, without a count of all.",
            body = Vec<ApiKeyTotalBody>),
        (status = 400, description = "A parameter is missing or malformed."),
        (status = 404, description = "No such project.")))]
pub(crate) async fn list_api_key_totals(
    State(core): State<Core>,
    caller: Caller<UsageRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
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
    let mut asked = given.read(&core, &caller.reach).await?;
    if let Some(key) = &parameters.key_id {
        let KeyName::Id(key) = name_of_api_key(key) else {
            let message = "must be a key's id or reference, from listing API keys";
            return Err(ApiError::field("keyId", message));
        };
        asked.filter.key = Some(key);
    }
    let skipped = usize::try_from(part.offset).unwrap_or(usize::MAX);
    let left = part
        .limit
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let walk = Walk::begin(&core, &asked, asked.sort).await?;
    let mut text = Text {
        source: Source::Walk(Box::new(walk)),
        skipped,
        left,
        is_begun: false,
        has_lines: false,
        is_over: false,
    };
    if let Some(sort) = asked.sort.filter(|sort| sort.by == By::Total) {
        text = text.sorted(sort).await?;
    }
    // The first part is read before the status is sent, so that a database that is away shows.
    let first = text.next().await?;
    // Part by part, never over an open cursor: a reader that stalls holds nothing.
    let caller = Asker::current();
    let rest = stream::try_unfold(text, move |mut text| {
        // The handler is over, and what it was done for with it.
        caller.clone().scope(async move {
            let next = text.next().await?;
            Ok::<_, StoreError>(next.map(|bytes| (bytes, text)))
        })
    });
    let content_type = HeaderValue::from_static("application/json");
    let chunks = stream::iter(first.map(Ok)).chain(rest);
    Ok((
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(chunks),
    )
        .into_response())
}

/// Where the lines come from.
enum Source {
    Walk(Box<Walk>),
    Sorted(Option<Vec<Line>>),
}

/// A list on its way out, as JSON.
struct Text {
    source: Source,
    /// Lines to leave out, and then to write.
    skipped: usize,
    left: Option<usize>,
    is_begun: bool,
    has_lines: bool,
    is_over: bool,
}

impl Text {
    /// Goes through all lines, and keeps those that come first.
    async fn sorted(mut self, sort: Sort) -> Result<Self, ApiError> {
        let most = self.left.map_or(MOST_SORTED, |left| left.min(MOST_SORTED));
        let kept = self.skipped.saturating_add(most);
        if kept > MOST_KEPT {
            let message = format!("must be at most {} with this sort", MOST_KEPT - MOST_SORTED);
            return Err(ApiError::field("offset", message));
        }
        let Source::Walk(mut walk) = self.source else {
            return Ok(self);
        };
        let by = |line: &Line| (line.first_hour, line.counts.total());
        let mut first = Vec::new();
        while let Some(lines) = walk.next().await? {
            first.extend(lines);
            sort.take_first(&mut first, kept, by);
        }
        self.source = Source::Sorted(Some(first));
        self.left = Some(most);
        Ok(self)
    }

    /// The next part of the text.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let lines = match &mut self.source {
            _ if self.left == Some(0) => None,
            Source::Walk(walk) => walk.next().await?,
            Source::Sorted(lines) => lines.take(),
        };
        let mut text = Vec::from(if self.is_begun { "" } else { "[" });
        self.is_begun = true;
        self.is_over = lines.is_none();
        for line in lines.unwrap_or_default() {
            if self.skipped > 0 {
                self.skipped -= 1;
                continue;
            }
            match &mut self.left {
                Some(0) => break,
                Some(left) => *left -= 1,
                None => {}
            }
            if self.has_lines {
                text.push(b',');
            }
            self.has_lines = true;
            let body = ApiKeyTotalBody::from(&line);
            serde_json::to_writer(&mut text, &body).expect("text and numbers are JSON");
        }
        if self.is_over {
            text.push(b']');
        }
        Ok(Some(Bytes::from(text)))
    }
}
