//! Grants of `keys:reveal`: which access keys may read the keys of a project back.

mod body;
mod create;
mod delete;
mod list;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .routes(routes!(
            list::list_reveal_grants,
            create::create_reveal_grant
        ))
        .routes(routes!(delete::delete_reveal_grant))
}
