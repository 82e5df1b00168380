//! Bodies about what accounts have their customers connect.

use utoipa::ToSchema;

/// A link to be made: for a tenant, or for a connected account that is to be connected anew.
#[derive(ToSchema)]
pub(crate) struct NewLink {
    /// Whose credentials are asked for, in your own words: 1 to 255 characters. Needed without
    /// `integrated_account_id`, and not taken with it.
    #[schema(example = "customer-42")]
    tenant_id: Option<String>,
    /// The connected account that is to be connected anew.
    integrated_account_id: Option<String>,
    /// The slug of the connector; whoever uses the link chooses when it is not given.
    #[schema(example = "theauthapi")]
    integration: Option<String>,
    /// Where whoever connected goes back to: one of the account's `redirect_uris`.
    redirect_uri: Option<String>,
    /// OAuth scopes to ask for in the place of the connector's: 100 at most, of 1 to 255 characters.
    scopes: Option<Vec<String>>,
    /// When it is over: 60 seconds to a day ahead; an hour when it is not given.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The account that asks; the caller's own when it is not given.
    account_id: Option<String>,
    /// The project that what is connected is for; the whole account when it is not given.
    project_id: Option<String>,
}

/// Pages of yours, whole: what is not named is taken out.
#[derive(ToSchema)]
pub(crate) struct LinkSettingsInput {
    /// Pages to which whoever connected may be sent back, 50 at most.
    #[schema(example = json!(["https://app.example.com/connected"]))]
    redirect_uris: Option<Vec<String>>,
    /// Origins whose pages are told what came of it, 50 at most.
    #[schema(example = json!(["https://app.example.com"]))]
    origins: Option<Vec<String>>,
    /// The account; the caller's own when it is not given.
    account_id: Option<String>,
}

/// As whom an account asks users of a product for their consent.
#[derive(ToSchema)]
pub(crate) struct OAuthClientInput {
    /// How the product calls you: 1 to 2048 characters of ASCII.
    #[schema(example = "3f7a9c21")]
    client_id: String,
    /// What the product gave you to prove it with, of the same length; a client without one when it is not given.
    /// Sealed, and never shown.
    client_secret: Option<String>,
    /// The account; the caller's own when it is not given.
    account_id: Option<String>,
}
