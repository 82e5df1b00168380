//! `GET /user-roles`.

use axum::extract::State;
use claviger_domain::permission::Permission;
use claviger_domain::role::Role;
use claviger_edge::permission::MembersRead;
use claviger_edge::{ApiError, Caller, Core, Listed, Query};
use claviger_store::Page;
use claviger_store::roles::{self, Member};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts;

/// A role, and what it may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserRole)]
pub(crate) struct UserRoleBody {
    /// The role, as other operations name it.
    #[schema(example = "developer")]
    id: &'static str,
    /// The same, for people.
    #[schema(example = "Developer")]
    name: &'static str,
    /// What it is for.
    description: &'static str,
    /// What it may do, in plain words.
    #[schema(example = json!(["read keys", "write keys"]))]
    permissions: Vec<String>,
    /// Who holds it, where an account was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<RoleMember>>,
}

/// Somebody who holds it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleMember {
    /// Their id.
    user_id: String,
    /// What they are called.
    name: String,
    /// Their address.
    email: String,
    /// On which project only.
    project_id: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// An account, to see who holds each role in it: an id from listing accounts.
    account_id: Option<String>,
}

/// List roles
///
/// Answers every role with what it may do, the greatest first; and, of an account that is named, who
/// holds it.
#[utoipa::path(get, path = "/user-roles", operation_id = "listUserRoles", tag = "users",
    params(Parameters),
    responses(
        (status = 200, description = "The roles.", body = Vec<UserRoleBody>),
        (status = 404, description = "No such account.")))]
pub(crate) async fn list_user_roles(
    State(core): State<Core>,
    caller: Caller<MembersRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<UserRoleBody>, ApiError> {
    let named = accounts::named(&core, &caller.reach, parameters.account_id.as_deref()).await?;
    let members = match named {
        None => None,
        Some(account) => {
            let all = Page::first(i64::MAX, 0);
            let found = roles::members(&core.db, &caller.reach, &account, None, &all);
            Some(found.await?.0)
        }
    };
    let items: Vec<_> = Role::ALL
        .into_iter()
        .map(|role| body(role, members.as_deref()))
        .collect();
    Ok(Listed {
        total: i64::try_from(items.len()).unwrap_or(i64::MAX),
        items,
    })
}

fn body(role: Role, members: Option<&[Member]>) -> UserRoleBody {
    let (name, description) = match role {
        Role::Owner => ("Owner", "Everything, child accounts included."),
        Role::Admin => (
            "Admin",
            "Everything but deleting accounts and making child accounts.",
        ),
        Role::Developer => ("Developer", "Keys, webhooks and tools."),
        Role::Viewer => ("Viewer", "Reads what a developer works on."),
        Role::Analyst => (
            "Analyst",
            "Reads usage, and what there is to see of the account.",
        ),
        Role::Verifier => ("Verifier", "Checks keys, and nothing else."),
    };
    let allowed = role.permissions();
    let permissions = Permission::ALL
        .into_iter()
        .filter(|one| allowed.contains(*one))
        .map(in_plain_words);
    let holders = members.map(|members| {
        let holders = members.iter().filter(|one| one.assignment.role == role);
        let holders = holders.map(|member| RoleMember {
            user_id: member.assignment.user.to_string(),
            name: member.name.clone(),
            email: member.email.clone(),
            project_id: member.assignment.project.as_ref().map(ToString::to_string),
        });
        holders.collect()
    });
    UserRoleBody {
        id: role.as_str(),
        name,
        description,
        permissions: permissions.collect(),
        members: holders,
    }
}

/// `keys:write` as `write keys`.
fn in_plain_words(permission: Permission) -> String {
    let (object, verb) = permission.as_str().split_once(':').unwrap_or_default();
    format!("{verb} {}", object.replace('-', " "))
}
