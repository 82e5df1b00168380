//! Tenants: a new customer with all that it has, in one request.

mod create;
mod make;
mod read;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(create::create_tenant))
}
