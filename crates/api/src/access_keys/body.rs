//! An access key as answers show it.

use claviger_domain::id::Id;
use claviger_domain::key_string::PlainKey;
use claviger_domain::limit::RateLimit;
use claviger_domain::role::Role;
use claviger_domain::time::Timestamp;
use claviger_store::access_keys::AccessKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::{BaseBody, EnvironmentName};

/// A credential of an account or of named projects of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessKey)]
pub(crate) struct AccessKeyBody {
    /// The access key's id.
    #[schema(example = "ack_8dK2vQ0mZpR4xTbW")]
    id: String,
    /// The full key where it was just made; elsewhere a reference that hides its secret.
    #[schema(example = "live_access_8dK2vQ0mZpR4xTbW*********")]
    key: String,
    /// The access key's name.
    #[schema(example = "Gateway in production")]
    name: String,
    /// The account that it acts in.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// The first of `projectIds`.
    project_id: Option<String>,
    /// The projects that it is for; empty: the whole account.
    project_ids: Vec<String>,
    /// What it may do.
    role: RoleName,
    /// What it begins with.
    env: EnvironmentName,
    /// Calls that it may make in a window; null: without a limit.
    rate_limit: Option<u64>,
    /// Seconds in a window.
    rate_limit_ttl: Option<u32>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was used last; not noted yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    #[serde(flatten)]
    base: BaseBody,
}

impl AccessKeyBody {
    /// Shows a key; with `plain`, which is known when the key was just made, in full.
    pub(crate) fn of(key: &AccessKey, plain: Option<&PlainKey>, now: Timestamp) -> Self {
        let projects: Vec<_> = key.projects.iter().flatten().map(Id::to_string).collect();
        let is_active = key.is_active && key.stops_at.is_none_or(|stop| now < stop);
        Self {
            id: key.id.to_string(),
            key: plain.map_or_else(|| key.reference(), |plain| plain.expose().to_owned()),
            name: key.name.clone(),
            account_id: key.account.id.to_string(),
            project_id: projects.first().cloned(),
            project_ids: projects,
            role: key.role.into(),
            env: key.environment.into(),
            rate_limit: key.rate_limit.map(RateLimit::limit),
            rate_limit_ttl: key.rate_limit.map(RateLimit::window_seconds),
            expires_at: key.expires_at,
            last_used_at: None,
            base: BaseBody::of(&key.base, is_active),
        }
    }
}

/// What a role is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(crate) enum RoleName {
    /// Everything, accounts included.
    Owner,
    /// Everything but deleting accounts and making child accounts.
    Admin,
    /// Keys, webhooks and tools.
    Developer,
    /// Reads what a developer works on.
    Viewer,
    /// Reads usage.
    Analyst,
    /// Checks keys, and nothing else.
    Verifier,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Developer => Self::Developer,
            Role::Viewer => Self::Viewer,
            Role::Analyst => Self::Analyst,
            Role::Verifier => Self::Verifier,
        }
    }
}
