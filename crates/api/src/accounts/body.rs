//! An account as answers show it.

use claviger_domain::id::Id;
use claviger_store::accounts::Account;
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::BaseBody;

/// A customer of this instance, or a child of one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Account)]
pub(crate) struct AccountBody {
    /// The account's id.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// The account's name.
    #[schema(example = "Acme")]
    name: String,
    /// The account that it is a child of.
    parent_account_id: Option<String>,
    #[serde(flatten)]
    base: BaseBody,
}

impl From<&Account> for AccountBody {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.clone(),
            parent_account_id: account.parent().map(Id::to_string),
            base: BaseBody::of(&account.base, true),
        }
    }
}
