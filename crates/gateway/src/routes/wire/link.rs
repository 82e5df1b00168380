//! A link as answers have it; never its token.

use claviger_domain::time::Timestamp;
use claviger_store::link_tokens::LinkToken;
use serde::Serialize;
use utoipa::ToSchema;

/// A link by which somebody connects an account of theirs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
pub(crate) struct LinkBody {
    /// Its id.
    #[schema(example = "lnk_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Whose credentials are asked for, in your own words.
    #[schema(example = "customer-42")]
    tenant_id: String,
    /// The slug of the connector that it is for; null: whoever uses it chooses.
    #[schema(required)]
    integration: Option<String>,
    /// The connected account that is connected anew, or that came of it so far.
    #[schema(required)]
    integrated_account_id: Option<String>,
    /// The account that asks.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// The project that what is connected is for; null: the whole account.
    #[schema(required)]
    project_id: Option<String>,
    /// Id of who made it.
    #[schema(required)]
    created_by: Option<String>,
    /// How often something was entered by it.
    tries: i64,
    /// When it is over.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&LinkToken> for LinkBody {
    fn from(link: &LinkToken) -> Self {
        Self {
            id: link.id.to_string(),
            tenant_id: link.tenant_id.clone(),
            integration: link.integration.clone(),
            integrated_account_id: link.connected.as_ref().map(ToString::to_string),
            account_id: link.account.id.to_string(),
            project_id: link.project.as_ref().map(ToString::to_string),
            created_by: link.maker.actor().id().map(str::to_owned),
            tries: link.tries,
            expires_at: link.expires_at,
            created_at: link.created_at,
        }
    }
}
