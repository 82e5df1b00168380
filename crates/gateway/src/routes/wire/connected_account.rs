//! A connected account as answers have it; never its credentials.

use claviger_domain::time::Timestamp;
use claviger_store::connected_accounts::{ConnectedAccount, Status};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::described::Override;
use crate::failure::Failure;

/// One tenant's credentials for a connector.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectedAccount)]
pub(crate) struct ConnectedAccountBody {
    /// Its id.
    #[schema(example = "cac_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Whose credentials they are, in your own words.
    #[schema(example = "customer-42")]
    tenant_id: String,
    /// The connector's slug.
    #[schema(example = "theauthapi")]
    integration: String,
    /// The form of its credentials; `none` where the connector asks for none.
    #[schema(example = "api_key")]
    authentication_method: String,
    /// Whether calls get through.
    status: StatusName,
    /// What it was connected with that is no secret, by the names of the connector's fields.
    #[schema(value_type = Object)]
    context: Value,
    /// What it says otherwise of its connector's tools.
    #[schema(value_type = Override)]
    r#override: Value,
    /// The account that it is in.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// The project that it is for; null: the whole account.
    #[schema(required)]
    project_id: Option<String>,
    /// Id of who made it.
    #[schema(required)]
    created_by: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<&ConnectedAccount> for ConnectedAccountBody {
    fn from(connected: &ConnectedAccount) -> Self {
        Self {
            id: connected.id.to_string(),
            tenant_id: connected.tenant_id.clone(),
            integration: connected.integration.clone(),
            authentication_method: connected.authentication_method.clone(),
            status: connected.status.into(),
            context: serde_json::from_str(&connected.context).unwrap_or_default(),
            r#override: serde_json::from_str(&connected.overrides).unwrap_or_default(),
            account_id: connected.account.id.to_string(),
            project_id: connected.project.as_ref().map(ToString::to_string),
            created_by: connected.base.created_by.clone(),
            created_at: connected.base.created_at,
            updated_at: connected.base.updated_at,
        }
    }
}

/// Whether calls of a connected account get through.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectedAccountStatus)]
enum StatusName {
    /// Its credentials were not tried yet.
    Connecting,
    /// They are taken, as far as is known.
    Active,
    /// They are not taken any more, and are to be entered anew.
    NeedsReauth,
    /// They were not taken when they were entered.
    ValidationError,
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Connecting => Self::Connecting,
            Status::Active => Self::Active,
            Status::NeedsReauth => Self::NeedsReauth,
            Status::ValidationError => Self::ValidationError,
        }
    }
}

/// A connected account whose credentials were tried.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedConnectedAccount)]
pub(crate) struct TriedAccountBody {
    #[serde(flatten)]
    pub(crate) connected: ConnectedAccountBody,
    /// Why its credentials were not taken; null where they were.
    #[schema(required)]
    pub(crate) validation_error: Option<WhyNot>,
}

/// Why credentials were not taken, without what the upstream answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CredentialsRefusal)]
pub(crate) struct WhyNot {
    /// The HTTP status that trying them came to.
    #[schema(example = 401)]
    status_code: u16,
    /// Why, for programs.
    #[schema(example = "remote_error")]
    code: String,
    /// Why, for people.
    message: String,
}

impl From<&Failure> for WhyNot {
    fn from(failure: &Failure) -> Self {
        Self {
            status_code: failure.status.as_u16(),
            code: failure.code.clone(),
            message: failure.message.clone(),
        }
    }
}
