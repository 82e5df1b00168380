//! `GET /accounts`.

use axum::extract::State;
use claviger_edge::permission::AccountsRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::{Page, accounts};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::AccountBody;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only accounts with this name, in any case.
    name: Option<String>,
    /// Accounts to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Accounts to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List accounts
///
/// Answers your account and its children, the oldest first. Use it to find the account id that
/// other operations ask for.
#[utoipa::path(get, path = "/accounts", operation_id = "listAccounts", tag = "accounts",
    params(Parameters),
    responses((status = 200, description = "The accounts.", body = Vec<AccountBody>)))]
pub(crate) async fn list_accounts(
    State(core): State<Core>,
    caller: Caller<AccountsRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<AccountBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let name = parameters.name.as_deref();
    let (found, total) = accounts::list(&core.db, &caller.reach, name, &page).await?;
    Ok(Listed {
        items: found.iter().map(Into::into).collect(),
        total,
    })
}
