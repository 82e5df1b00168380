//! A person as answers show them.

use claviger_domain::time::Timestamp;
use claviger_store::users::User;
use serde::Serialize;
use utoipa::ToSchema;

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(crate) struct UserBody {
    /// The user's id.
    #[schema(example = "usr_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Their address.
    #[schema(example = "ada@example.com")]
    email: String,
    /// What they are called.
    #[schema(example = "Ada Lovelace")]
    name: String,
    /// Whether it was seen that mail to the address reaches them.
    is_email_verified: bool,
    /// When they signed up.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When something of this was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<&User> for UserBody {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.clone(),
            name: user.name.clone(),
            is_email_verified: user.is_verified,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
