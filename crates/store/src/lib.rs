//! Rows: one file an aggregate, one SQL text a query for SQLite and PostgreSQL.
//!
//! Every change goes through [`Db::write`] and leaves an event in the same transaction. Objects are
//! reached through a [`Reach`](claviger_domain::rights::Reach), so that a foreign id is absent.

pub mod access_keys;
pub mod accounts;
pub mod api_keys;
mod asker;
mod base;
pub mod call_log;
pub mod connected_accounts;
pub mod connectors;
pub mod copies;
mod db;
pub mod events;
pub mod generations;
pub mod gone;
mod hexadecimal;
pub mod idempotency;
pub mod identities;
pub mod instance;
pub mod invitations;
pub mod jobs;
pub mod key_notices;
pub mod link_settings;
pub mod link_tokens;
pub mod mails;
pub mod mcp_servers;
mod migrations;
pub mod notifications;
pub mod oauth_clients;
pub mod one_time_codes;
pub mod opened_handles;
pub mod operator_keys;
mod page;
pub mod projects;
mod reach;
pub mod restore;
pub mod retention;
pub mod reveal_grants;
pub mod roles;
pub mod sealed_keys;
pub mod sealing;
pub mod secrets;
pub mod sessions;
pub mod tenants;
pub mod usage;
pub mod usage_exports;
pub mod users;
pub mod webhook_deliveries;
pub mod webhooks;

pub use asker::Asker;
pub use base::Base;
pub use db::{
    Change, Db, Feed, FeedError, Heard, Location, StoreError, Told, ToldKey, Turn, TurnsTaken, Tx,
};
pub use page::{PAGE_SIZE, Page};
