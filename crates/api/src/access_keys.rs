//! Access keys: the credentials of an account's own programs.

mod body;
mod create;
mod delete;
mod limit;
mod list;
mod reactivate;
mod rotate;
mod selector;
mod update;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::body::{AccessKeyBody, RoleName};

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(list::list_access_keys, create::create_access_key))
        .routes(routes!(
            update::update_access_key,
            delete::delete_access_key
        ))
        .routes(routes!(reactivate::reactivate_access_key))
        .routes(routes!(rotate::rotate_access_key))
}
