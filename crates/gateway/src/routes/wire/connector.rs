//! A connector as answers have it.

use claviger_domain::time::Timestamp;
use claviger_store::connectors::StoredConnector;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::catalogue::Catalogue;

/// How many operations that are no tools are named.
const MOST_LEFT_OUT: usize = 100;

/// How to talk to one product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connector)]
pub(crate) struct ConnectorBody {
    /// Its id; null of the instance's own.
    #[schema(required, example = "con_4f8Q2mXc7ZrT1bVw9KpL")]
    id: Option<String>,
    /// Its name in URLs, which no other connector of the account has.
    #[schema(example = "theauthapi")]
    slug: String,
    /// The product's name for people.
    #[schema(example = "The Auth API")]
    label: String,
    /// What kind of product it is.
    #[schema(required, example = "security")]
    category: Option<String>,
    /// The account that brought it; null of the instance's own, which all accounts have.
    #[schema(required)]
    account_id: Option<String>,
    /// Id of who made it; null of the instance's own.
    #[schema(required)]
    created_by: Option<String>,
    /// When it was made; null of the instance's own.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// When it was changed last; null of the instance's own.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

impl From<&StoredConnector> for ConnectorBody {
    /// A connector of an account.
    fn from(connector: &StoredConnector) -> Self {
        Self {
            id: Some(connector.id.to_string()),
            slug: connector.slug.clone(),
            label: connector.label.clone(),
            category: connector.category.clone(),
            account_id: Some(connector.account.id.to_string()),
            created_by: connector.base.created_by.clone(),
            created_at: Some(connector.base.created_at),
            updated_at: Some(connector.base.updated_at),
        }
    }
}

impl From<&Catalogue> for ConnectorBody {
    /// A connector of the instance itself, which is nobody's to change.
    fn from(catalogue: &Catalogue) -> Self {
        Self {
            id: None,
            slug: catalogue.slug().to_owned(),
            label: catalogue.label().to_owned(),
            category: catalogue.category().map(str::to_owned),
            account_id: None,
            created_by: None,
            created_at: None,
            updated_at: None,
        }
    }
}

/// A connector and what comes of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompiledConnector)]
pub(crate) struct CompiledConnectorBody {
    #[serde(flatten)]
    pub(crate) connector: ConnectorBody,
    #[serde(flatten)]
    pub(crate) outcome: OutcomeBody,
    /// What an account's connector was made of: the members that were sent, without its document, and with
    /// `***` for what it sends with every call. Only where one is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub(crate) file: Option<Map<String, Value>>,
}

/// What comes of a connector: how many tools, and which operations are none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectorOutcome)]
pub(crate) struct OutcomeBody {
    /// How many tools it yields.
    #[schema(example = 57)]
    tool_count: usize,
    /// How many operations of its document are no tools.
    left_out_count: usize,
    /// Those operations, the first 100.
    left_out: Vec<LeftOutBody>,
    /// In which forms its credentials may be given; none: it asks for none.
    #[schema(example = json!(["api_key"]))]
    authentication_formats: Vec<&'static str>,
}

/// An operation that is no tool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeftOutOperation)]
struct LeftOutBody {
    /// Its verb and path.
    #[schema(example = "PUT /upload")]
    operation: String,
    /// Why it is none.
    #[schema(example = "its body is neither JSON nor a URL-encoded form")]
    reason: &'static str,
}

impl From<&Catalogue> for OutcomeBody {
    fn from(catalogue: &Catalogue) -> Self {
        let left_out = catalogue.left_out().iter().take(MOST_LEFT_OUT);
        let left_out = left_out.map(|one| LeftOutBody {
            operation: one.operation.clone(),
            reason: one.reason,
        });
        Self {
            tool_count: catalogue.tools().len(),
            left_out_count: catalogue.left_out().len(),
            left_out: left_out.collect(),
            authentication_formats: catalogue.authentication_formats(),
        }
    }
}
