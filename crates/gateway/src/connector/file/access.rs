//! The members of a connector file about who a call is made as: what is asked for when connecting, where
//! it goes in a request, and what the upstream answers when something is wrong.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Placed;
use crate::connector::value_path::ValuePath;

/// In which form a connected account has its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One or more keys.
    ApiKey,
    /// A user name and a password.
    Basic,
    /// A token that does not end, or that is entered anew when it has.
    Bearer,
    /// OAuth 2 with an authorization code and PKCE.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// OAuth 2 with the credentials of a client.
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2ClientCredentials,
}

impl Format {
    /// Its name in files and bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::OAuth2 => "oauth2",
            Self::OAuth2ClientCredentials => "oauth2_client_credentials",
        }
    }

    /// Whether tokens are fetched for it.
    pub fn is_oauth(self) -> bool {
        matches!(self, Self::OAuth2 | Self::OAuth2ClientCredentials)
    }

    /// The fields that it asks for where the file names none.
    pub(crate) fn usual_fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::ApiKey => &[("api_key", "API key")],
            Self::Basic => &[("username", "User name"), ("password", "Password")],
            Self::Bearer => &[("token", "Token")],
            Self::OAuth2 => &[],
            Self::OAuth2ClientCredentials => &[
                ("client_id", "Client id"),
                ("client_secret", "Client secret"),
            ],
        }
    }
}

/// One form of credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatEntry {
    /// What is asked for; by default what the form is made of.
    #[serde(default)]
    pub fields: Vec<FieldEntry>,
    /// In place of the connector's authorization.
    #[serde(default)]
    pub authorization: Option<AuthorizationEntry>,
    /// Where an OAuth user is sent to consent, as a template over `context`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub authorization_url: Option<Placed>,
    /// Where OAuth tokens are fetched, as a template over `context`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub token_url: Option<Placed>,
    /// The OAuth scopes that are asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What else `oauth2` sends to `authorization_url`, such as `access_type: offline`.
    #[serde(default)]
    pub authorization_query: IndexMap<String, String>,
    /// What the authorization server of `oauth2` calls itself, as a template over `context`: an answer
    /// then has to say that it is from there (`iss`, RFC 9207).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub issuer: Option<Placed>,
    /// How the client of `oauth2` shows who it is at `token_url`.
    #[serde(default)]
    pub client_authentication: Option<ClientAuthentication>,
    /// A cheap method by which new credentials are tried, written `resource.method`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub validate: Option<Placed>,
}

/// Where the secret of an OAuth client goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// To `Authorization: Basic`.
    #[default]
    Basic,
    /// To the body, as `client_secret`.
    Body,
}

/// Something that is asked for when connecting.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldEntry {
    /// Its name in templates.
    #[schemars(with = "String")]
    pub name: Placed,
    /// Its name for people.
    #[serde(default)]
    pub label: Option<String>,
    /// What it is.
    ///
    /// By default a text; but what is asked for as a credential and is not named a text is a secret.
    #[serde(default, rename = "type")]
    pub kind: Option<FieldKind>,
    /// Whether it must be given.
    #[serde(default = "yes")]
    pub required: bool,
    /// A regular expression that it matches.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub pattern: Option<Placed>,
    /// Where to find it, for people.
    #[serde(default)]
    pub help: Option<String>,
}

fn yes() -> bool {
    true
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A text that may be seen.
    Text,
    /// A text that is not shown while it is typed.
    Secret,
    /// A text of several lines, such as a key in PEM; a secret where it is asked for as a credential.
    Multiline,
    /// The name of a whole host, of a product that its users run themselves.
    Host,
}

/// Where a credential goes. The values are templates over `context` and `credentials`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationEntry {
    /// A header.
    Header(PlacedValueEntry),
    /// A parameter of the query.
    Query(PlacedValueEntry),
    /// `Authorization: Basic`.
    Basic(BasicEntry),
    /// `Authorization: Bearer`, with this token.
    Bearer(#[schemars(with = "String")] Placed),
}

/// A name and what stands under it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacedValueEntry {
    /// The name of the header or the parameter.
    #[schemars(with = "String")]
    pub name: Placed,
    /// The value.
    #[schemars(with = "String")]
    pub value: Placed,
}

/// The two halves of `Authorization: Basic`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicEntry {
    /// The user name.
    #[schemars(with = "String")]
    pub username: Placed,
    /// The password.
    #[schemars(with = "String")]
    pub password: Placed,
}

/// How the upstream tells what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorsEntry {
    /// Where in a body the upstream's message is; by default where most put it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub message: Option<ValuePath>,
    /// What makes an answer with a status of success a failure.
    #[serde(default)]
    pub failed_when: Vec<FailureEntry>,
}

/// A sign of failure: both are there where both are named.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureEntry {
    /// The status.
    #[serde(default)]
    pub status: Option<u16>,
    /// A member of the body that is there and not null, or that has the value `is`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub path: Option<ValuePath>,
    /// The value that is a failure.
    #[serde(default)]
    pub is: Option<Value>,
}

impl ErrorsEntry {
    /// Whether an answer with a status of success is a failure.
    pub(crate) fn is_failure(&self, status: http::StatusCode, body: Option<&Value>) -> bool {
        self.failed_when.iter().any(|sign| {
            let has_status = sign.status.is_none_or(|it| it == status.as_u16());
            let found = sign.path.as_ref().map(|path| path.of(body?));
            let has_value = match (found, &sign.is) {
                (None, _) => true,
                (Some(found), Some(is)) => found == Some(is),
                (Some(found), None) => found.is_some_and(|found| !found.is_null()),
            };
            has_status && has_value
        })
    }
}
