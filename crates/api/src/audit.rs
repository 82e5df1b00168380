//! The audit trail: who did what, to which object.

mod body;
mod list;
mod wanted;

use claviger_edge::{Core, routes};
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(list::list_audit_events))
}
