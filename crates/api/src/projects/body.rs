//! A project as answers show it.

use claviger_store::projects::Project;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::{BaseBody, EnvironmentName};

/// A named set of API keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Project)]
pub(crate) struct ProjectBody {
    /// The project's id.
    #[schema(example = "prj_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// The project's name.
    #[schema(example = "Weather API")]
    name: String,
    /// The project's account.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// Whether its keys are for production.
    env: EnvironmentName,
    /// `hashed`: full keys are not kept.
    #[schema(example = "hashed")]
    key_storage: String,
    #[serde(flatten)]
    base: BaseBody,
}

impl From<&Project> for ProjectBody {
    fn from(project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            account_id: project.account_id.to_string(),
            env: project.environment().into(),
            key_storage: project.key_storage.clone(),
            base: BaseBody::of(&project.base, true),
        }
    }
}
