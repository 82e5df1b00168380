//! An API key as answers show it.

use claviger_domain::id::Id;
use claviger_domain::key_string::{Environment, PlainKey};
use claviger_domain::limit::{Level, Period};
use claviger_domain::origin::DomainPattern;
use claviger_domain::time::Timestamp;
use claviger_edge::Core;
use claviger_store::StoreError;
use claviger_store::api_keys::{ApiKey, KeyView, Status};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An API key. The members up to `creationContext` are in the order in which they always were.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyBody<'a> {
    /// The full key where it was just made; elsewhere a reference that shows its public part and
    /// hides the rest. A reference names the key in paths and authenticates nowhere.
    #[schema(example = "live_8dK2vQ0mZpR4xTbW*********")]
    key: String,
    /// The key's name.
    #[schema(example = "Production key of Acme")]
    name: &'a str,
    /// What was attached to the key: any JSON.
    #[schema(value_type = serde_json::Value)]
    custom_meta_data: &'a RawValue,
    /// Your own id of the customer that the key is for.
    custom_account_id: Option<&'a str>,
    /// Your own id of the user that the key is for.
    custom_user_id: Option<&'a str>,
    /// The environment of the key's project.
    env: EnvironmentName,
    /// When the key was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the key was changed last; being used does not change it.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Whether the key is switched on. An expired key stays active.
    is_active: bool,
    /// When the key ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// How often the key may be used; null: without a limit.
    rate_limit_configs: Option<RateLimitBody>,
    /// What was told of the request for the key.
    creation_context: CreationContext<'a>,
    /// The key's id.
    #[schema(example = "key_8dK2vQ0mZpR4xTbW")]
    id: &'a str,
    /// Whether the key is switched on, in more words.
    status: StatusName,
    /// The key's project.
    #[schema(example = "prj_4f8Q2mXc7ZrT1bVw9KpL")]
    project_id: &'a str,
    /// The key's account.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: &'a str,
    /// The same as `expiresAt`.
    #[schema(value_type = Option<String>, format = DateTime)]
    expiry: Option<Timestamp>,
    /// Origins that the key is locked to; empty: none.
    allowed_domains: Vec<&'a str>,
    /// Networks that the key is locked to; empty: none.
    allowed_ips: Vec<String>,
    /// Scopes that the key has.
    scopes: &'a [String],
    /// How much the key may be used in a day or a month; null: without a quota.
    quota: Option<QuotaBody>,
    /// When the key was first used.
    #[schema(value_type = Option<String>, format = DateTime)]
    first_used_at: Option<Timestamp>,
    /// When the key was used last.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// When the key was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// Id of who revoked the key.
    revoked_by: Option<&'a str>,
    /// Why the key was revoked.
    reason: Option<&'a str>,
    /// The id of the key that this one succeeded.
    rotated_from: Option<&'a str>,
    /// The id of the key that succeeded this one.
    rotated_to: Option<&'a str>,
}

/// How often a key may be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RateLimit)]
pub(crate) struct RateLimitBody {
    /// Requests in a window.
    #[schema(example = 100)]
    rate_limit: u64,
    /// Seconds in a window, which starts with its first request.
    #[schema(example = 60)]
    rate_limit_ttl: u32,
}

/// What was told of the request for a key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreationContext<'a> {
    /// The address that the key was asked for from.
    #[serde(rename = "clientIP")]
    client_ip: Option<&'a str>,
    /// The program that the key was asked for with.
    client_user_agent: Option<&'a str>,
}

/// How much a key may be used in a day or a month, and how much it was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Quota)]
pub(crate) struct QuotaBody {
    /// Requests in a period.
    #[schema(example = 10_000)]
    limit: u64,
    /// The period, UTC.
    period: PeriodName,
    /// Requests in the running period.
    used: u64,
    /// When the running period ends.
    #[schema(value_type = String, format = DateTime)]
    resets_at: Timestamp,
}

/// Whether keys are for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Environment)]
pub(crate) enum EnvironmentName {
    /// Keys that begin with `live_`.
    Live,
    /// Keys that begin with `test_`.
    Test,
}

impl From<EnvironmentName> for Environment {
    fn from(name: EnvironmentName) -> Self {
        match name {
            EnvironmentName::Live => Self::Live,
            EnvironmentName::Test => Self::Test,
        }
    }
}

impl From<Environment> for EnvironmentName {
    fn from(environment: Environment) -> Self {
        match environment {
            Environment::Live => Self::Live,
            Environment::Test => Self::Test,
        }
    }
}

/// A period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Period)]
pub(crate) enum PeriodName {
    /// A day, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
}

impl From<PeriodName> for Period {
    fn from(name: PeriodName) -> Self {
        match name {
            PeriodName::Day => Self::Day,
            PeriodName::Month => Self::Month,
        }
    }
}

impl From<Period> for PeriodName {
    fn from(period: Period) -> Self {
        match period {
            Period::Day => Self::Day,
            Period::Month => Self::Month,
        }
    }
}

/// Whether a key is switched on; all but `active` answer like a revoked key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyStatus)]
pub(crate) enum StatusName {
    /// It is.
    Active,
    /// It is revoked.
    Inactive,
    /// It is revoked for the time being.
    Suspended,
}

impl From<StatusName> for Status {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Active => Self::Active,
            StatusName::Inactive => Self::Inactive,
            StatusName::Suspended => Self::Suspended,
        }
    }
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Inactive => Self::Inactive,
            Status::Suspended => Self::Suspended,
        }
    }
}

/// Shows a key; with `plain`, which is known when the key was just made, in full.
pub(crate) async fn api_key_body<'a>(
    core: &Core,
    key: &'a ApiKey,
    plain: Option<&PlainKey>,
) -> Result<ApiKeyBody<'a>, StoreError> {
    let quota = core.verifier.quota_level(key).await?;
    let activity = core.verifier.activity(&key.id);
    let view = KeyView {
        first_used_at: key.first_used_at.or(activity.first_used_at),
        last_used_at: key.last_used_at.max(activity.last_used_at),
        ..key.view()
    };
    api_key_body_of(&view, plain, core.now(), quota)
}

/// The same with what is left of its quota; the uses are those of the view.
pub(crate) fn api_key_body_of<'a>(
    key: &KeyView<'a>,
    plain: Option<&PlainKey>,
    now: Timestamp,
    quota: Option<Level>,
) -> Result<ApiKeyBody<'a>, StoreError> {
    let is_active = key.is_active_at(now);
    let metadata = serde_json::from_str(key.metadata).map_err(|_| StoreError::Row {
        table: "api_keys",
        what: "metadata",
    })?;
    Ok(ApiKeyBody {
        key: plain.map_or_else(|| key.reference(), |plain| plain.expose().to_owned()),
        name: key.name,
        custom_meta_data: metadata,
        custom_account_id: key.custom_account_id,
        custom_user_id: key.custom_user_id,
        env: key.environment.into(),
        created_at: key.created_at,
        updated_at: key.updated_at,
        is_active,
        expires_at: key.expires_at,
        rate_limit_configs: key.rate_limit.map(|limit| RateLimitBody {
            rate_limit: limit.limit(),
            rate_limit_ttl: limit.window_seconds(),
        }),
        creation_context: CreationContext {
            client_ip: key.client_ip,
            client_user_agent: key.client_user_agent,
        },
        id: key.id.as_str(),
        status: match key.status {
            // Its grace is over.
            Status::Active if !is_active => StatusName::Inactive,
            status => status.into(),
        },
        project_id: key.project_id.as_str(),
        account_id: key.account_id.as_str(),
        expiry: key.expires_at,
        allowed_domains: key
            .allowed_domains
            .iter()
            .map(DomainPattern::as_str)
            .collect(),
        allowed_ips: key.allowed_ips.iter().map(ToString::to_string).collect(),
        scopes: key.scopes,
        quota: quota_body(key, quota),
        first_used_at: key.first_used_at,
        last_used_at: key.last_used_at,
        revoked_at: key.revoked_at,
        revoked_by: key.revoked_by,
        reason: key.reason,
        rotated_from: key.rotated_from.map(Id::as_str),
        rotated_to: key.rotated_to.map(Id::as_str),
    })
}

fn quota_body(key: &KeyView<'_>, level: Option<Level>) -> Option<QuotaBody> {
    let (quota, level) = (key.quota?, level?);
    Some(QuotaBody {
        limit: quota.limit,
        period: quota.period.into(),
        used: level.used,
        resets_at: level.resets_at,
    })
}
