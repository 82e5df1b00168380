//! Accounts: customers of this instance, and their children.

mod body;
mod create;
mod delete;
mod list;
mod show;
mod update;

use claviger_edge::{ApiError, Core, ErrorCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_accounts, create::create_account))
        .routes(routes!(
            show::show_account,
            update::update_account,
            delete::delete_account
        ))
}

/// No such account, or a foreign one: the same answer.
pub(crate) fn absent() -> ApiError {
    ApiError::new(ErrorCode::AccountNotFound, "Account not found")
}
