//! The Auth API over HTTP: one file an endpoint, the wire types, the OpenAPI document.

mod access_keys;
mod accounts;
mod analytics;
mod api_keys;
mod audit;
mod auth;
pub mod bodies;
mod forward_auth;
mod invitations;
mod legacy;
mod mailed;
mod notifications;
mod openapi;
mod pages;
mod projects;
mod role_place;
mod root;
mod router;
mod tenants;
mod users;
mod webhooks;
mod wire;

pub use api_keys::SHORTCUT;
pub use openapi::document;
pub use router::router;
