//! `GET /teammates`.

use axum::extract::State;
use claviger_edge::permission::MembersRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::Page;
use claviger_store::roles::{self, Member};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{accounts, projects};

/// Somebody who holds a role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Teammate)]
pub(crate) struct TeammateBody {
    /// The id of the role that they hold.
    #[schema(example = "rol_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Their id.
    #[schema(example = "usr_4f8Q2mXc7ZrT1bVw9KpL")]
    user_id: String,
    /// What they are called.
    name: String,
    /// Their address.
    email: String,
    /// The role.
    #[schema(example = "developer")]
    role: &'static str,
    /// On which account.
    account_id: String,
    /// On which project only.
    project_id: Option<String>,
    /// Always true: who holds no role is no teammate.
    is_active: bool,
}

impl From<&Member> for TeammateBody {
    fn from(member: &Member) -> Self {
        let held = &member.assignment;
        Self {
            id: held.id.to_string(),
            user_id: held.user.to_string(),
            name: member.name.clone(),
            email: member.email.clone(),
            role: held.role.as_str(),
            account_id: held.account.id.to_string(),
            project_id: held.project.as_ref().map(ToString::to_string),
            is_active: true,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only who holds a role on this project, or on all of its account: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Roles to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Roles to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List teammates
///
/// Answers who holds which role on an account or on its projects, the oldest role first. Who holds
/// several is there several times.
#[utoipa::path(get, path = "/teammates", operation_id = "listTeammates", tag = "users",
    params(Parameters),
    responses(
        (status = 200, description = "The teammates.", body = Vec<TeammateBody>),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn list_teammates(
    State(core): State<Core>,
    caller: Caller<MembersRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<TeammateBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let project = projects::named(&core, &caller.reach, parameters.project_id.as_deref()).await?;
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let found = roles::members(&core.db, &caller.reach, &account, project.as_ref(), &page);
    let (found, total) = found.await?;
    Ok(Listed {
        items: found.iter().map(Into::into).collect(),
        total,
    })
}
