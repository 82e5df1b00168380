//! The gateway: what turns a REST API into tools for agents.
//!
//! A connector file and an OpenAPI document become a [`Catalogue`] of tools, compiled once. An
//! [`Exposure`] is what one MCP server shows of it. [`mcp`] speaks the protocol; [`Tool`] turns
//! arguments into an upstream request and [`envelope`] turns the answer into the one shape.

mod admission;
mod answer_json;
pub mod argument;
mod budget;
mod call;
mod call_log;
mod canonical;
pub mod catalogue;
mod client_config;
mod connect;
pub mod connector;
mod credentials;
pub mod cursor;
mod discovery;
mod document;
mod doors;
pub mod envelope;
pub mod exposure;
pub mod failure;
pub mod gateway;
mod grant;
mod in_flight;
mod in_name_of;
mod keys;
mod knowing;
mod known;
mod let_in;
pub mod limits;
mod looking;
pub mod mcp;
mod members;
mod nearest;
mod noted;
pub mod openapi;
mod own_answer;
pub mod page;
pub mod profile;
mod proxy;
mod refusals;
mod renewals;
pub mod request;
pub mod routes;
mod scrub;
mod sealed;
mod search;
mod sent_values;
mod server_config;
mod stored_connectors;
mod ticket;
mod token_server;
mod tokens;
pub mod tool;
mod upstream;
mod validation;
mod way;

pub use catalogue::{Catalogue, Catalogues};
pub use connector::Connector;
pub use document::document;
pub use exposure::Exposure;
pub use failure::Failure;
pub use gateway::{Gateway, Settings};
pub use routes::router;
pub use tool::Tool;
