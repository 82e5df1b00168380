//! A project as answers show it.

use claviger_domain::key_storage::KeyStorage;
use claviger_store::projects::Project;
use serde::{Deserialize, Serialize};
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
    /// Whether its keys can be read back.
    key_storage: KeyStorageName,
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
            key_storage: project.key_storage.into(),
            base: BaseBody::of(&project.base, true),
        }
    }
}

/// Whether the keys of a project can be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyStorage)]
pub(crate) enum KeyStorageName {
    /// Only digests of them are kept.
    Hashed,
    /// They are kept sealed as well, and shown to access keys that were granted that.
    Recoverable,
}

impl From<KeyStorage> for KeyStorageName {
    fn from(storage: KeyStorage) -> Self {
        match storage {
            KeyStorage::Hashed => Self::Hashed,
            KeyStorage::Recoverable => Self::Recoverable,
        }
    }
}

impl From<KeyStorageName> for KeyStorage {
    fn from(name: KeyStorageName) -> Self {
        match name {
            KeyStorageName::Hashed => Self::Hashed,
            KeyStorageName::Recoverable => Self::Recoverable,
        }
    }
}
