//! What is asked for of a tenant, read and judged.

use claviger_domain::email::Email;
use claviger_domain::key_string::Environment;
use claviger_domain::role::Role;
use claviger_edge::ApiError;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access_keys::RoleName;
use crate::api_keys::named;
use crate::role_place::read_role;
use crate::wire::{ApiKeyInput, EnvironmentName, short_text};

/// Projects of a new tenant, at most.
const MOST_PROJECTS: usize = 20;

/// The account of a tenant.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TenantAccount {
    /// Its name.
    #[serde(default)]
    #[schema(example = "Acme")]
    name: Option<String>,
}

/// A project of a tenant.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TenantProject {
    /// Its name; the account's when it is not given.
    #[serde(default)]
    #[schema(example = "Weather API")]
    name: Option<String>,
    /// Whether its keys are for production; `live` when it is not given.
    #[serde(default)]
    env: Option<EnvironmentName>,
}

/// An access key of a tenant.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TenantAccessKey {
    /// Its name; the account's when it is not given.
    #[serde(default)]
    name: Option<String>,
    /// Its role; `developer` when it is not given.
    #[serde(default)]
    #[schema(value_type = Option<RoleName>)]
    role: Option<String>,
}

/// Somebody to invite into a tenant's account.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TenantInvite {
    /// Their address.
    #[serde(default)]
    #[schema(required, example = "ada@example.com")]
    email: Option<String>,
    /// As what; `owner` when it is not given.
    #[serde(default)]
    #[schema(value_type = Option<RoleName>)]
    role: Option<String>,
}

/// What is asked for.
pub(super) struct Wanted {
    pub(super) account: String,
    pub(super) projects: Vec<(String, Environment)>,
    pub(super) api_key: Option<ApiKeyInput>,
    pub(super) access_key: Option<(String, Role)>,
    pub(super) invite: Option<(Email, Role)>,
}

impl Wanted {
    /// Reads it, and fills what is left out.
    pub(super) fn read(
        external_id: &str,
        account: Option<TenantAccount>,
        projects: Option<Vec<TenantProject>>,
        api_key: Option<ApiKeyInput>,
        access_key: Option<TenantAccessKey>,
        invite: Option<TenantInvite>,
    ) -> Result<Self, ApiError> {
        let account = name(
            "account.name",
            account.and_then(|one| one.name),
            external_id,
        )?;
        let projects = projects.filter(|projects| !projects.is_empty());
        let projects = projects.map_or_else(
            || Ok(vec![(account.clone(), Environment::Live)]),
            |projects| {
                let read = projects.into_iter().map(|one| {
                    let environment = one.env.map_or(Environment::Live, Into::into);
                    Ok((name("projects.name", one.name, &account)?, environment))
                });
                read.collect::<Result<Vec<_>, ApiError>>()
            },
        )?;
        if projects.len() > MOST_PROJECTS {
            let message = format!("has more than {MOST_PROJECTS} members");
            return Err(ApiError::field("projects", message));
        }
        if let Some(input) = &api_key {
            named(input)?;
            if input.key.is_some() {
                let message = "is drawn here; keys that are in use elsewhere are imported";
                return Err(ApiError::field("apiKey.key", message));
            }
        }
        let access_key = access_key.map(|one| {
            let role = role(one.role.as_deref(), Role::Developer)?;
            Ok::<_, ApiError>((name("accessKey.name", one.name, &account)?, role))
        });
        let invite = invite.map(|one| {
            let email = one.email.as_deref().and_then(Email::parse);
            let message = "must be an address such as ada@example.com";
            let email = email.ok_or_else(|| ApiError::field("invite.email", message))?;
            Ok::<_, ApiError>((email, role(one.role.as_deref(), Role::Owner)?))
        });
        Ok(Self {
            projects,
            api_key,
            access_key: access_key.transpose()?,
            invite: invite.transpose()?,
            account,
        })
    }
}

fn name(field: &str, given: Option<String>, default: &str) -> Result<String, ApiError> {
    let given = given.filter(|name| !name.trim().is_empty());
    let name = given.as_deref().unwrap_or(default);
    Ok(short_text(field, name)?.to_owned())
}

fn role(given: Option<&str>, default: Role) -> Result<Role, ApiError> {
    match given {
        None => Ok(default),
        given => read_role(given),
    }
}
