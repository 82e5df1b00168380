//! The routes of The Auth API, group by group.

use axum::{Router, middleware};
use claviger_edge::{ApiError, Core, Idempotent, cross_origin, idempotent, identify};
use utoipa_axum::router::OpenApiRouter;

use crate::api_keys::{ImportRooms, LARGEST_IMPORT_MIB, wait_for_room};
use crate::{
    access_keys, accounts, analytics, api_keys, audit, auth, forward_auth, invitations, legacy,
    notifications, pages, projects, root, tenants, users, webhooks,
};

/// Routes whose POST creates or rotates, and so honours an `Idempotency-Key`.
pub(crate) const CREATING: &[&str] = &[
    "/api-keys",
    "/api-keys/{id}/rotate",
    "/projects",
    "/accounts",
    "/access-keys",
    "/access-keys/{id}/rotate",
    "/webhooks",
    "/webhooks/{id}/rotate-secret",
    "/invitations",
    "/tenants",
    "/accounts/{id}/users",
];

/// Those whose bodies are larger.
pub(crate) const IMPORTING: &[&str] = &["/api-keys/import"];

/// All routes, with whoever calls found before any of them.
pub fn router(core: &Core) -> Router {
    let (router, _) = routes().split_for_parts();
    let creating = Idempotent {
        core: core.clone(),
        routes: CREATING,
        mib: 1,
    };
    let importing = Idempotent {
        routes: IMPORTING,
        mib: LARGEST_IMPORT_MIB,
        ..creating.clone()
    };
    router
        .fallback(async || ApiError::not_found())
        .with_state(core.clone())
        .layer(middleware::from_fn_with_state(creating, idempotent))
        .layer(middleware::from_fn_with_state(importing, idempotent))
        .layer(middleware::from_fn_with_state(
            ImportRooms::default(),
            wait_for_room,
        ))
        .layer(middleware::from_fn_with_state(core.clone(), identify))
        .layer(cross_origin())
        .merge(forward_auth::router(core))
        .merge(pages::router(core))
}

/// All routes with their part of the OpenAPI document.
pub(crate) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new()
        .merge(root::routes())
        .merge(api_keys::routes())
        .merge(projects::routes())
        .merge(accounts::routes())
        .merge(access_keys::routes())
        .merge(webhooks::routes())
        .merge(analytics::routes())
        .merge(audit::routes())
        .merge(notifications::routes())
        .merge(auth::routes())
        .merge(tenants::routes())
        .merge(users::routes())
        .merge(invitations::routes())
        .merge(legacy::routes())
}
