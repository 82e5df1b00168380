//! What an MCP server shows and how: the `config` of a body, checked, and as its row keeps it.

use std::ops::RangeInclusive;

use claviger_edge::{ApiError, ErrorCode};
use serde_json::{Map, Value, json};

use crate::budget::Budget;
use crate::catalogue::filter::Filter;
use crate::exposure::{Choices, NameStyle, ToolExposure};
use crate::members::Members;
use crate::profile::SchemaProfile;

/// Whether the URL alone does not suffice.
const SECOND_CREDENTIAL: &str = "require_api_token_auth";
/// Whether secrets leave results as they are, or as handles.
const REVEAL: &str = "reveal";
const SEAL: &str = "seal";
/// The budget: its members, and what they may be.
const CALLS_PER_MINUTE: (&str, RangeInclusive<u32>) = ("calls_per_minute", 1..=10_000_000);
const CALLS_IN_FLIGHT: (&str, RangeInclusive<u32>) = ("calls_in_flight", 1..=10_000);
const RESULT_KIB: (&str, RangeInclusive<u32>) = ("result_kib", 4..=8_192);
const KNOWN: [&str; 10] = [
    "methods",
    "tags",
    SECOND_CREDENTIAL,
    "tool_exposure",
    "name_style",
    "schema_profile",
    "secrets",
    CALLS_PER_MINUTE.0,
    CALLS_IN_FLIGHT.0,
    RESULT_KIB.0,
];

/// A server's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerConfig {
    pub(crate) choices: Choices,
    pub(crate) require_api_token_auth: bool,
    pub(crate) budget: Budget,
    /// Whether secrets leave results as handles.
    pub(crate) seals_secrets: bool,
}

impl ServerConfig {
    /// Reads the `config` of a body; one that is not there allows all.
    pub(crate) fn read(config: Option<&Map<String, Value>>) -> Result<Self, ApiError> {
        let Some(config) = config else {
            return Ok(Self::default());
        };
        let members = Members::read("config", config, &KNOWN)?;
        let seals_secrets = match members.text("secrets")? {
            None | Some(REVEAL) => false,
            Some(SEAL) => true,
            Some(_) => {
                let must = format!("must be `{REVEAL}` or `{SEAL}`");
                return Err(ApiError::field("config.secrets", must));
            }
        };
        let name_style = members.text("name_style")?.map(NameStyle::parse);
        let name_style = name_style.map(|style| {
            let refuse = || ApiError::field("config.name_style", "must be `full` or `short`");
            style.ok_or_else(refuse)
        });
        let tool_exposure = members.text("tool_exposure")?.map(|text| {
            let must = "must be `all` or `discovery`";
            ToolExposure::parse(text).ok_or_else(|| ApiError::field("config.tool_exposure", must))
        });
        let profile = members
            .text("schema_profile")?
            .map(read_profile)
            .transpose()?;
        let filter = Filter::new(members.texts("methods")?, members.texts("tags")?)
            .map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))?;
        Ok(Self {
            choices: Choices {
                filter,
                name_style: name_style.transpose()?.unwrap_or_default(),
                profile: profile.unwrap_or_default(),
                tool_exposure: tool_exposure.transpose()?.unwrap_or_default(),
            },
            require_api_token_auth: members.flag(SECOND_CREDENTIAL)?.unwrap_or(false),
            budget: read_budget(&members)?,
            seals_secrets,
        })
    }

    /// The configuration with the members of a body in place of its own; null takes one away, but not
    /// the second credential, which a client that writes null for what it does not know would switch off.
    pub(crate) fn patched(&self, patch: &Map<String, Value>) -> Result<Self, ApiError> {
        if patch.get(SECOND_CREDENTIAL).is_some_and(Value::is_null) {
            let name = format!("config.{SECOND_CREDENTIAL}");
            return Err(ApiError::field(name, "must be true or false"));
        }
        // Members that are null are not read: a misspelt one must be refused nevertheless.
        Self::read(Some(patch))?;
        let mut members = match self.shown() {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        Self::read(Some(&members))
    }

    /// Reads what [`ServerConfig::shown`] wrote into a row.
    pub(crate) fn of_row(text: &str) -> Result<Self, ApiError> {
        let config: Option<Map<String, Value>> = serde_json::from_str(text).ok();
        if config.is_none() {
            tracing::error!("the config of a row of mcp_servers cannot be read");
            return Err(ApiError::new(ErrorCode::Internal, "Internal server error"));
        }
        Self::read(config.as_ref())
    }

    /// The configuration as answers and rows have it: lists only where they limit.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = Map::new();
        let filter = &self.choices.filter;
        for (name, list) in [("methods", &filter.methods), ("tags", &filter.tags)] {
            if let Some(list) = list {
                shown.insert(name.to_owned(), json!(list));
            }
        }
        shown.insert(
            SECOND_CREDENTIAL.to_owned(),
            self.require_api_token_auth.into(),
        );
        shown.insert(
            "name_style".to_owned(),
            self.choices.name_style.as_str().into(),
        );
        shown.insert(
            "schema_profile".to_owned(),
            self.choices.profile.as_str().into(),
        );
        shown.insert(
            "tool_exposure".to_owned(),
            self.choices.tool_exposure.as_str().into(),
        );
        let secrets = if self.seals_secrets { SEAL } else { REVEAL };
        shown.insert("secrets".to_owned(), secrets.into());
        let budget = self.budget;
        for ((name, _), number) in [
            (CALLS_PER_MINUTE, budget.calls_per_minute),
            (CALLS_IN_FLIGHT, budget.calls_in_flight),
            (RESULT_KIB, budget.result_kib),
        ] {
            shown.insert(name.to_owned(), number.into());
        }
        Value::Object(shown)
    }
}

fn read_budget(members: &Members<'_>) -> Result<Budget, ApiError> {
    let read = |(name, bounds): (&str, RangeInclusive<u32>), usual: u32| {
        let given = members.whole(name, bounds)?;
        Ok::<_, ApiError>(given.unwrap_or(usual))
    };
    let usual = Budget::default();
    Ok(Budget {
        calls_per_minute: read(CALLS_PER_MINUTE, usual.calls_per_minute)?,
        calls_in_flight: read(CALLS_IN_FLIGHT, usual.calls_in_flight)?,
        result_kib: read(RESULT_KIB, usual.result_kib)?,
    })
}

/// Reads the name of a style of names.
pub(crate) fn read_name_style(name: &str) -> Result<NameStyle, ApiError> {
    NameStyle::parse(name).ok_or_else(|| ApiError::field("name_style", "must be `full` or `short`"))
}

/// Reads the name of a schema profile.
pub(crate) fn read_profile(name: &str) -> Result<SchemaProfile, ApiError> {
    SchemaProfile::parse(name)
        .ok_or_else(|| ApiError::field("schema_profile", "must be `default` or `openai_strict`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &Value) -> Result<ServerConfig, ApiError> {
        ServerConfig::read(config.as_object())
    }

    #[test]
    fn a_configuration_survives_its_row() {
        let config = read(&json!({
            "methods": ["read"], "tags": ["projects"], "require_api_token_auth": true,
            "name_style": "short", "schema_profile": "openai_strict",
            "tool_exposure": "discovery", "secrets": "seal",
            "calls_per_minute": 9, "calls_in_flight": 2, "result_kib": 64
        }))
        .unwrap();
        assert!(config.require_api_token_auth);
        let row = config.shown().to_string();
        assert_eq!(ServerConfig::of_row(&row).unwrap(), config);
        assert_eq!(ServerConfig::read(None).unwrap(), ServerConfig::default());
        assert!(ServerConfig::of_row("[]").is_err());
    }

    #[test]
    fn a_patch_replaces_what_it_names() {
        let before =
            json!({"methods": ["read"], "tags": ["projects"], "require_api_token_auth": true});
        let patch = json!({"methods": ["write"], "tags": null, "name_style": "short"});
        let after =
            json!({"methods": ["write"], "require_api_token_auth": true, "name_style": "short"});
        let patched = read(&before).unwrap().patched(patch.as_object().unwrap());
        assert_eq!(patched.unwrap(), read(&after).unwrap());
        let misspelt = json!({"require_api_token_aut": null});
        let refused = read(&before)
            .unwrap()
            .patched(misspelt.as_object().unwrap());
        assert_eq!(refused.unwrap_err().code, ErrorCode::UnknownMember);
    }

    #[test]
    fn a_misspelt_member_opens_no_door() {
        let error = read(&json!({ "require_api_token_aut": true })).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownMember);
        assert!(
            error
                .message
                .contains("did you mean `require_api_token_auth`?"),
            "{}",
            error.message
        );
        assert_eq!(error.details[0].field, "config.require_api_token_aut");
    }

    #[test]
    fn a_filter_is_kept_in_one_order_and_refused_when_too_long() {
        let one = read(&json!({ "methods": ["write", "read", "write"], "tags": ["b", "a"] }));
        let other = read(&json!({ "methods": ["read", "write"], "tags": ["a", "b", "b"] }));
        assert_eq!(one.unwrap(), other.unwrap());
        for name in ["methods", "tags"] {
            assert!(read(&json!({ name: vec!["read"; 100] })).is_ok());
            let error = read(&json!({ name: vec!["read"; 101] })).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidFilter);
            assert!(error.message.contains(name), "{}", error.message);
        }
    }

    #[test]
    fn a_value_of_another_kind_is_refused_by_name() {
        for (config, field) in [
            (json!({ "methods": "read" }), "config.methods"),
            (json!({ "tags": [1] }), "config.tags"),
            (
                json!({ "require_api_token_auth": "yes" }),
                "config.require_api_token_auth",
            ),
            (json!({ "name_style": "tiny" }), "config.name_style"),
            (json!({ "secrets": "show" }), "config.secrets"),
            (json!({ "tool_exposure": "some" }), "config.tool_exposure"),
            (json!({ "calls_per_minute": 0 }), "config.calls_per_minute"),
            (json!({ "calls_in_flight": 1.5 }), "config.calls_in_flight"),
            (json!({ "result_kib": 8_193 }), "config.result_kib"),
        ] {
            let error = read(&config).unwrap_err();
            assert_eq!(
                (error.code, error.details[0].field.as_str()),
                (ErrorCode::InvalidInput, field)
            );
        }
    }
}
