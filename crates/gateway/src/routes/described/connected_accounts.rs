//! Bodies about connected accounts.

use std::collections::HashMap;

use serde_json::Value;
use utoipa::ToSchema;

/// An account of one of your tenants, to be connected.
#[derive(ToSchema)]
pub(crate) struct NewConnectedAccount {
    /// The slug of the connector.
    #[schema(example = "theauthapi")]
    integration: String,
    /// Whose credentials they are, in your own words: 1 to 255 characters, not unique.
    #[schema(example = "customer-42")]
    tenant_id: String,
    /// The form of the credentials: one that the connector has, but for `oauth2`, which is connected by a link. The
    /// only one when it is not given.
    #[schema(example = "api_key")]
    authentication_method: Option<String>,
    /// What the connector asks for that is no secret, by the names of its fields; 64 KiB at most.
    context: Option<HashMap<String, Value>>,
    /// What the connector asks for, by the names of its fields; 64 KiB at most. Sealed, and never shown.
    #[schema(example = json!({"key": "live_access_XXXX"}))]
    credentials: Option<HashMap<String, Value>>,
    /// What it says otherwise of the connector's tools.
    r#override: Option<Override>,
    /// The account that it is in; the caller's own when it is not given.
    account_id: Option<String>,
    /// The project that it is for; the whole account when it is not given.
    project_id: Option<String>,
}

/// What of a connected account can be changed.
#[derive(ToSchema)]
pub(crate) struct ConnectedAccountChange {
    /// Whose credentials they are, in your own words: 1 to 255 characters.
    #[schema(example = "customer-42")]
    tenant_id: Option<String>,
    /// What the connector asks for that is no secret, whole; 64 KiB at most. Where calls would go elsewhere than
    /// before, nothing is sent until the credentials are entered anew.
    context: Option<HashMap<String, Value>>,
    /// What it says otherwise of the connector's tools, whole; `{}`: nothing.
    r#override: Option<Override>,
}

/// Credentials in the place of others.
#[derive(ToSchema)]
pub(crate) struct CredentialsChange {
    /// The form of the credentials; as before when it is not given.
    #[schema(example = "api_key")]
    authentication_method: Option<String>,
    /// What the connector asks for, by the names of its fields; 64 KiB at most. Sealed, and never shown.
    #[schema(example = json!({"key": "live_access_XXXX"}))]
    credentials: HashMap<String, Value>,
}

/// Which connected account is meant.
#[derive(ToSchema)]
pub(crate) struct WhichConnectedAccount {
    /// Its id, from listing connected accounts.
    #[schema(example = "cac_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
}

/// What a connected account says otherwise of its connector's tools, 64 KiB at most.
#[derive(ToSchema)]
#[schema(as = ConnectedAccountOverride)]
pub(crate) struct Override {
    /// By the names of resources.
    resources: Option<HashMap<String, OverrideOfResource>>,
}

/// What is said otherwise of a resource.
#[derive(ToSchema)]
struct OverrideOfResource {
    /// By the names of methods.
    methods: Option<HashMap<String, OverrideOfMethod>>,
}

/// What is said otherwise of a tool.
#[derive(ToSchema)]
struct OverrideOfMethod {
    /// What it is for, to be read by models: 1 to 8000 characters.
    description: Option<String>,
    /// What its result keeps: new names, each with where its value is in the answer, as names joined by dots. Not of a
    /// tool whose answers have secrets.
    #[schema(example = json!({"name": "profile.name"}))]
    map: Option<HashMap<String, String>>,
    /// Whether it is no tool here.
    hidden: Option<bool>,
}
