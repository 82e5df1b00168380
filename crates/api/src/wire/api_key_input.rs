//! What creating and updating an API key take.

use claviger_domain::address;
use claviger_domain::limit::{DEFAULT_WINDOW_SECONDS, GREATEST_LIMIT, Quota, RateLimit};
use claviger_domain::metadata;
use claviger_domain::origin::DomainPattern;
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, Patch};
use claviger_store::api_keys::ApiKey;
use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{DateText, PeriodName, StatusName, choose, name_of, short_text};

/// Members of a list in a body, at most.
const LONGEST_LIST: usize = 100;
/// Characters that a user agent may have.
const LONGEST_USER_AGENT: usize = 1_024;

/// The settings of an API key. Members that are not there are left as they are; null clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKeyInput {
    /// The key's name: 1 to 255 characters. Required when creating.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Production key of Acme")]
    pub(crate) name: Patch<String>,
    /// The project that the key is made in: an id from listing projects. Not needed when the
    /// caller has one project only. A key cannot be moved later.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    pub(crate) project_id: Option<String>,
    /// A key string of your own, 12 to 255 characters, where your customers have one already.
    /// Without it a key is generated.
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// Whatever you want to get back when the key is checked: any JSON, up to 16 KiB.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    custom_meta_data: Patch<Value>,
    /// An older spelling of `customMetaData`.
    #[serde(default)]
    #[schema(ignore)]
    custom_metadata: Patch<Value>,
    /// Your own id of the customer that the key is for.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    custom_account_id: Patch<String>,
    /// Your own id of the user that the key is for.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    custom_user_id: Patch<String>,
    /// How often the key may be used; null: without a limit.
    #[serde(default)]
    #[schema(value_type = Option<RateLimitInput>)]
    rate_limit_configs: Patch<RateLimitInput>,
    /// An older place of `rateLimitConfigs.rateLimit`.
    #[serde(default)]
    #[schema(ignore)]
    rate_limit: Patch<u64>,
    /// An older place of `rateLimitConfigs.rateLimitTtl`.
    #[serde(default)]
    #[schema(ignore)]
    rate_limit_ttl: Patch<u32>,
    /// When the key ends, such as `2034-11-04T17:16:00.000Z`; null: never. A past date is taken.
    #[serde(default)]
    #[schema(value_type = Option<DateText>)]
    expiry: Patch<DateText>,
    /// The spelling of `expiry` in answers.
    #[serde(default)]
    #[schema(ignore)]
    expires_at: Patch<DateText>,
    /// The address that the key was asked for from, to be shown in `creationContext`.
    #[serde(default, rename = "clientIP")]
    #[schema(value_type = Option<String>)]
    client_ip: Patch<String>,
    /// The program that the key was asked for with, to be shown in `creationContext`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_user_agent: Patch<String>,
    /// Locks the key to origins: host names, `*.example.com` for all below one. Checks must then
    /// tell the origin.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_domains: Patch<Vec<String>>,
    /// Locks the key to networks: addresses or CIDR. Checks must then tell the address.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_ips: Patch<Vec<String>>,
    /// Scopes that the key has, for checks that ask for some.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Patch<Vec<String>>,
    /// How much the key may be used in a day or a month; null: without a quota.
    #[serde(default)]
    #[schema(value_type = Option<QuotaInput>)]
    quota: Patch<QuotaInput>,
    /// Switches the key off and on. For updates.
    #[serde(default)]
    pub(crate) is_active: Option<bool>,
    /// Switches the key off and on, in more words. For updates.
    #[serde(default)]
    pub(crate) status: Option<StatusName>,
    /// Why the key is switched off. For updates.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// The settings of a new API key, for the OpenAPI document: with a name, and without what is for
/// updates.
#[derive(Debug)]
pub(crate) enum NewApiKey {}

impl PartialSchema for NewApiKey {
    fn schema() -> RefOr<Schema> {
        let mut schema = ApiKeyInput::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.push("name".to_owned());
            for member in ["isActive", "status", "reason"] {
                object.properties.shift_remove(member);
            }
        }
        schema
    }
}

impl ToSchema for NewApiKey {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ApiKeyInput::schemas(schemas);
    }
}

/// So many requests in so many seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RateLimitInput {
    /// Requests in a window, at least 1; null: without a limit.
    #[serde(default)]
    #[schema(value_type = Option<u64>, example = 100, minimum = 1)]
    rate_limit: Patch<u64>,
    /// Seconds in a window, 1 to 2678400; 60 when it is not given.
    #[schema(example = 60, minimum = 1, maximum = 2_678_400)]
    rate_limit_ttl: Option<u32>,
}

/// So many requests in a day or a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) struct QuotaInput {
    /// Requests in a period, at least 1.
    #[schema(example = 10_000, minimum = 1)]
    limit: u64,
    /// The period, UTC.
    period: PeriodName,
}

impl ApiKeyInput {
    /// Applies the settings to a key, but for its key string, project and status.
    pub(crate) fn apply(self, key: &mut ApiKey) -> Result<(), ApiError> {
        match &self.name {
            Patch::Keep => {}
            Patch::Clear => return Err(ApiError::field("name", "must not be null")),
            Patch::Set(name) => name_of(Some(name))?.clone_into(&mut key.name),
        }
        let stored = serde_json::from_str(&key.metadata).ok();
        let metadata = choose(
            ["customMetaData", "customMetadata"],
            [self.custom_meta_data, self.custom_metadata],
            stored.as_ref(),
        )?;
        match metadata {
            Patch::Keep => {}
            Patch::Clear => "{}".clone_into(&mut key.metadata),
            Patch::Set(value) if Some(&value) == stored.as_ref() => {}
            Patch::Set(value) => {
                key.metadata = metadata::to_row(&value)
                    .map_err(|error| ApiError::field("customMetaData", error.to_string()))?;
            }
        }
        apply_text(
            "customAccountId",
            self.custom_account_id,
            &mut key.custom_account_id,
        )?;
        apply_text("customUserId", self.custom_user_id, &mut key.custom_user_id)?;
        apply_text("clientIP", self.client_ip, &mut key.client_ip)?;
        apply_user_agent(self.client_user_agent, &mut key.client_user_agent)?;
        key.rate_limit = rate_limit(
            key.rate_limit,
            self.rate_limit_configs,
            self.rate_limit,
            self.rate_limit_ttl,
        )?;
        let stored = key.expires_at.map(shown).map(DateText);
        // What was read has milliseconds only, and must not cut what is stored.
        match choose(
            ["expiry", "expiresAt"],
            [self.expiry, self.expires_at],
            stored.as_ref(),
        )? {
            Patch::Keep => {}
            Patch::Clear => key.expires_at = None,
            Patch::Set(date) if Some(date) == stored => {}
            Patch::Set(date) => key.expires_at = Some(date.0),
        }
        apply_list(
            "allowedDomains",
            self.allowed_domains,
            &mut key.allowed_domains,
            |text| {
                DomainPattern::parse(text)
                    .ok_or("must be a host name such as example.com or *.example.com")
            },
        )?;
        apply_list(
            "allowedIps",
            self.allowed_ips,
            &mut key.allowed_ips,
            |text| {
                address::parse_network(text)
                    .ok_or("must be an address or a network such as 192.0.2.0/24")
            },
        )?;
        apply_list("scopes", self.scopes, &mut key.scopes, |text| {
            let is_scope =
                !text.is_empty() && text.len() <= 255 && !text.contains(char::is_whitespace);
            is_scope
                .then(|| text.to_owned())
                .ok_or("must be 1 to 255 characters without white space")
        })?;
        match self.quota {
            Patch::Keep => {}
            Patch::Clear => key.quota = None,
            Patch::Set(quota) if (1..=GREATEST_LIMIT).contains(&quota.limit) => {
                key.quota = Some(Quota {
                    limit: quota.limit,
                    period: quota.period.into(),
                });
            }
            Patch::Set(_) => return Err(ApiError::field("quota.limit", "must be at least 1")),
        }
        Ok(())
    }
}

/// An instant as answers show it: whole milliseconds.
fn shown(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_millis() * 1_000)
}

fn apply_text(
    field: &str,
    value: Patch<String>,
    stored: &mut Option<String>,
) -> Result<(), ApiError> {
    if let Patch::Set(text) = &value {
        short_text(field, text)?;
    }
    value.apply(stored);
    Ok(())
}

fn apply_user_agent(value: Patch<String>, stored: &mut Option<String>) -> Result<(), ApiError> {
    if let Patch::Set(text) = &value
        && text.chars().count() > LONGEST_USER_AGENT
    {
        let message = format!("has more than {LONGEST_USER_AGENT} characters");
        return Err(ApiError::field("clientUserAgent", message));
    }
    value.apply(stored);
    Ok(())
}

fn apply_list<T>(
    field: &str,
    value: Patch<Vec<String>>,
    stored: &mut Vec<T>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<(), ApiError> {
    match value {
        Patch::Keep => {}
        Patch::Clear => stored.clear(),
        Patch::Set(texts) if texts.len() > LONGEST_LIST => {
            let message = format!("has more than {LONGEST_LIST} members");
            return Err(ApiError::field(field, message));
        }
        Patch::Set(texts) => {
            *stored = texts
                .iter()
                .enumerate()
                .map(|(index, text)| {
                    read(text)
                        .map_err(|message| ApiError::field(format!("{field}[{index}]"), message))
                })
                .collect::<Result<_, _>>()?;
        }
    }
    Ok(())
}

/// The limit that the two spellings give together.
fn rate_limit(
    stored: Option<RateLimit>,
    configs: Patch<RateLimitInput>,
    limit: Patch<u64>,
    seconds: Patch<u32>,
) -> Result<Option<RateLimit>, ApiError> {
    let top_level = match (&limit, &seconds) {
        (Patch::Keep, Patch::Keep) => Patch::Keep,
        _ => Patch::Set(RateLimitInput {
            rate_limit: limit,
            rate_limit_ttl: seconds.into_option(),
        }),
    };
    // The two are compared as they would be stored: `{rateLimit: null}` is no limit.
    let read = |patch: Patch<RateLimitInput>| {
        let RateLimitInput {
            rate_limit,
            rate_limit_ttl,
        } = match patch {
            Patch::Keep => return Ok(Patch::Keep),
            Patch::Clear => return Ok(Patch::Clear),
            Patch::Set(input) => input,
        };
        let limit = match (rate_limit, stored) {
            (Patch::Clear, _) => return Ok(Patch::Clear),
            (Patch::Set(limit), _) => limit,
            // What is not given is left as it is: a misspelt member must not take the limit off.
            (Patch::Keep, Some(stored)) => stored.limit(),
            (Patch::Keep, None) => {
                let message = "is required, null is without a limit";
                return Err(ApiError::field("rateLimitConfigs.rateLimit", message));
            }
        };
        let kept = stored.map_or(DEFAULT_WINDOW_SECONDS, RateLimit::window_seconds);
        RateLimit::new(limit, rate_limit_ttl.unwrap_or(kept))
            .map(Patch::Set)
            .ok_or_else(|| {
                let message = "rateLimit must be at least 1 and rateLimitTtl 1 to 2678400 seconds";
                ApiError::field("rateLimitConfigs", message)
            })
    };
    let values = [read(configs)?, read(top_level)?];
    let mut result = stored;
    choose(["rateLimitConfigs", "rateLimit"], values, stored.as_ref())?.apply(&mut result);
    Ok(result)
}
