//! `GET /accounts/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::AccountsRead;
use claviger_edge::{ApiError, Caller, Core, PathParameter};
use claviger_store::accounts;

use super::absent;
use super::body::AccountBody;

/// Show an account
///
/// Answers an account by its id, which comes from listing accounts.
#[utoipa::path(get, path = "/accounts/{id}", operation_id = "showAccount", tag = "accounts",
    params(("id" = String, Path, description = "The account's id, from listing accounts.",
        example = "acc_4f8Q2mXc7ZrT1bVw9KpL")),
    responses(
        (status = 200, description = "The account.", body = AccountBody),
        (status = 404, description = "No such account.")))]
pub(crate) async fn show_account(
    State(core): State<Core>,
    caller: Caller<AccountsRead>,
    PathParameter(id): PathParameter,
) -> Result<Json<AccountBody>, ApiError> {
    let id = Id::parse(&id).ok_or_else(absent)?;
    let account = accounts::find(&core.db, &caller.reach, &id)
        .await?
        .ok_or_else(absent)?;
    Ok(Json((&account).into()))
}
