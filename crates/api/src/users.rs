//! People: what they are called, and which of them asks.

mod body;
mod me;
mod roles;
mod teammates;
mod update;
mod user_roles;

use claviger_edge::{ApiError, Core, ErrorCode, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::body::UserBody;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(me::show_me))
        .routes(routes!(update::update_user))
        .routes(routes!(roles::update_user_role, roles::delete_user_role))
        .routes(routes!(user_roles::list_user_roles))
        .routes(routes!(teammates::list_teammates))
}

/// No such person, or nobody whom the caller may see: the same answer.
fn absent() -> ApiError {
    ApiError::new(ErrorCode::UserNotFound, "User not found")
}
