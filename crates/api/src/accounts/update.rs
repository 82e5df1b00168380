//! `PATCH /accounts/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::AccountsWrite;
use claviger_edge::{ApiError, Body, Caller, Core, PathParameter};
use claviger_store::{StoreError, accounts};
use serde::Deserialize;
use utoipa::ToSchema;

use super::absent;
use super::body::AccountBody;
use crate::wire::name_of;

/// What of an account can be changed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AccountChange {
    /// The account's name: 1 to 255 characters.
    #[serde(default)]
    #[schema(example = "Acme")]
    name: Option<String>,
}

/// Change an account
///
/// Renames an account.
#[utoipa::path(patch, path = "/accounts/{id}", operation_id = "updateAccount", tag = "accounts",
    params(("id" = String, Path, description = "The account's id, from listing accounts.",
        example = "acc_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = AccountChange,
    responses(
        (status = 200, description = "The account as it is now.", body = AccountBody),
        (status = 404, description = "No such account.")))]
pub(crate) async fn update_account(
    State(core): State<Core>,
    caller: Caller<AccountsWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<AccountChange>,
) -> Result<Json<AccountBody>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let found = accounts::find(&core.db, &caller.reach, &id)
        .await?
        .ok_or_else(absent)?;
    let Some(name) = input.name else {
        return Ok(Json((&found).into()));
    };
    let name = name_of(Some(&name))?.to_owned();
    if name == found.name {
        return Ok(Json((&found).into()));
    }
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let renamed = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { accounts::rename(tx, &change, &reach, &id, &name).await })
        })
        .await?;
    let account = renamed.ok_or_else(absent)?;
    Ok(Json((&account).into()))
}
