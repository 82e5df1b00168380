//! `GET /analytics/first-calls`.

use axum::extract::State;
use claviger_domain::time::Timestamp;
use claviger_edge::permission::UsageRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::Page;
use claviger_store::usage::by_project::{self, FirstCall};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{accounts, projects};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only this project: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Projects to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Projects to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// When the first key of a project passed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FirstCall)]
pub(crate) struct FirstCallBody {
    /// The project's id.
    #[schema(example = "prj_4f8Q2mXc7ZrT1bVw9KpL")]
    project_id: String,
    /// What it is called.
    #[schema(example = "Production")]
    name: String,
    /// When the project was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When a key of it passed for the first time; null as long as none has.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_call_at: Option<Timestamp>,
    /// Seconds from the one to the other.
    #[schema(example = 1260)]
    seconds_to_first_call: Option<i64>,
}

impl From<FirstCall> for FirstCallBody {
    fn from(first: FirstCall) -> Self {
        let first_call_at = first.first_call_at.map(Timestamp::from_micros);
        Self {
            project_id: first.project_id.to_string(),
            name: first.name,
            created_at: first.created_at,
            first_call_at,
            // A clock that was behind makes no call that came before the project.
            seconds_to_first_call: first_call_at
                .map(|at| at.micros_since(first.created_at).max(0) / 1_000_000),
        }
    }
}

/// Tell the time to the first call
///
/// Answers, for each project of an account, when it was made and when a key of it passed for the first
/// time: how long it takes until somebody uses what you offer. The oldest project first.
#[utoipa::path(get, path = "/analytics/first-calls", operation_id = "listFirstCalls",
    tag = "analytics",
    params(Parameters),
    responses(
        (status = 200, description = "The projects.", body = Vec<FirstCallBody>),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn list_first_calls(
    State(core): State<Core>,
    caller: Caller<UsageRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<FirstCallBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let project = projects::named(&core, &caller.reach, parameters.project_id.as_deref()).await?;
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let listed =
        by_project::first_calls(&core.db, &caller.reach, &account, project.as_ref(), &page);
    let (found, total) = listed.await?;
    Ok(Listed {
        items: found.into_iter().map(Into::into).collect(),
        total,
    })
}
