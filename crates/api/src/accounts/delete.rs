//! `DELETE /accounts/{id}`.

use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::AccountsDelete;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, PathParameter};
use claviger_store::accounts::Deleted;
use http::StatusCode;

use super::absent;

/// Delete an account
///
/// Removes an account with its projects, keys and access keys, at once. It cannot be undone
/// through this API. An account that has children, and your own, cannot be removed.
#[utoipa::path(delete, path = "/accounts/{id}", operation_id = "deleteAccount", tag = "accounts",
    params(("id" = String, Path, description = "The account's id, from listing accounts.",
        example = "acc_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 204, description = "It is removed."),
        (status = 404, description = "No such account."),
        (status = 409, description = "It has children, or it is the caller's own.")))]
pub(crate) async fn delete_account(
    State(core): State<Core>,
    caller: Caller<AccountsDelete>,
    PathParameter(id): PathParameter,
) -> Result<StatusCode, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    if caller
        .identity
        .account
        .as_ref()
        .is_some_and(|own| own.id == id)
    {
        let message = "An account cannot remove itself, ask the operator";
        return Err(ApiError::new(ErrorCode::OwnAccount, message));
    }
    let change = core.change(&caller.actor);
    match core
        .verifier
        .delete_account(change, caller.reach, id)
        .await?
    {
        Deleted::Done => Ok(StatusCode::NO_CONTENT),
        Deleted::Absent => Err(absent()),
        Deleted::HasChildren => {
            let message = "The account has child accounts, remove them first";
            Err(ApiError::new(ErrorCode::AccountHasChildren, message))
        }
    }
}
