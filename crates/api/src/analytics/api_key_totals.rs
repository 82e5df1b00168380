//! `GET /analytics/api-key-totals`.

use std::vec;

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
use super::input::{Asked, Given};
use super::order::{By, Sort};
use super::walk::{Line, Walk, keys_asked_for};

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
    /// `date`, or `-total` for the most checks first; also `-date` and `total`. Key by key, the oldest
    /// first, when it is not given. Very many keys on many dates are not sorted by date.
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
/// Totals that are sorted by date at once; of more, there is one round through the keys for each date.
const MOST_DATED: i64 = 50_000;
/// Bytes after which a part of the answer goes out.
const CHUNK: usize = 128 * 1_024;

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
    let mut text = Text::begin(&core, &asked, skipped, left).await?;
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
    Sorted,
}

/// A list on its way out, as JSON.
struct Text {
    source: Source,
    /// Lines that were read.
    lines: vec::IntoIter<Line>,
    /// Lines to leave out, and then to write.
    skipped: usize,
    left: Option<usize>,
    is_begun: bool,
    has_lines: bool,
    is_over: bool,
}

impl Text {
    /// Begins to read what is asked for, in the order that is.
    async fn begin(
        core: &Core,
        asked: &Asked,
        skipped: usize,
        left: Option<usize>,
    ) -> Result<Self, ApiError> {
        let wanted = left.map(|left| skipped.saturating_add(left));
        let mut text = Self {
            source: Source::Sorted,
            lines: Vec::new().into_iter(),
            skipped,
            left,
            is_begun: false,
            has_lines: false,
            is_over: false,
        };
        let Some(sort) = asked.sort else {
            let walk = Walk::begin(core, asked, wanted).await?;
            text.source = Source::Walk(Box::new(walk));
            return Ok(text);
        };
        let kept = match sort.by {
            By::Total => {
                let most = left.map_or(MOST_SORTED, |left| left.min(MOST_SORTED));
                text.left = Some(most);
                let kept = skipped.saturating_add(most);
                if kept > MOST_KEPT {
                    let most = MOST_KEPT - MOST_SORTED;
                    let message = format!("must be at most {most} with this sort");
                    return Err(ApiError::field("offset", message));
                }
                kept
            }
            By::Date => {
                let keys = keys_asked_for(core, asked).await?;
                let dates = i64::try_from(asked.buckets.firsts().count()).unwrap_or(i64::MAX);
                if keys.saturating_mul(dates) > MOST_DATED {
                    let walk = Walk::begin_by_date(core, asked, sort.is_descending, keys).await?;
                    text.source = Source::Walk(Box::new(walk));
                    return Ok(text);
                }
                wanted.unwrap_or(usize::MAX)
            }
        };
        text.lines = sorted(core, asked, sort, kept).await?.into_iter();
        Ok(text)
    }

    /// The next part of the text.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let mut text = Vec::from(if self.is_begun { "" } else { "[" });
        self.is_begun = true;
        if self.lines.len() == 0 && self.left != Some(0) {
            let more = match &mut self.source {
                Source::Walk(walk) => walk.next().await?,
                Source::Sorted => None,
            };
            self.is_over = more.is_none();
            self.lines = more.unwrap_or_default().into_iter();
        }
        while text.len() < CHUNK && self.left != Some(0) {
            let Some(line) = self.lines.next() else { break };
            if self.skipped > 0 {
                self.skipped -= 1;
                continue;
            }
            if let Some(left) = &mut self.left {
                *left -= 1;
            }
            if self.has_lines {
                text.push(b',');
            }
            self.has_lines = true;
            let body = ApiKeyTotalBody::from(&line);
            serde_json::to_writer(&mut text, &body).expect("text and numbers are JSON");
        }
        self.is_over |= self.left == Some(0);
        if self.is_over {
            text.push(b']');
        }
        Ok(Some(Bytes::from(text)))
    }
}

/// Goes through all lines, and keeps those that come first.
async fn sorted(
    core: &Core,
    asked: &Asked,
    sort: Sort,
    kept: usize,
) -> Result<Vec<Line>, StoreError> {
    let mut walk = Walk::begin(core, asked, None).await?;
    let by = |line: &Line| (line.first_hour, line.counts.total());
    let mut first = Vec::new();
    while let Some(lines) = walk.next().await? {
        first.extend(lines);
        sort.take_first(&mut first, kept, by);
    }
    Ok(first)
}
