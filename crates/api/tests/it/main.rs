//! The Auth API through its router, without a socket, on a clock that the tests move.

mod abuse;
mod access_keys;
mod accounts;
mod aliases;
mod analytics;
mod audit;
mod budgets;
mod checking;
mod coverage;
mod document;
mod errors;
mod forward_auth;
mod idempotency;
mod import;
mod invitations;
mod keys;
mod mail;
mod operations;
mod people;
mod reveal;
mod roles;
mod rotation;
mod sign_in;
mod tenants;
mod transport;
mod webhooks;
