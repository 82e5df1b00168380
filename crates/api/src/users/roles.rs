//! `PATCH` and `DELETE /users/{id}/roles`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{Reach, Rights};
use claviger_domain::role::Role;
use claviger_edge::permission::MembersWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, PathParameter, Query};
use claviger_store::roles::{self, Place, RoleAssignment};
use claviger_store::{Tx, accounts, projects};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::absent;
use crate::access_keys::RoleName;
use crate::role_place::{RolePlace, exceeds, read_role};

/// A role to give.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleChange {
    /// The role: `owner`, `admin`, `developer`, `viewer`, `analyst` or `verifier`. Nobody gives more
    /// than they hold.
    #[serde(default)]
    #[schema(required, value_type = RoleName)]
    role: Option<String>,
    /// On which account: an id from listing accounts. The caller's own when it is not given.
    #[serde(default)]
    account_id: Option<String>,
    /// On that project only: an id from listing projects.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
}

/// A role that somebody holds in one place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoleAssignment)]
pub(crate) struct RoleAssignmentBody {
    /// Its id.
    #[schema(example = "rol_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Who holds it.
    user_id: String,
    /// On which account.
    account_id: String,
    /// On which project only.
    project_id: Option<String>,
    /// The role.
    #[schema(example = "developer")]
    role: &'static str,
}

impl From<&RoleAssignment> for RoleAssignmentBody {
    fn from(held: &RoleAssignment) -> Self {
        Self {
            id: held.id.to_string(),
            user_id: held.user.to_string(),
            account_id: held.account.id.to_string(),
            project_id: held.project.as_ref().map(ToString::to_string),
            role: held.role.as_str(),
        }
    }
}

/// Give a user a role
///
/// Gives somebody who is in the account already a role on it, or on one project of it, in the stead of
/// the one that they hold there. It counts at once. Their id comes from listing teammates; others are
/// invited. The last owner cannot be made less.
#[utoipa::path(patch, path = "/users/{id}/roles", operation_id = "updateUserRole", tag = "users",
    params(("id" = String, Path, description = "The user's id: the `userId` of listing teammates.",
        example = "usr_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = RoleChange,
    responses(
        (status = 200, description = "The role that they hold there now.",
            body = RoleAssignmentBody),
        (status = 400, description = "A member is malformed, or the role needs the account."),
        (status = 403, description = "It would exceed who gives it, or what they hold does."),
        (status = 404, description = "No such account or project, or nobody in it with that id."),
        (status = 409, description = "They are the last owner.")))]
pub(crate) async fn update_user_role(
    State(core): State<Core>,
    caller: Caller<MembersWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<RoleChange>,
) -> Result<Json<RoleAssignmentBody>, ApiError> {
    let role = read_role(input.role.as_deref())?;
    let user: Id<id::User> = Id::parse(&id).ok_or_else(absent)?;
    let project: BTreeSet<_> = input.project_id.as_deref().into_iter().collect();
    let place = RolePlace::find(&core, &caller, input.account_id.as_deref(), &project).await?;
    place.judge(&caller, role)?;
    let place = one(place);
    let (rights, change) = (caller.rights, core.change(&caller.actor));
    let given = core
        .verifier
        .change_person::<_, ApiError, _>(user.clone(), move |tx| {
            Box::pin(async move {
                hold(tx, &place).await?;
                if !roles::is_member(tx, &user, &place.account.id).await? {
                    return Err(absent());
                }
                if let Some(held) = roles::held(tx, &user, &place).await? {
                    judge_held(tx, &rights, &held, Some(role)).await?;
                }
                Ok(roles::give(tx, &change, &user, &place, role).await?)
            })
        })
        .await?;
    Ok(Json((&given).into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// On which account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// On that project only: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
}

/// Take a role away
///
/// Takes away the role that somebody holds on an account, or on one project of it. It counts at once,
/// in every session of theirs. The last owner cannot be removed.
#[utoipa::path(delete, path = "/users/{id}/roles", operation_id = "deleteUserRole", tag = "users",
    params(("id" = String, Path, description = "The user's id: the `userId` of listing teammates.",
        example = "usr_4f8Q2mXc7ZrT1bVw9KpL"), Parameters),
    responses(
        (status = 204, description = "They hold it no more."),
        (status = 403, description = "What they hold exceeds who takes it away."),
        (status = 404, description = "No such account or project, or no role of theirs there."),
        (status = 409, description = "They are the last owner.")))]
pub(crate) async fn delete_user_role(
    State(core): State<Core>,
    caller: Caller<MembersWrite>,
    PathParameter(id): PathParameter,
    Query(parameters): Query<Parameters>,
) -> Result<StatusCode, ApiError> {
    let user: Id<id::User> = Id::parse(&id).ok_or_else(absent)?;
    let project: BTreeSet<_> = parameters.project_id.as_deref().into_iter().collect();
    let named = parameters.account_id.as_deref();
    let place = one(RolePlace::find(&core, &caller, named, &project).await?);
    let (rights, change) = (caller.rights, core.change(&caller.actor));
    core.verifier
        .change_person::<_, ApiError, _>(user.clone(), move |tx| {
            Box::pin(async move {
                hold(tx, &place).await?;
                let held = roles::held(tx, &user, &place).await?;
                let held = held.ok_or_else(absent)?;
                judge_held(tx, &rights, &held, None).await?;
                Ok(roles::take(tx, &change, &held).await?)
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one place that is named: an account, or one project of it.
fn one(place: RolePlace) -> Place {
    let mut projects = place.projects.into_iter().flatten();
    Place {
        account: place.account,
        project: projects.next(),
    }
}

/// Keeps a place from being deleted, and others from changing roles in its account.
async fn hold(tx: &mut Tx, place: &Place) -> Result<(), ApiError> {
    let whole = Reach::whole();
    if !accounts::hold(tx, &whole, &place.account.id).await? {
        return Err(crate::accounts::absent());
    }
    if let Some(project) = &place.project {
        let held = projects::hold(tx, &whole, project).await?;
        held.ok_or_else(crate::projects::absent)?;
    }
    Ok(())
}

/// Whether a role may be taken away, or be another from now on: it is not more than who does so holds,
/// and an account keeps an owner.
async fn judge_held(
    tx: &mut Tx,
    rights: &Rights,
    held: &RoleAssignment,
    next: Option<Role>,
) -> Result<(), ApiError> {
    if next == Some(held.role) {
        return Ok(());
    }
    if !rights.cover(&held.grant()) {
        return Err(exceeds(held.role));
    }
    if held.role == Role::Owner && !roles::has_other_owner(tx, &held.account.id, &held.user).await?
    {
        let message = "The account would have no owner left, make somebody else one first";
        return Err(ApiError::new(ErrorCode::LastOwner, message));
    }
    Ok(())
}
