//! Accounts: customers of this instance, and their children.

mod body;
mod create;
mod delete;
mod list;
mod show;
mod update;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, Requires, routes};
use claviger_store::accounts;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::body::AccountBody;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_accounts, create::create_account))
        .routes(routes!(
            show::show_account,
            update::update_account,
            delete::delete_account
        ))
}

/// The account that a filter names: one that the caller does not reach is as absent here as in a
/// path.
pub(crate) async fn named(
    core: &Core,
    reach: &Reach,
    text: Option<&str>,
) -> Result<Option<Id<id::Account>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let id = Id::parse(text).ok_or_else(absent)?;
    let found = accounts::find(&core.db, reach, &id).await?;
    found.map(|account| Some(account.id)).ok_or_else(absent)
}

/// The account whose rows a list is of: the one that is named, or else the caller's own.
pub(crate) async fn named_or_own<P: Requires>(
    core: &Core,
    caller: &Caller<P>,
    text: Option<&str>,
) -> Result<Id<id::Account>, ApiError> {
    match named(core, &caller.reach, text).await? {
        Some(named) => Ok(named),
        None => Ok(caller.own_account()?.id.clone()),
    }
}

/// No such account, or a foreign one: the same answer.
pub(crate) fn absent() -> ApiError {
    ApiError::new(ErrorCode::AccountNotFound, "Account not found")
}

/// A child account has no children.
pub(crate) fn child_of_child() -> ApiError {
    ApiError::new(ErrorCode::ChildOfChild, "A child account has no children")
}
