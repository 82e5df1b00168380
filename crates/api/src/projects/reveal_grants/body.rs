//! A grant as answers show it.

use claviger_domain::time::Timestamp;
use claviger_store::reveal_grants::RevealGrant;
use serde::Serialize;
use utoipa::ToSchema;

/// That an access key may read the keys of a project back, until it ends.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RevealGrant)]
pub(crate) struct RevealGrantBody {
    /// The grant's id.
    #[schema(example = "rvg_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// The project.
    #[schema(example = "prj_4f8Q2mXc7ZrT1bVw9KpL")]
    project_id: String,
    /// The access key, and none that succeeds it.
    #[schema(example = "ack_8dK2vQ0mZpR4xTbW")]
    access_key_id: String,
    /// When the grant ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Id of who granted it.
    created_by: Option<String>,
    /// `USER`; null for the operator.
    created_by_type: Option<String>,
    /// When it was granted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&RevealGrant> for RevealGrantBody {
    fn from(grant: &RevealGrant) -> Self {
        Self {
            id: grant.id.to_string(),
            project_id: grant.project_id.to_string(),
            access_key_id: grant.access_key_id.to_string(),
            expires_at: grant.expires_at,
            created_by: grant.created_by.clone(),
            created_by_type: grant.created_by_type.clone(),
            created_at: grant.created_at,
        }
    }
}
