//! `POST /access-keys`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_domain::rights::{AccountRef, Grant};
use claviger_domain::role::Role;
use claviger_domain::time::outlives;
use claviger_edge::permission::AccessKeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore, Patch};
use claviger_store::access_keys::AccessKey;
use claviger_store::{Base, accounts, projects};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{AccessKeyBody, RoleName};
use super::limit;
use super::selector::outlives_maker;
use crate::wire::{DateText, choose, name_of};

/// Projects that one access key is for, at most.
const MOST_PROJECTS: usize = 100;

/// An access key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewAccessKey {
    /// The access key's name: 1 to 255 characters.
    #[serde(default)]
    #[schema(required, example = "Gateway in production")]
    name: Option<String>,
    /// The account that it acts in: an id from listing accounts. The caller's own when it is not
    /// given.
    #[serde(default)]
    account_id: Option<String>,
    /// The only project that it is for: an id from listing projects.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// The projects that it is for: ids from listing projects. Without any it is for the whole
    /// account.
    #[serde(default)]
    project_ids: Option<Vec<String>>,
    /// What it may do: `owner`, `admin`, `developer`, `viewer`, `analyst` or `verifier`;
    /// `developer` when it is not given. Nobody makes more than they hold.
    #[serde(default)]
    #[schema(value_type = Option<RoleName>)]
    role: Option<String>,
    /// Calls that it may make in a window.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    rate_limit: Patch<u64>,
    /// Seconds in a window; 60 when it is not given.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    rate_limit_ttl: Patch<u32>,
    /// When it ends, such as `2034-11-04T17:16:00.000Z`.
    #[serde(default)]
    #[schema(value_type = Option<DateText>)]
    expiry: Patch<DateText>,
    /// The spelling of `expiry` in answers.
    #[serde(default)]
    #[schema(ignore)]
    expires_at: Patch<DateText>,
}

/// Create an access key
///
/// Makes a credential for a program of yours and answers it in full: the only time that it is
/// shown. Give what runs in a browser, or checks keys only, the role `verifier`.
#[utoipa::path(post, path = "/access-keys", operation_id = "createAccessKey",
    tag = "access_keys", request_body = NewAccessKey,
    responses(
        (status = 201, description = "The access key, in full.", body = AccessKeyBody),
        (status = 400, description = "A member is malformed, or the role needs the account."),
        (status = 403, description = "It would exceed its maker."),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn create_access_key(
    State(core): State<Core>,
    caller: Caller<AccessKeysWrite>,
    Body(input): Body<NewAccessKey>,
) -> Result<(StatusCode, NoStore<Json<AccessKeyBody>>), ApiError> {
    let name = name_of(input.name.as_deref())?.to_owned();
    let role = read_role(input.role.as_deref())?;
    let (account, projects, environment) = place(&core, &caller, &input, role).await?;
    let grant = match &projects {
        None => Grant::on_account(role, account.clone()),
        Some(projects) => Grant::on_projects(role, account.clone(), projects.clone()),
    };
    if !caller.rights.cover(&grant) {
        let message = format!("A {} access key here would exceed its maker", role.as_str());
        return Err(ApiError::new(ErrorCode::ExceedsMaker, message));
    }
    let expiry = choose(
        ["expiry", "expiresAt"],
        [input.expiry, input.expires_at],
        None,
    )?;
    let expires_at = expiry.into_option().map(|date| date.0);
    if outlives(expires_at, caller.identity.ends_at) {
        return Err(outlives_maker());
    }
    let change = core.change(&caller.actor);
    let drawn = KeyPurpose::AccessKey(environment).draw(&*core.random);
    let key = AccessKey {
        lineage: Id::from_suffix(&drawn.public),
        id: Id::from_suffix(&drawn.public),
        account,
        projects,
        name,
        role,
        environment,
        is_active: true,
        rate_limit: limit::changed(None, &input.rate_limit, &input.rate_limit_ttl)?,
        expires_at,
        stops_at: None,
        rotated_from: None,
        rotated_to: None,
        base: Base::made_by(&change),
    };
    let now = change.now;
    let made = core
        .verifier
        .create_access_key(change, key.clone(), &drawn.plain);
    if !made.await? {
        return Err(crate::accounts::absent());
    }
    let body = AccessKeyBody::of(&key, Some(&drawn.plain), now);
    Ok((StatusCode::CREATED, NoStore(Json(body))))
}

fn read_role(text: Option<&str>) -> Result<Role, ApiError> {
    let Some(text) = text else {
        return Ok(Role::Developer);
    };
    Role::parse(text).ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        ApiError::field("role", format!("must be one of {}", names.join(", ")))
    })
}

type Place = (AccountRef, Option<BTreeSet<Id<id::Project>>>, Environment);

/// Where the key is to act: an account, or projects of it, which the caller must reach.
async fn place(
    core: &Core,
    caller: &Caller<AccessKeysWrite>,
    input: &NewAccessKey,
    role: Role,
) -> Result<Place, ApiError> {
    if input.project_ids.as_ref().is_some_and(Vec::is_empty) {
        // An empty list must not come to mean everything.
        let message = "must name a project, or be left out for the whole account";
        return Err(ApiError::field("projectIds", message));
    }
    let named = input.project_ids.iter().flatten().chain(&input.project_id);
    let named: BTreeSet<&String> = named.collect();
    if named.len() > MOST_PROJECTS {
        let message = format!("has more than {MOST_PROJECTS} members");
        return Err(ApiError::field("projectIds", message));
    }
    if !named.is_empty() {
        return in_projects(core, caller, input, &named, role).await;
    }
    let id = caller.account_or_own(input.account_id.as_deref())?;
    if let (true, [only]) = (caller.reach.accounts.is_empty(), &caller.reach.projects[..]) {
        // A project-level caller that names nothing means the project that it is for.
        let only = only.to_string();
        return in_projects(core, caller, input, &BTreeSet::from([&only]), role).await;
    }
    let account = accounts::find(&core.db, &caller.reach, &id)
        .await?
        .filter(|account| caller.reach.reaches_account(&account.reference()))
        .ok_or_else(crate::accounts::absent)?;
    Ok((account.reference(), None, Environment::Live))
}

async fn in_projects(
    core: &Core,
    caller: &Caller<AccessKeysWrite>,
    input: &NewAccessKey,
    named: &BTreeSet<&String>,
    role: Role,
) -> Result<Place, ApiError> {
    if role.needs_account() {
        let message = format!(
            "The role {} is held on an account, not on a project",
            role.as_str()
        );
        return Err(ApiError::new(ErrorCode::RoleNeedsAccount, message));
    }
    let mut found = Vec::new();
    for text in named {
        let id = Id::parse(text).ok_or_else(crate::projects::absent)?;
        let project = projects::find(&core.db, &caller.reach, &id).await?;
        found.push(project.ok_or_else(crate::projects::absent)?);
    }
    let first = found.first().ok_or_else(crate::projects::absent)?;
    let account = first.account();
    let is_elsewhere = found.iter().any(|project| project.account_id != account.id)
        || input
            .account_id
            .as_deref()
            .is_some_and(|named| named != account.id.as_str());
    if is_elsewhere {
        let message = "The projects must all be of the one account that the key acts in";
        return Err(ApiError::field("projectIds", message));
    }
    let is_test = found
        .iter()
        .all(|project| project.environment() == Environment::Test);
    let environment = if is_test {
        Environment::Test
    } else {
        Environment::Live
    };
    Ok((
        account,
        Some(found.into_iter().map(|project| project.id).collect()),
        environment,
    ))
}
